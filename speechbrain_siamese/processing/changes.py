"""Where the speaker changes: peaks of the distance between adjacent windows.

Every function is pure; ``inference.changes`` reads files with them.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from speechbrain_siamese.utils.change_metrics import count_matches
from speechbrain_siamese.utils.ranges import check_range


def adjacent_distances(embeddings: np.ndarray, lag: int) -> np.ndarray:
    """Distance of each window to the one that begins where it ends.

    Arguments
    ---------
    embeddings : np.ndarray
        Of windows at equal steps, of length 1 each, (windows, dim).
    lag : int
        Steps from the begin of a window to its end.

    Returns
    -------
    np.ndarray
        One less the cosine, 0 to 2, (windows - lag,); empty where the
        recording is shorter than two windows. Entry ``i`` is of the border at
        the end of window ``i``.

    Example
    -------
    >>> east, north = np.eye(2)
    >>> adjacent_distances(np.stack([east, east, east, north]), lag=2)
    array([0., 1.])
    """
    return 1.0 - np.einsum("td,td->t", embeddings[:-lag], embeddings[lag:])


def change_peaks(
    distances: np.ndarray, step: float, width: float, gap: float
) -> tuple[np.ndarray, np.ndarray]:
    """Borders that are further apart than those around them.

    Arguments
    ---------
    distances : np.ndarray
        At equal steps, (borders,).
    step : float
        Seconds between borders.
    width : float
        Standard deviation of the Gaussian that smooths them, seconds.
    gap : float
        Least distance of two peaks, seconds: of close ones the higher stays.

    Returns
    -------
    positions : np.ndarray
        In ``distances``, integers, (peaks,).
    heights : np.ndarray
        Smoothed distances there, (peaks,).

    Example
    -------
    >>> distances = np.array([0.0, 0.1, 0.9, 0.1, 0.0, 0.0, 0.3, 0.0])
    >>> positions, _ = change_peaks(distances, 0.5, width=0.1, gap=1.0)
    >>> positions
    array([2, 6])
    """
    if not len(distances):
        return np.zeros(0, dtype=int), np.zeros(0)
    smooth = gaussian_filter1d(distances, width / step, mode="nearest")
    # A change at the first or last border is one, too.
    framed = np.concatenate([[-np.inf], smooth, [-np.inf]])
    positions, _ = find_peaks(framed, distance=max(1, round(gap / step)))
    return positions - 1, smooth[positions - 1]


def threshold_for(
    peaks: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
    tolerance: float = 0.5,
    recall: float | None = None,
) -> float:
    """Height above which a peak is a change, chosen on known recordings.

    Arguments
    ---------
    peaks : list of (times, heights, truth)
        Of each recording: seconds of its peaks, their heights, seconds of its
        changes.
    tolerance : float
        Seconds, either way, within which a peak hits a change.
    recall : float or None
        Share of the changes that have to be found: the highest threshold that
        does. None for the threshold with the best F1.

    Returns
    -------
    float
        The lowest height where no threshold reaches the recall.

    Raises
    ------
    ValueError
        If there is no peak or no change, or the recall is out of its range.

    Example
    -------
    >>> times, heights = np.array([1.0, 4.0, 8.0]), np.array([0.9, 0.2, 0.6])
    >>> threshold_for([(times, heights, np.array([1.1, 8.2]))])
    0.4
    """
    if recall is not None:
        check_range("recall", recall, 0.01, 1.0)
    heights = np.unique(np.concatenate([own for _, own, _ in peaks]))
    wanted = sum(len(truth) for *_, truth in peaks)
    if not len(heights) or not wanted:
        raise ValueError(
            f"{len(heights)} peaks and {wanted} changes: a threshold is chosen "
            "on recordings that have both"
        )
    # Between neighbours, and below all of them.
    limits = np.concatenate(
        [[heights[0] - 1e-6], (heights[1:] + heights[:-1]) / 2]
    )
    matched, found = (
        np.array(counts)
        for counts in zip(
            *(_counts(peaks, limit, tolerance) for limit in limits),
            strict=True,
        )
    )
    if recall is not None:
        enough = np.flatnonzero(matched >= recall * wanted)
        return float(limits[enough[-1] if len(enough) else 0])
    f1 = 2 * matched / (found + wanted)
    return float(limits[f1.argmax()])


def _counts(peaks, limit, tolerance) -> tuple[int, int]:
    """Changes that peaks above a limit hit, and how many those are."""
    chosen = [
        (times[heights > limit], truth) for times, heights, truth in peaks
    ]
    return (
        sum(count_matches(times, truth, tolerance) for times, truth in chosen),
        sum(len(times) for times, _ in chosen),
    )
