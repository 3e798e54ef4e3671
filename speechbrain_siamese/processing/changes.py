"""Where the speaker changes: what differs at both sides of each border.

Distances between the embeddings of adjacent windows, the Bayesian information
criterion of their cepstra and the pause between them are weighed by a logistic
model that training fits on known turns; its peaks are the changes. Everything
here is pure; ``inference.changes`` reads files with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, minimum_filter1d
from scipy.signal import find_peaks
from sklearn.linear_model import LogisticRegression

from speechbrain_siamese.lobes.windows import frame_power
from speechbrain_siamese.processing.bic import bic_distances, cepstra
from speechbrain_siamese.utils.change_metrics import count_matches
from speechbrain_siamese.utils.ranges import check_range

#: Seconds of speech between borders that are looked at.
GRID = 0.1

#: Seconds of the windows at each side of a border: long ones know a voice
#: better, short ones part two changes that are close to each other.
WINDOWS = (1.0, 2.0)

#: Seconds by which distances are smoothed, beside those as they are.
SMOOTH = 0.4

#: Standard deviation that smooths the model's answer, and least seconds
#: between two changes.
WIDTH, GAP = 0.2, 0.7

#: Longest pause that tells something, seconds.
PAUSE = 0.5

#: Shares of changes found for which a threshold is kept.
RECALLS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)

#: Seconds within which a border hits a change.
TOLERANCE = 0.5


@dataclass(frozen=True)
class ChangeModel:
    """How borders' features become changes.

    Arguments
    ---------
    weights : list of float
        Of each feature, and the constant behind them.
    threshold : float
        Logit above which a peak is a change: best F1.
    thresholds : list of float
        The same that find the share ``RECALLS`` of changes.
    """

    weights: list[float]
    threshold: float
    thresholds: list[float]

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Answers for borders, (borders,).

        Arguments
        ---------
        features : np.ndarray
            (borders, features)

        Returns
        -------
        np.ndarray
        """
        return features @ np.array(self.weights[:-1]) + self.weights[-1]

    def threshold_at(self, recall: float | None) -> float:
        """Threshold that finds a share of the changes.

        Arguments
        ---------
        recall : float or None
            Between the kept ones it is interpolated; None for the best F1.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If it is out of the range of those kept.
        """
        if recall is None:
            return self.threshold
        check_range("recall", recall, RECALLS[0], RECALLS[-1])
        return float(np.interp(recall, RECALLS, self.thresholds))


def border_features(
    images: torch.Tensor,
    places: np.ndarray,
    encode: Callable[[torch.Tensor], torch.Tensor],
    hop: float,
) -> tuple[np.ndarray, np.ndarray]:
    """What differs at both sides of each border.

    Arguments
    ---------
    images : torch.Tensor
        Log-mel frames of a recording's speech, (frames, bins).
    places : np.ndarray
        Number of each of them in the recording, silence counted, (frames,).
    encode : Callable
        (windows, frames, bins) to embeddings of length 1, (windows, dim).
    hop : float
        Seconds from one frame to the next.

    Returns
    -------
    borders : np.ndarray
        Number of the speech frame behind each border, integers, (borders,);
        empty where there is less speech than two short windows.
    features : np.ndarray
        (borders, features)
    """
    step = max(1, round(GRID / hop))
    sizes = [round(seconds / hop) for seconds in WINDOWS]
    borders = np.arange(sizes[0], len(images) - sizes[0] + 1, step)
    if not len(borders):
        return borders, np.zeros((0, 0))
    columns = []
    spectra = cepstra(images.cpu().numpy())
    for size in sizes:
        if len(images) < 2 * size:
            # One short stretch: nothing is known at the longer scale.
            columns += [np.zeros(len(borders))] * 4
            continue
        stride = step * max(1, size // sizes[0])
        windows = images.unfold(0, size, stride).transpose(1, 2)
        embeddings = encode(windows).float().cpu().numpy()
        by_voice = adjacent_distances(embeddings, size // stride)
        by_spectrum = bic_distances(spectra, size, step)
        for distances, own in ((by_voice, stride), (by_spectrum, step)):
            at = size + own * np.arange(len(distances))
            smooth = gaussian_filter1d(distances, SMOOTH / (own * hop))
            columns += [
                np.interp(borders, at, values) for values in (distances, smooth)
            ]
    # The pause in front of each frame, and how quiet it gets.
    pauses = np.diff(places, prepend=places[0] - 1) - 1
    pauses = np.minimum(pauses * hop, PAUSE) / PAUSE
    power = frame_power(images).cpu().numpy()
    near = 2 * round(0.2 / hop) + 1
    columns.append(maximum_filter1d(pauses, near)[borders])
    columns.append(
        minimum_filter1d(power, near)[borders] - float(np.median(power))
    )
    return borders, np.stack(columns, axis=1)


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
        One less the cosine, 0 to 2, (windows - lag,). Entry ``i`` is of the
        border at the end of window ``i``.

    Example
    -------
    >>> east, north = np.eye(2)
    >>> adjacent_distances(np.stack([east, east, east, north]), lag=2)
    array([0., 1.])
    """
    return 1.0 - np.einsum("td,td->t", embeddings[:-lag], embeddings[lag:])


def change_peaks(
    values: np.ndarray, step: float, width: float = WIDTH, gap: float = GAP
) -> tuple[np.ndarray, np.ndarray]:
    """Borders that are higher than those around them.

    Arguments
    ---------
    values : np.ndarray
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
        In ``values``, integers, (peaks,).
    heights : np.ndarray
        Smoothed values there, (peaks,).

    Example
    -------
    >>> values = np.array([0.0, 0.1, 0.9, 0.1, 0.0, 0.0, 0.3, 0.0])
    >>> change_peaks(values, 0.5, width=0.1, gap=1.0)[0]
    array([2, 6])
    """
    if not len(values):
        return np.zeros(0, dtype=int), np.zeros(0)
    smooth = gaussian_filter1d(values, width / step, mode="nearest")
    # A change at the first or last border is one, too.
    framed = np.concatenate([[-np.inf], smooth, [-np.inf]])
    positions, _ = find_peaks(framed, distance=max(1, round(gap / step)))
    return positions - 1, smooth[positions - 1]


def fit_change_model(
    features: np.ndarray, times: np.ndarray, truth: Sequence[float]
) -> ChangeModel:
    """Learn from a recording whose changes are known.

    Arguments
    ---------
    features : np.ndarray
        As ``border_features`` gives them, (borders, features).
    times : np.ndarray
        Seconds of the borders, rising, (borders,).
    truth : Sequence[float]
        Seconds of the changes.

    Returns
    -------
    ChangeModel

    Raises
    ------
    ValueError
        If there is no border, or no change near one.
    """
    truth = np.sort(np.asarray(truth, dtype=float))
    near = np.zeros(len(times), dtype=bool)
    for change in truth:
        near |= np.abs(times - change) < TOLERANCE / 2
    if near.all() or not near.any():
        raise ValueError(
            f"{int(near.sum())} of {len(times)} borders are near one of "
            f"{len(truth)} changes: a change model is learnt from recordings "
            "with several turns of some seconds"
        )
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation = np.maximum(deviation, 1e-6)
    fitted = LogisticRegression(max_iter=1000).fit(
        (features - mean) / deviation, near
    )
    weights = fitted.coef_[0] / deviation
    constant = float(fitted.intercept_[0] - weights @ mean)
    values = features @ weights + constant
    positions, heights = change_peaks(values, GRID)
    found = times[positions]
    return ChangeModel(
        [*weights.tolist(), constant],
        threshold_for(found, heights, truth),
        [threshold_for(found, heights, truth, recall) for recall in RECALLS],
    )


def threshold_for(
    times: np.ndarray,
    heights: np.ndarray,
    truth: np.ndarray,
    recall: float | None = None,
    tolerance: float = TOLERANCE,
) -> float:
    """Height above which a peak is a change, chosen on a known recording.

    Arguments
    ---------
    times, heights : np.ndarray
        Of the peaks, (peaks,): seconds, and what ``change_peaks`` tells.
    truth : np.ndarray
        Seconds of the changes.
    recall : float or None
        Share of the changes that have to be found: the highest threshold that
        does, or the lowest there is. None for the best F1.
    tolerance : float
        Seconds, either way, within which a peak hits a change.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If there is no peak or no change.

    Example
    -------
    >>> times, heights = np.array([1.0, 4.0, 8.0]), np.array([0.9, 0.2, 0.6])
    >>> threshold_for(times, heights, np.array([1.1, 8.2]))
    0.4
    """
    if not len(times) or not len(truth):
        raise ValueError(
            f"{len(times)} peaks and {len(truth)} changes: a threshold is "
            "chosen on recordings that have both"
        )
    levels = np.unique(heights)
    # Between neighbours, and below all of them; so many that none is missed.
    limits = np.concatenate([[levels[0] - 1.0], (levels[1:] + levels[:-1]) / 2])
    limits = limits[np.unique(np.linspace(0, len(limits) - 1, 500).astype(int))]
    chosen = [times[heights > limit] for limit in limits]
    matched = np.array([count_matches(own, truth, tolerance) for own in chosen])
    if recall is not None:
        enough = np.flatnonzero(matched >= recall * len(truth))
        return float(limits[enough[-1] if len(enough) else 0])
    found = np.array([len(own) for own in chosen])
    return float(limits[(2 * matched / (found + len(truth))).argmax()])
