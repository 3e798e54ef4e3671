"""Who is taken for whom: accepted trials, speaker by speaker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speechbrain_siamese.utils.intervals import speaker_numbers
from speechbrain_siamese.utils.metrics import checked_trials


@dataclass(frozen=True)
class Confusion:
    """Share of accepted trials of each two speakers.

    Both matrices are symmetric: a against b and b against a count together.

    Arguments
    ---------
    speakers : tuple
        Ids in order, (speakers,).
    accepted : np.ndarray
        Share of the trials that were accepted, 0 to 1, NaN where there is no
        trial, (speakers, speakers). Right on the diagonal, wrong elsewhere.
    trials : np.ndarray
        How many trials there are, int64, (speakers, speakers).
    """

    speakers: tuple
    accepted: np.ndarray
    trials: np.ndarray


def confusion(
    scores: np.ndarray,
    labels: np.ndarray,
    speakers_enrol: np.ndarray,
    speakers_test: np.ndarray,
    threshold: float,
) -> Confusion:
    """Count the accepted trials of each two speakers.

    Arguments
    ---------
    scores : np.ndarray
        Scores, higher is more alike, (trials,).
    labels : np.ndarray
        1 same speaker, 0 different, (trials,).
    speakers_enrol : np.ndarray
        Speaker id of the first side of each trial, (trials,).
    speakers_test : np.ndarray
        Speaker id of the second side of each trial, (trials,).
    threshold : float
        Accept a trial if its score is above this.

    Returns
    -------
    Confusion

    Raises
    ------
    ValueError
        If the trials are unusable, labels contradict the speaker ids, or the
        threshold isn't finite.

    Example
    -------
    >>> found = confusion(
    ...     [0.9, 0.6, 0.2], [1, 0, 0], list("aab"), list("aba"), 0.5
    ... )
    >>> found.speakers
    ('a', 'b')
    >>> found.accepted.tolist()
    [[1.0, 0.5], [0.5, nan]]
    """
    scores, labels = checked_trials(scores, labels)
    if not np.isfinite(threshold):
        raise ValueError(
            f"threshold is {threshold}, expected a finite score: give the "
            "one that decides, such as the EER threshold"
        )
    enrol, test, speakers = speaker_numbers(
        labels, speakers_enrol, speakers_test
    )
    count = len(speakers)
    cells = np.minimum(enrol, test) * count + np.maximum(enrol, test)

    def counted(chosen):
        upper = np.bincount(chosen, minlength=count**2).reshape(count, count)
        return upper + np.triu(upper, 1).T

    trials = counted(cells)
    accepted = np.full(trials.shape, np.nan)
    np.divide(
        counted(cells[scores > threshold]),
        trials,
        out=accepted,
        where=trials > 0,
    )
    return Confusion(tuple(speakers), accepted, trials)


def most_confused(
    confusion: Confusion, count: int = 10
) -> list[tuple[str, str, float, int]]:
    """Pairs of different speakers that are most often taken for one.

    Arguments
    ---------
    confusion : Confusion
    count : int
        How many pairs, at most.

    Returns
    -------
    list of tuple
        Both speakers, share of their trials that was accepted, and how many
        trials that is of: the highest share first; of equal shares the one
        with more trials, then by name. Pairs without a trial are left out,
        pairs that were never confused come last.

    Example
    -------
    >>> found = confusion(
    ...     [0.9, 0.6, 0.2], [1, 0, 0], list("aab"), list("aba"), 0.5
    ... )
    >>> most_confused(found)
    [('a', 'b', 0.5, 2)]
    """
    first, second = np.nonzero(np.triu(confusion.trials, 1))
    accepted = confusion.accepted[first, second]
    trials = confusion.trials[first, second]
    names = np.asarray(confusion.speakers)
    order = np.lexsort((names[second], names[first], -trials, -accepted))
    return [
        (
            confusion.speakers[first[k]],
            confusion.speakers[second[k]],
            float(accepted[k]),
            int(trials[k]),
        )
        for k in order[:count]
    ]
