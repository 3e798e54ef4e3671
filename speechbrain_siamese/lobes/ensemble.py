"""Encoders that answer together.

Those that err elsewhere make fewer mistakes together than the best of them
alone (Hansen and Salamon 1990, "Neural network ensembles"): a DenseNet, which
is trained, and what describes a voice without training.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import torch
from torch.nn import functional as F

from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.statistics import StatisticsEncoder
from speechbrain_siamese.lobes.supervectors import FRAMES, SupervectorEncoder
from speechbrain_siamese.lobes.whitening import SpeakerVariation
from speechbrain_siamese.utils.ranges import check_range

#: One in so many of the first frames helps to find the sounds: of as many
#: voices as can be kept in memory.
_SPREAD = 8


class DenseNetEnsemble(DenseNetEncoder):
    """A DenseNet and a window's statistics, whose embeddings are joined.

    The embedding's numbers are the DenseNet's, then those of the statistics
    and of the supervector, each of length 1 before they are joined: the cosine
    of two windows is the weighted mean of theirs.

    Arguments
    ---------
    statistics : bool
        Whether there is anything beside the DenseNet. False makes it a
        ``DenseNetEncoder``, with its weights' names.
    statistics_weight : float
        How much the cosines of statistics and supervector count, each, where
        the DenseNet's counts 1. Theirs lie closer together; 8 was chosen on
        validation people.
    n_mels : int
        As for ``DenseNetEncoder``.
    **settings
        As for ``DenseNetEncoder``; ``embedding_dim`` is the DenseNet's own.

    Example
    -------
    >>> encoder = DenseNetEnsemble(n_mels=32, window_len=0.64)
    >>> encoder(torch.rand(2, 150, 32)).shape
    torch.Size([2, 1, 2144])
    >>> encoder(torch.rand(2, 150, 32), network_alone=True).shape
    torch.Size([2, 1, 192])
    """

    def __init__(
        self,
        statistics: bool = True,
        statistics_weight: float = 8.0,
        n_mels: int = 80,
        **settings,
    ):
        super().__init__(n_mels=n_mels, **settings)
        check_range("statistics_weight", statistics_weight, 0, 1000)
        self.statistics_weight = statistics_weight
        self.n_mels = n_mels
        # Names of the modules, in the order of their numbers.
        self.beside = ("statistics", "supervector") if statistics else ()
        if statistics:
            self.statistics = StatisticsEncoder(n_mels)
            self.supervector = SupervectorEncoder(n_mels)

    @property
    def computed(self) -> bool:
        """Whether all that is not trained has been computed."""
        return all(bool(getattr(self, name).whitened) for name in self.beside)

    @torch.no_grad()
    def fit_statistics(
        self, lots: Iterable[tuple[torch.Tensor, torch.Tensor]]
    ) -> None:
        """Compute what is not trained from training windows.

        Arguments
        ---------
        lots : Iterable of tuple of torch.Tensor
            Finite windows (windows, window_frames, bins), with their mean
            spectrum, and the numbers of their speakers (windows,). Speakers
            mixed, since the first lots decide which sounds there are.

        Raises
        ------
        ValueError
            If there are no windows.
        """
        lots, first, frames = iter(lots), [], 0
        while frames < _SPREAD * FRAMES and (lot := next(lots, None)):
            first.append(lot)
            frames += lot[0].shape[0] * lot[0].shape[1]
        if first:
            self.supervector.fit_sounds(torch.cat([own for own, _ in first]))
        parts = {name: getattr(self, name) for name in self.beside}
        found = {name: SpeakerVariation(own.dim) for name, own in parts.items()}
        for windows, labels in itertools.chain(first, lots):
            for name, part in parts.items():
                for own in part.varied(windows):
                    found[name].add(part.describe(own), labels)
        for name, part in parts.items():
            part.whiten(found[name])

    def forward(
        self,
        feats: torch.Tensor,
        lengths: torch.Tensor | None = None,
        network_alone: bool = False,
    ) -> torch.Tensor:
        """Encode a batch of images.

        Arguments
        ---------
        feats, lengths
            As for ``DenseNetEncoder``.
        network_alone : bool
            The DenseNet's own embeddings, which training works on.

        Returns
        -------
        torch.Tensor
            Embeddings of length 1, (batch, 1, dim).

        Raises
        ------
        ValueError
            If an item has less than ``min_len`` of sound.
        """
        del lengths
        if network_alone:
            means, _ = self.over_windows(feats, super().encode_windows)
        else:
            means, _ = self.mean_embeddings(feats)
        return F.normalize(means, dim=-1)

    def encode_windows(self, windows: torch.Tensor) -> torch.Tensor:
        """Encode windows of the training length, each alone.

        Arguments
        ---------
        windows : torch.Tensor
            (windows, window_frames, bins)

        Returns
        -------
        torch.Tensor
            Embeddings of length 1, (windows, dim), float32.

        Raises
        ------
        ValueError
            If the windows have another number of bins.
        """
        if windows.shape[2] != self.n_mels:
            raise ValueError(
                f"the images have {windows.shape[2]} bins, expected n_mels, "
                f"which is {self.n_mels}"
            )
        parts = [super().encode_windows(windows)]
        share = self.statistics_weight**0.5
        parts += [share * getattr(self, name)(windows) for name in self.beside]
        whole = (1 + len(self.beside) * self.statistics_weight) ** 0.5
        return torch.cat(parts, dim=-1) / whole
