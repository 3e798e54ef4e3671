"""How far a metric can be believed: intervals over resampled speakers."""

from __future__ import annotations

from collections.abc import Iterator

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
    _check_level(level, draws)
    sides = speakers_enrol, speakers_test
    values = _values(scores, labels, *sides, metric, draws, seed)
    return _middle(values, level)


def bootstrap_difference(
    scores: np.ndarray,
    others: np.ndarray,
    labels: np.ndarray,
    speakers_enrol: np.ndarray,
    speakers_test: np.ndarray,
    metric: str = "eer",
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of how much two systems differ on the same trials.

    Both meet the same draws of speakers, as in ``bootstrap_interval``: what
    makes trials hard for both cancels. An interval below 0 says that the first
    system is the better one.

    Arguments
    ---------
    scores : np.ndarray
        Of the first system, higher is more alike, (trials,).
    others : np.ndarray
        Of the second system, (trials,).
    labels, speakers_enrol, speakers_test, metric, level, draws, seed
        As for ``bootstrap_interval``.

    Returns
    -------
    low : float
        Lower end of the first system's metric less the second's.
    high : float
        Upper end.

    Raises
    ------
    ValueError
        As ``bootstrap_interval``.

    Example
    -------
    >>> bootstrap_difference(
    ...     [0.9, 0.8, 0.3, 0.2], [0.1, 0.2, 0.3, 0.4], [1, 1, 0, 0],
    ...     list("abab"), list("abba"),
    ... )
    (-1.0, -1.0)
    """
    _check_level(level, draws)
    first, second = (
        _values(own, labels, speakers_enrol, speakers_test, metric, draws, seed)
        for own in (scores, others)
    )
    return _middle(np.subtract(first, second), level)


def bootstrap_band(
    scores: np.ndarray,
    labels: np.ndarray,
    speakers_enrol: np.ndarray,
    speakers_test: np.ndarray,
    far_grid: np.ndarray,
    level: float = 0.95,
    draws: int = 200,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of the false rejections at false acceptance rates.

    Speakers are resampled as in ``bootstrap_interval``. Between operating
    points the curve of a draw is the straight line on which ``eer`` lies as
    well; where a draw has several rejection rates at one acceptance rate it
    is the lowest, which is what one can have for that price. The interval
    holds at each rate by itself, not for the whole curve at once.

    Arguments
    ---------
    scores, labels, speakers_enrol, speakers_test : np.ndarray
        As for ``bootstrap_interval``, (trials,).
    far_grid : np.ndarray
        False acceptance rates, 0 to 1, (rates,).
    level : float
        Share of the draws inside the interval, between 0 and 1.
    draws : int
        Number of draws.
    seed : int
        The same seed gives the same band.

    Returns
    -------
    low : np.ndarray
        Lower end of the false rejection rate, (rates,).
    high : np.ndarray
        Upper end, (rates,).

    Raises
    ------
    ValueError
        If the trials are unusable, labels contradict the speaker ids, or
        the level, number of draws or a rate is out of range.

    Example
    -------
    >>> low, high = bootstrap_band(
    ...     [0.9, 0.4, 0.6, 0.1], [1, 1, 0, 0], list("abab"), list("abba"),
    ...     far_grid=[0.0, 0.5],
    ... )
    >>> low.tolist(), high.tolist()
    ([0.5, 0.0], [0.5, 0.0])
    """
    scores, labels = checked_trials(scores, labels)
    enrol, test, _ = speaker_numbers(labels, speakers_enrol, speakers_test)
    _check_level(level, draws)
    grid = np.asarray(far_grid, dtype=np.float64)
    if grid.ndim != 1 or not ((grid >= 0) & (grid <= 1)).all():
        raise ValueError(
            f"far_grid has shape {grid.shape} and is {grid}, expected false "
            "acceptance rates from 0 to 1, (rates,): give shares, not percent"
        )
    # At a rate that several points share, interp takes the last of them.
    curves = [
        np.interp(grid, far, frr)
        for far, frr in _resampled_rates(
            scores, labels, enrol, test, draws, seed
        )
    ]
    low, high = np.quantile(curves, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def _values(scores, labels, speakers_enrol, speakers_test, metric, draws, seed):
    """A metric of each draw of speakers; the same draws for the same trials."""
    scores, labels = checked_trials(scores, labels)
    enrol, test, _ = speaker_numbers(labels, speakers_enrol, speakers_test)
    if metric != "eer" and metric not in DCF_PRIORS:
        raise ValueError(
            f"metric is {metric!r}, expected one of "
            f"{['eer', *DCF_PRIORS]}: choose one of these"
        )
    return [
        crossing(far, frr)[0]
        if metric == "eer"
        else least_cost(far, frr, DCF_PRIORS[metric])
        for far, frr in _resampled_rates(
            scores, labels, enrol, test, draws, seed
        )
    ]


def _middle(values, level) -> tuple[float, float]:
    """The interval that holds a share of the values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _resampled_rates(
    scores, labels, enrol, test, draws, seed
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """FAR and FRR from accepting nothing to all, for each draw of speakers."""
    order = np.argsort(-scores, kind="stable")
    scores, labels = scores[order], labels[order]
    enrol, test = enrol[order], test[order]
    same = labels == 1
    enrol_same, enrol_other, test_other = enrol[same], enrol[~same], test[~same]
    # The last trial of each run of equal scores: ties move together.
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    # How many trials of either kind are accepted there.
    ends_same = np.cumsum(same)[ends]
    ends_other = ends + 1 - ends_same
    speakers = 1 + max(enrol.max(), test.max())
    generator = np.random.default_rng(seed)
    done = 0
    while done < draws:
        drawn = np.bincount(
            generator.integers(speakers, size=speakers), minlength=speakers
        )
        same_weight = _running_sum(drawn[enrol_same])
        other_weight = _running_sum(drawn[enrol_other] * drawn[test_other])
        # Never endless: one same and one different trial need three
        # speakers at most, all drawn together in 2 of 9 draws or more.
        if not same_weight[-1] or not other_weight[-1]:
            continue
        done += 1
        yield (
            np.append(0.0, other_weight[ends_other] / other_weight[-1]),
            np.append(1.0, 1 - same_weight[ends_same] / same_weight[-1]),
        )


def _running_sum(weights):
    """Sum of the first 0, 1, … of the weights."""
    return np.append(0, np.cumsum(weights))


def _check_level(level, draws):
    """Refuse an interval that cannot be drawn."""
    if not 0 < level < 1 or draws < 1:
        raise ValueError(
            f"level is {level} and draws is {draws}, expected a level "
            "between 0 and 1 and at least one draw: 0.95 and 1000 are usual"
        )


def speaker_numbers(
    labels: np.ndarray, speakers_enrol: np.ndarray, speakers_test: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list]:
    """Both sides of each trial as numbers of speakers.

    Arguments
    ---------
    labels : np.ndarray
        As ``checked_trials`` returns them, (trials,).
    speakers_enrol : np.ndarray
        Speaker id of the first side of each trial, (trials,).
    speakers_test : np.ndarray
        Speaker id of the second side of each trial, (trials,).

    Returns
    -------
    enrol : np.ndarray
        Positions in ``speakers``, (trials,).
    test : np.ndarray
        The same for the second side, (trials,).
    speakers : list
        Each id once, in order.

    Raises
    ------
    ValueError
        If a shape differs or labels contradict the ids.

    Example
    -------
    >>> enrol, test, speakers = speaker_numbers(
    ...     np.array([1, 0]), ["b", "b"], ["b", "a"]
    ... )
    >>> enrol.tolist(), test.tolist(), speakers
    ([1, 1], [1, 0], ['a', 'b'])
    """
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
    # Ten times faster than to sort a million strings.
    first, second = enrol.tolist(), test.tolist()
    names = sorted({*first, *second})
    number = {name: k for k, name in enumerate(names)}
    return (
        np.fromiter(map(number.__getitem__, first), np.intp, len(first)),
        np.fromiter(map(number.__getitem__, second), np.intp, len(second)),
        names,
    )
