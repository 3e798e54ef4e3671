"""How well speaker changes and segments were found.

As pyannote.metrics counts them (Bredin 2017): precision and recall of changes
within a tolerance, each change matched at most once; purity and coverage of
segments.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ChangeFigures:
    """Changes that were found, against the true ones.

    Arguments
    ---------
    precision : float
        Share of those found that are true; 1 where none was found.
    recall : float
        Share of the true ones that were found; 1 where there is none.
    """

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def count_matches(
    found: Sequence[float], truth: Sequence[float], tolerance: float
) -> int:
    """How many changes can be matched one to one within a tolerance.

    Arguments
    ---------
    found, truth : Sequence[float]
        Seconds, in any order.
    tolerance : float
        Seconds, either way.

    Returns
    -------
    int

    Example
    -------
    >>> count_matches([1.0, 1.2, 9.0], [1.1, 5.0], tolerance=0.25)
    1
    """
    truth = sorted(truth)
    matched = next_true = 0
    # On a line, the earliest partner that is left is never a worse choice.
    for time in sorted(found):
        while next_true < len(truth) and truth[next_true] < time - tolerance:
            next_true += 1
        if next_true < len(truth) and truth[next_true] <= time + tolerance:
            matched += 1
            next_true += 1
    return matched


def change_figures(
    recordings: Sequence[tuple[Sequence[float], Sequence[float]]],
    tolerance: float,
) -> ChangeFigures:
    """Precision and recall over recordings.

    Arguments
    ---------
    recordings : Sequence of (found, truth)
        Times of the changes of each, in seconds.
    tolerance : float
        Seconds, either way.

    Returns
    -------
    ChangeFigures

    Example
    -------
    >>> change_figures([([1.0, 3.0], [1.1]), ([], [7.0])], 0.25)
    ChangeFigures(precision=0.5, recall=0.5)
    """
    matched = sum(
        count_matches(found, truth, tolerance) for found, truth in recordings
    )
    found = sum(len(found) for found, _ in recordings)
    truth = sum(len(truth) for _, truth in recordings)
    return ChangeFigures(
        precision=matched / found if found else 1.0,
        recall=matched / truth if truth else 1.0,
    )


def purity(
    segments: Sequence[tuple[float, float]],
    truth: Sequence[tuple[float, float]],
) -> tuple[float, float]:
    """Seconds of segments that lie in the true segment they share most with.

    Coverage is the same with the sides exchanged.

    Arguments
    ---------
    segments, truth : Sequence of (float, float)
        Start and end in seconds, without overlap on each side.

    Returns
    -------
    pure : float
        Seconds.
    whole : float
        Seconds of the segments that lie in any true segment.

    Example
    -------
    >>> purity([(0, 4), (4, 10)], [(0, 5), (5, 10)])  # 4 and 5 of 10 seconds
    (9.0, 10.0)
    """
    ours, theirs = np.reshape(segments, (-1, 2)), np.reshape(truth, (-1, 2))
    shared = np.minimum(ours[:, None, 1], theirs[None, :, 1])
    shared = shared - np.maximum(ours[:, None, 0], theirs[None, :, 0])
    shared = np.clip(shared, 0, None)
    best = shared.max(axis=1, initial=0.0)
    return float(best.sum()), float(shared.sum())


def between_changes(
    changes: Sequence[float], start: float, end: float
) -> list[tuple[float, float]]:
    """Segments that changes cut a stretch into.

    Arguments
    ---------
    changes : Sequence[float]
        Seconds; those outside of the stretch do not count.
    start, end : float
        Of the stretch, in seconds.

    Returns
    -------
    list of (float, float)

    Example
    -------
    >>> between_changes([3.0, 1.0], 0.0, 4.0)
    [(0.0, 1.0), (1.0, 3.0), (3.0, 4.0)]
    """
    inside = sorted(time for time in changes if start < time < end)
    edges = [start, *inside, end]
    return [*itertools.pairwise(edges)]
