"""A voice's statistics: how loud each band is, and how bands move together.

With an hour or two of training speech they know strangers better than a deep
network, and they err elsewhere.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.fft import dct

from speechbrain_siamese.lobes.whitening import WhitenedEncoder
from speechbrain_siamese.lobes.windows import frame_power

#: Cepstra of which it is told how they move together.
CEPSTRA = 24

#: Frames at both sides of one, over whose distance a change is taken.
REACH = 2

#: Share of a window that pauses take at most where they are put in, and share
#: of its frames, the quietest, that they are made of.
PAUSES, QUIET = 0.4, 0.06

#: Variances below are no movement, but rounding.
_LEAST = 1e-5

#: Square roots of a covariance that are taken one of the other; more of them
#: come closer to its logarithm and tell voices apart no better.
ROOTS = 3

#: Share of the mean variance that is added to each, so that the least of them
#: are not rounding, and steps by which a root is found exactly then.
_EVEN, _STEPS = 0.01, 12


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
    covariance = _covariance(values)
    spread = covariance.diagonal(dim1=1, dim2=2).clamp(min=_LEAST).sqrt()
    scaled = covariance / (spread[:, :, None] * spread[:, None])
    first, second = torch.triu_indices(
        *scaled.shape[1:], offset=1, device=values.device
    )
    return scaled[:, first, second]


def covariance_root(values: torch.Tensor) -> torch.Tensor:
    """Root of how columns move together over the second axis.

    Covariances lie on a curved surface, where large ones are far apart; their
    logarithms, and their roots of high order, hardly do (Arsigny et al. 2006,
    "Log-Euclidean metrics for fast and simple calculus on diffusion tensors").
    The roots are found by products of matrices alone, which runs everywhere
    (Li et al. 2018, "Towards faster training of global covariance pooling
    networks by iterative matrix square root normalization").

    Arguments
    ---------
    values : torch.Tensor
        (windows, frames, columns)

    Returns
    -------
    torch.Tensor
        Upper triangle, with the diagonal, of the root of order ``2 ** ROOTS``
        of each covariance, (windows, columns * (columns + 1) / 2).

    Example
    -------
    >>> still = torch.zeros(1, 50, 3)
    >>> covariance_root(still).shape
    torch.Size([1, 6])
    """
    covariance = _covariance(values)
    total = covariance.diagonal(dim1=1, dim2=2).sum(dim=-1).clamp(min=_LEAST)
    total = total[:, None, None]
    columns = values.shape[2]
    even = torch.eye(columns, device=values.device)
    # A trace of 1, or the steps do not end in a root.
    root = (covariance / total + _EVEN / columns * even) / (1 + _EVEN)
    for _ in range(ROOTS):
        inverse = even
        for _ in range(_STEPS):
            step = 1.5 * even - 0.5 * inverse @ root
            root, inverse = root @ step, step @ inverse
    root = root * total ** (0.5**ROOTS)
    first, second = torch.triu_indices(columns, columns, device=values.device)
    return root[:, first, second]


def window_statistics(
    windows: torch.Tensor, cosines: torch.Tensor
) -> torch.Tensor:
    """Statistics of log-mel windows, of which each is taken alone.

    Of each bin, with the level of the window taken off: mean, deviation,
    deviation of its changes; then the root of the cepstra's covariance, and the
    correlations between their changes. A microphone's colour moves the means
    alone.

    Arguments
    ---------
    windows : torch.Tensor
        (windows, frames, bins), more than ``2 * REACH`` frames.
    cosines : torch.Tensor
        As ``cosine_basis`` gives them, (bins, cepstra).

    Returns
    -------
    torch.Tensor
        (windows, 3 * bins + cepstra * cepstra)
    """
    windows = windows - windows.mean(dim=(1, 2), keepdim=True)
    cepstra = windows @ cosines
    return torch.cat(
        [
            windows.mean(dim=1),
            _deviation(windows),
            _deviation(_changes(windows)),
            covariance_root(cepstra),
            correlations(_changes(cepstra)),
        ],
        dim=-1,
    )


def with_pauses(windows: torch.Tensor) -> torch.Tensor:
    """Windows as they would be if less had been said in them.

    Preparation takes pauses out of the training speech; clips of strangers have
    theirs, shorter than what inference leaves out. How much of a window is
    pause is then seen to tell nothing of who speaks.

    Arguments
    ---------
    windows : torch.Tensor
        (windows, frames, bins)

    Returns
    -------
    torch.Tensor
        The same shape; the last frames of each, drawn from none to ``PAUSES``
        of them, are some of its quietest ones.
    """
    count, frames, _ = windows.shape
    generator = torch.Generator().manual_seed(0)
    quiet = max(1, round(QUIET * frames))
    lowest = frame_power(windows).topk(quiet, dim=1, largest=False).indices
    drawn = torch.randint(quiet, (count, frames), generator=generator)
    rows = torch.arange(count, device=windows.device)[:, None]
    pauses = windows[rows, lowest.gather(1, drawn.to(windows.device))]
    shares = PAUSES * torch.rand(count, 1, generator=generator)
    silent = torch.arange(frames) >= frames * (1 - shares)
    return torch.where(silent.to(windows.device)[:, :, None], pauses, windows)


def _covariance(values: torch.Tensor) -> torch.Tensor:
    centred = values - values.mean(dim=1, keepdim=True)
    return centred.mT @ centred / values.shape[1]


def _changes(values: torch.Tensor) -> torch.Tensor:
    return values[:, 2 * REACH :] - values[:, : -2 * REACH]


def _deviation(values: torch.Tensor) -> torch.Tensor:
    # Faster than var(), which takes the frames one by one.
    centred = values - values.mean(dim=1, keepdim=True)
    return (centred.square().mean(dim=1) + _LEAST).sqrt()


class StatisticsEncoder(WhitenedEncoder):
    """Encode windows as their statistics, whitened, of length 1.

    Arguments
    ---------
    n_mels : int
        Bins of the images.

    Example
    -------
    >>> encoder = StatisticsEncoder(n_mels=40)
    >>> encoder(torch.rand(3, 200, 40)).shape
    torch.Size([3, 696])
    """

    def __init__(self, n_mels: int):
        cepstra = min(CEPSTRA, n_mels - 1)
        super().__init__(3 * n_mels + cepstra * cepstra)
        # It follows from the settings: a checkpoint need not hold it.
        self.register_buffer(
            "cosines", cosine_basis(n_mels, cepstra), persistent=False
        )

    def describe(self, windows: torch.Tensor) -> torch.Tensor:
        """Statistics of each window; as ``WhitenedEncoder.describe``."""
        return window_statistics(windows, self.cosines)

    def varied(self, windows: torch.Tensor) -> list[torch.Tensor]:
        """Once more with pauses; as ``WhitenedEncoder.varied``."""
        return [windows, with_pauses(windows)]
