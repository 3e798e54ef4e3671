"""A voice's statistics, and an encoder that is linear in them.

How loud each band is, how much it moves and how bands move together tell a
voice as the mixtures of Gaussians of old did (Reynolds and Rose 1995, "Robust
text-independent speaker identification using Gaussian mixture speaker
models"). A linear map of them has few weights: with an hour or two of training
speech it knows strangers better than a deep network, and it errs elsewhere.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.fft import dct
from torch.nn import functional as F

#: Cepstra whose correlations are taken.
CEPSTRA = 24

#: Frames at both sides of one, over whose distance a change is taken.
REACH = 2

#: Variances below are no movement, but rounding.
_LEAST = 1e-5


def cosine_basis(bins: int, count: int) -> torch.Tensor:
    """Columns that take the cepstra of log-mel bins (DCT-II, orthonormal).

    Without the first, which is the level.

    Arguments
    ---------
    bins : int
    count : int
        At most ``bins - 1``.

    Returns
    -------
    torch.Tensor
        (bins, count), float32.

    Example
    -------
    >>> cosine_basis(2, 1)
    tensor([[ 0.7071],
            [-0.7071]])
    """
    basis = dct(np.eye(bins), norm="ortho")[:, 1 : count + 1]
    return torch.from_numpy(basis).float()


def correlations(values: torch.Tensor) -> torch.Tensor:
    """How far each two columns move together over the second axis.

    Arguments
    ---------
    values : torch.Tensor
        (windows, frames, columns)

    Returns
    -------
    torch.Tensor
        Pearson's r of each pair of columns, 0 where one does not move,
        (windows, columns * (columns - 1) / 2).
    """
    centred = values - values.mean(dim=1, keepdim=True)
    covariance = centred.mT @ centred / values.shape[1]
    spread = covariance.diagonal(dim1=1, dim2=2).clamp(min=_LEAST).sqrt()
    scaled = covariance / (spread[:, :, None] * spread[:, None])
    first, second = torch.triu_indices(
        *scaled.shape[1:], offset=1, device=values.device
    )
    return scaled[:, first, second]


def window_statistics(
    windows: torch.Tensor, cosines: torch.Tensor
) -> torch.Tensor:
    """Statistics of log-mel windows, of which each is taken alone.

    Of each bin, with the level of the window taken off: mean, deviation,
    deviation of its changes; then the correlations between cepstra, and between
    their changes. A microphone's colour moves the means alone.

    Arguments
    ---------
    windows : torch.Tensor
        (windows, frames, bins), more than ``2 * REACH`` frames.
    cosines : torch.Tensor
        As ``cosine_basis`` gives them, (bins, cepstra).

    Returns
    -------
    torch.Tensor
        (windows, 3 * bins + cepstra * (cepstra - 1))
    """
    windows = windows - windows.mean(dim=(1, 2), keepdim=True)
    cepstra = windows @ cosines
    return torch.cat(
        [
            windows.mean(dim=1),
            _deviation(windows),
            _deviation(_changes(windows)),
            correlations(cepstra),
            correlations(_changes(cepstra)),
        ],
        dim=-1,
    )


def _changes(values: torch.Tensor) -> torch.Tensor:
    return values[:, 2 * REACH :] - values[:, : -2 * REACH]


def _deviation(values: torch.Tensor) -> torch.Tensor:
    # Faster than var(), which takes the frames one by one.
    centred = values - values.mean(dim=1, keepdim=True)
    return (centred.square().mean(dim=1) + _LEAST).sqrt()


class StatisticsEncoder(torch.nn.Module):
    """Encode windows as a linear map of their statistics, of length 1.

    Arguments
    ---------
    n_mels : int
        Bins of the images.
    embedding_dim : int
        Numbers in an embedding.

    Example
    -------
    >>> encoder = StatisticsEncoder(n_mels=40, embedding_dim=64)
    >>> encoder(torch.rand(3, 200, 40)).shape
    torch.Size([3, 64])
    """

    def __init__(self, n_mels: int, embedding_dim: int):
        super().__init__()
        cepstra = min(CEPSTRA, n_mels - 1)
        # It follows from the settings: a checkpoint need not hold it.
        self.register_buffer(
            "cosines", cosine_basis(n_mels, cepstra), persistent=False
        )
        count = 3 * n_mels + cepstra * (cepstra - 1)
        self.norm = torch.nn.BatchNorm1d(count)
        self.projection = torch.nn.Linear(count, embedding_dim)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Encode windows, each alone.

        Arguments
        ---------
        windows : torch.Tensor
            (windows, frames, bins), with their mean spectrum.

        Returns
        -------
        torch.Tensor
            (windows, embedding_dim), float32.
        """
        # Statistics in full precision, also under autocast.
        with torch.autocast(windows.device.type, enabled=False):
            statistics = window_statistics(windows.float(), self.cosines)
            return F.normalize(self.projection(self.norm(statistics)), dim=-1)
