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
    dim = frames.shape[1]
    squares = np.einsum("ti,tj->tij", frames, frames)
    # Sums up to each frame: any window's mean and covariance follow.
    first = np.concatenate([np.zeros((1, dim)), frames.cumsum(axis=0)])
    second = np.concatenate([np.zeros((1, dim, dim)), squares.cumsum(axis=0)])

    def log_determinants(starts, length):
        mean = (first[starts + length] - first[starts]) / length
        square = (second[starts + length] - second[starts]) / length
        covariance = square - np.einsum("bi,bj->bij", mean, mean)
        covariance += _FLOOR * np.eye(dim)
        return np.linalg.slogdet(covariance)[1]

    starts = np.arange(0, len(frames) - 2 * window + 1, step)
    gain = 2 * window * log_determinants(starts, 2 * window)
    gain -= window * log_determinants(starts, window)
    gain -= window * log_determinants(starts + window, window)
    cost = penalty * (dim + dim * (dim + 1) / 2) * np.log(2 * window)
    return (gain - cost) / (2 * window)
