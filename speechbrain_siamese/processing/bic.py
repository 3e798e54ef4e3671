"""Speaker changes by the Bayesian information criterion.

Chen and Gopalakrishnan 1998, "Speaker, environment and channel change
detection and clustering via the Bayesian information criterion": two windows
are of one speaker if one Gaussian describes both as well as two do.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import dct

#: Added to the variances, for stretches without any.
_FLOOR = 1e-6

#: Borders that are looked at together.
_LOT = 2000


def cepstra(images: np.ndarray, count: int = 13) -> np.ndarray:
    """Cepstra of log-mel images, without the level.

    Arguments
    ---------
    images : np.ndarray
        (frames, bins)
    count : int
        Coefficients, from the second on.

    Returns
    -------
    np.ndarray
        (frames, count)
    """
    return dct(images, type=2, norm="ortho", axis=-1)[:, 1 : count + 1]


def bic_distances(
    frames: np.ndarray, window: int, step: int, penalty: float = 1.0
) -> np.ndarray:
    """How much better two Gaussians describe adjacent windows than one.

    Arguments
    ---------
    frames : np.ndarray
        Features such as ``cepstra`` gives, (frames, dim).
    window : int
        Frames at each side of a border.
    step : int
        Frames between borders; the first one is behind the first window.
    penalty : float
        Weight of the second Gaussian's cost.

    Returns
    -------
    np.ndarray
        Difference of the criterion for each frame of a window, (borders,);
        above 0 for two speakers.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> frames = np.concatenate([rng.normal(0, 1, (300, 3)),
    ...                          rng.normal(2, 3, (300, 3))])
    >>> int(bic_distances(frames, window=100, step=50).argmax())
    4
    """
    frames = np.asarray(frames, dtype=float)
    starts = np.arange(0, len(frames) - 2 * window + 1, step)
    # Products of all frames at once would be gigabytes for an hour.
    lots = np.array_split(starts, max(1, len(starts) // _LOT))
    return np.concatenate(
        [
            _gains(frames[lot[0] : lot[-1] + 2 * window], lot - lot[0], window)
            - penalty * _cost(frames.shape[1], window)
            for lot in lots
            if len(lot)
        ]
        or [np.zeros(0)]
    )


def _cost(dim: int, window: int) -> float:
    """What a Gaussian more has to gain for each frame, at a penalty of 1."""
    parameters = dim + dim * (dim + 1) / 2
    return parameters * np.log(2 * window) / (2 * window)


def _gains(frames, starts, window) -> np.ndarray:
    """Log-likelihood that two Gaussians gain, for each frame."""
    dim = frames.shape[1]
    squares = np.einsum("ti,tj->tij", frames, frames)
    # Sums up to each frame: any window's mean and covariance follow.
    first = np.concatenate([np.zeros((1, dim)), frames.cumsum(axis=0)])
    second = np.concatenate([np.zeros((1, dim, dim)), squares.cumsum(axis=0)])

    def log_determinants(begin, length):
        mean = (first[begin + length] - first[begin]) / length
        square = (second[begin + length] - second[begin]) / length
        covariance = square - np.einsum("bi,bj->bij", mean, mean)
        return np.linalg.slogdet(covariance + _FLOOR * np.eye(dim))[1]

    both = log_determinants(starts, 2 * window)
    left = log_determinants(starts, window)
    right = log_determinants(starts + window, window)
    return both - (left + right) / 2
