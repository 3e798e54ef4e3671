"""How far a metric can be believed: intervals over resampled speakers."""

from __future__ import annotations

import numpy as np

from speechbrain_siamese.utils.metrics import (
    DCF_PRIORS,
    checked_trials,
    crossing,
    least_cost,
)


def bootstrap_interval(
    scores: np.ndarray,
    labels: np.ndarray,
    speakers_enrol: np.ndarray,
    speakers_test: np.ndarray,
    metric: str = "eer",
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a metric over resampled speakers.

    Trials that share a speaker are not independent, so whole speakers are
    drawn with replacement, as many as there are. If a speaker was drawn
    ``w`` times, a trial between a and b weighs ``w_a * w_b`` and a
    same-speaker trial of a weighs ``w_a``: a voice isn't a stranger to its
    own copy. A draw without any same or without any different trial has no
    metric and is drawn again, so the interval is conditional on both kinds
    being there; that matters for a handful of speakers only.

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
    metric : str
        ``eer``, ``min_dcf_0.01`` or ``min_dcf_0.05``.
    level : float
        Share of the draws inside the interval, between 0 and 1.
    draws : int
        Number of draws.
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    low : float
        Lower end.
    high : float
        Upper end.

    Raises
    ------
    ValueError
        If the trials are unusable, labels contradict the speaker ids, or
        the metric, level or number of draws is out of range.

    Example
    -------
    >>> low, high = bootstrap_interval(
    ...     [0.9, 0.8, 0.3, 0.2], [1, 1, 0, 0], list("abab"), list("abba")
    ... )
    >>> low, high
    (0.0, 0.0)
    """
    scores, labels = checked_trials(scores, labels)
    enrol, test, speakers = _checked_speakers(
        labels, speakers_enrol, speakers_test
    )
    if metric != "eer" and metric not in DCF_PRIORS:
        raise ValueError(
            f"metric is {metric!r}, expected one of "
            f"{['eer', *DCF_PRIORS]}: choose one of these"
        )
    if not 0 < level < 1 or draws < 1:
        raise ValueError(
            f"level is {level} and draws is {draws}, expected a level "
            "between 0 and 1 and at least one draw: 0.95 and 1000 are usual"
        )
    order = np.argsort(-scores, kind="stable")
    scores, labels = scores[order], labels[order]
    enrol, test = enrol[order], test[order]
    # The last trial of each run of equal scores: ties move together.
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    generator = np.random.default_rng(seed)
    values = []
    while len(values) < draws:
        drawn = np.bincount(
            generator.integers(speakers, size=speakers), minlength=speakers
        )
        weights = drawn[enrol] * np.where(labels == 1, 1, drawn[test])
        accepted_same = np.cumsum(weights * labels)[ends]
        accepted_different = np.cumsum(weights * (1 - labels))[ends]
        # Never endless: one same and one different trial need three
        # speakers at most, all drawn together in 2 of 9 draws or more.
        if not accepted_same[-1] or not accepted_different[-1]:
            continue
        far = np.append(0.0, accepted_different / accepted_different[-1])
        frr = np.append(1.0, 1 - accepted_same / accepted_same[-1])
        if metric == "eer":
            values.append(crossing(far, frr)[0])
        else:
            values.append(least_cost(far, frr, DCF_PRIORS[metric]))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _checked_speakers(labels, speakers_enrol, speakers_test):
    """Both sides as numbers from 0, and how many speakers there are."""
    enrol, test = np.asarray(speakers_enrol), np.asarray(speakers_test)
    if enrol.shape != labels.shape or test.shape != labels.shape:
        raise ValueError(
            f"speakers_enrol has shape {enrol.shape}, speakers_test "
            f"{test.shape} and labels {labels.shape}, expected the same "
            "shape: give both speakers of every trial"
        )
    wrong = np.flatnonzero((enrol == test) != (labels == 1))
    if len(wrong):
        first = wrong[0]
        raise ValueError(
            f"{len(wrong)} trials contradict their labels, the first is "
            f"trial {first}: {enrol[first]} and {test[first]} with label "
            f"{labels[first]}, expected 1 for equal and 0 for different "
            "ids: mend the list or the ids"
        )
    names, numbers = np.unique(
        np.concatenate([enrol, test]), return_inverse=True
    )
    return numbers[: len(enrol)], numbers[len(enrol) :], len(names)
