"""Encoders that answer together.

Those that err elsewhere make fewer mistakes together than the best of them
alone (Hansen and Salamon 1990, "Neural network ensembles"): DenseNets that
start from other random weights, and above all what looks at something else,
the voice's statistics.
"""

from __future__ import annotations

import torch

from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.statistics import StatisticsEncoder
from speechbrain_siamese.utils.ranges import check_range


class DenseNetEnsemble(DenseNetEncoder):
    """DenseNets and statistics side by side, whose embeddings are joined.

    Each gives an equal part of the embedding, of length 1 before it is joined,
    so that the cosine of two windows is the mean of theirs. Training gives
    each losses of its own (``nnet.members``): those that share one would learn
    to rely on each other.

    Arguments
    ---------
    networks : int
        DenseNets. 1 without statistics is a ``DenseNetEncoder``, with its
        weights' names.
    statistics : bool
        Whether a linear map of each window's statistics is one of the members.
    embedding_dim : int
        Numbers in the joint embedding, a multiple of the number of members.
    n_mels : int
        As for ``DenseNetEncoder``.
    **settings
        As for ``DenseNetEncoder``, the same for all networks.

    Attributes
    ----------
    members : int
        How many equal parts an embedding has.

    Raises
    ------
    ValueError
        If ``embedding_dim`` is no multiple of the members.

    Example
    -------
    >>> encoder = DenseNetEnsemble(networks=2, n_mels=32, window_len=0.64)
    >>> encoder.members
    3
    >>> encoder(torch.rand(2, 150, 32)).shape
    torch.Size([2, 1, 192])
    """

    def __init__(
        self,
        networks: int = 1,
        statistics: bool = True,
        embedding_dim: int = 192,
        n_mels: int = 80,
        **settings,
    ):
        check_range("networks", networks, 1, 100, whole=True)
        members = networks + bool(statistics)
        if embedding_dim % members:
            raise ValueError(
                f"embedding_dim is {embedding_dim}, expected a multiple of "
                f"{members}: {networks} networks"
                + (" and the statistics" if statistics else "")
                + " each give an equal part of it"
            )
        own = {"embedding_dim": embedding_dim // members, "n_mels": n_mels}
        super().__init__(**own, **settings)
        self.others = torch.nn.ModuleList(
            DenseNetEncoder(**own, **settings) for _ in range(networks - 1)
        )
        self.statistics = StatisticsEncoder(**own) if statistics else None
        self.members = members
        self.embedding_dim = embedding_dim
        self.n_mels = n_mels

    def forward(
        self,
        feats: torch.Tensor,
        lengths: torch.Tensor | None = None,
        unmasked: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Encode a batch of images.

        Arguments
        ---------
        feats, lengths
            As for ``DenseNetEncoder``.
        unmasked : torch.Tensor or None
            In training: the images without masks and with their mean spectrum,
            for the statistics, which masks would spoil; the same shape. None
            where ``feats`` are those.

        Returns
        -------
        torch.Tensor
            Embeddings of length 1, (batch, 1, embedding_dim).

        Raises
        ------
        ValueError
            If an item has less than ``min_len`` of sound.
        """
        if unmasked is not None and not self.training:
            # Frozen: it hears what it hears at inference.
            feats = unmasked
        elif unmasked is not None and self.statistics is not None:
            feats = torch.cat([feats, unmasked], dim=-1)
        return super().forward(feats, lengths)

    def encode_windows(self, windows: torch.Tensor) -> torch.Tensor:
        """Encode windows of the training length, each alone.

        Arguments
        ---------
        windows : torch.Tensor
            (windows, window_frames, bins); with the unmasked ones behind them,
            twice as many bins.

        Returns
        -------
        torch.Tensor
            Embeddings of length 1, (windows, embedding_dim), float32.

        Raises
        ------
        ValueError
            If the windows have another number of bins.
        """
        bins = windows.shape[2]
        doubled = self.training and bins == 2 * self.n_mels
        if bins != self.n_mels and not doubled:
            raise ValueError(
                f"the images have {bins} bins, expected n_mels, which is "
                f"{self.n_mels}"
            )
        images = windows[:, :, : self.n_mels]
        parts = [super().encode_windows(images)]
        parts += [other.encode_windows(images) for other in self.others]
        if self.statistics is not None:
            parts.append(self.statistics(windows[:, :, -self.n_mels :]))
        return torch.cat(parts, dim=-1) / self.members**0.5
