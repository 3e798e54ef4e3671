"""Several DenseNets that answer together.

Networks that start from other random weights make other mistakes; the mean of
their scores makes fewer than any of them (Hansen and Salamon 1990, "Neural
network ensembles"). With an hour or two of training speech a narrow trunk has
learnt what it can after some minutes: the rest of the time is better spent on
another one.
"""

from __future__ import annotations

import torch

from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.utils.ranges import check_range


class DenseNetEnsemble(DenseNetEncoder):
    """Several ``DenseNetEncoder`` side by side, whose embeddings are joined.

    Each member gives an equal part of the embedding, of length 1 before it is
    joined, so that the cosine of two windows is the mean of the members'.
    Training gives each member losses of its own (``nnet.members``): members
    that share one would learn to rely on each other.

    Arguments
    ---------
    members : int
        1 is a ``DenseNetEncoder``, with its weights' names.
    embedding_dim : int
        Numbers in the joint embedding, a multiple of ``members``.
    **settings
        As for ``DenseNetEncoder``, the same for all members.

    Raises
    ------
    ValueError
        If ``embedding_dim`` is no multiple of ``members``.

    Example
    -------
    >>> encoder = DenseNetEnsemble(members=2, n_mels=32, window_len=0.64)
    >>> encoder(torch.rand(2, 150, 32)).shape
    torch.Size([2, 1, 192])
    """

    def __init__(self, members: int = 3, embedding_dim: int = 192, **settings):
        check_range("members", members, 1, 100, whole=True)
        if embedding_dim % members:
            raise ValueError(
                f"embedding_dim is {embedding_dim} and members is {members}: "
                "expected a multiple, since each gives an equal part"
            )
        own = embedding_dim // members
        super().__init__(embedding_dim=own, **settings)
        self.others = torch.nn.ModuleList(
            DenseNetEncoder(embedding_dim=own, **settings)
            for _ in range(members - 1)
        )
        self.members = members
        self.embedding_dim = embedding_dim

    def encode_windows(self, windows: torch.Tensor) -> torch.Tensor:
        """Encode windows of the training length, each alone.

        Arguments
        ---------
        windows : torch.Tensor
            (windows, window_frames, bins)

        Returns
        -------
        torch.Tensor
            Embeddings of length 1, (windows, embedding_dim), float32.
        """
        parts = [super().encode_windows(windows)]
        parts += [other.encode_windows(windows) for other in self.others]
        return torch.cat(parts, dim=-1) / self.members**0.5
