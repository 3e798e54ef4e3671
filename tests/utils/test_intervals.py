"""Intervals over resampled speakers, against trials repeated one by one."""

from __future__ import annotations

import numpy as np
import pytest

from speechbrain_siamese.utils.intervals import (
    bootstrap_band,
    bootstrap_difference,
    bootstrap_interval,
)
from speechbrain_siamese.utils.metrics import eer, min_dcf


def speaker_trials(seed, speakers):
    """Trials with a speaker effect: some voices are hard to recognise."""
    generator = np.random.default_rng(seed)
    enrol = np.repeat(np.arange(speakers), 40)
    strangers = generator.integers(1, speakers, size=len(enrol))
    shift = np.where(np.arange(len(enrol)) % 40 < 10, 0, strangers)
    test = (enrol + shift) % speakers
    labels = (enrol == test).astype(int)
    hard = generator.normal(0, 0.1, size=speakers)
    noise = generator.normal(0, 0.12, size=len(enrol))
    return 0.2 + 0.3 * labels + hard[enrol] + noise, labels, enrol, test


@pytest.mark.parametrize("metric", ["eer", "min_dcf_0.01", "min_dcf_0.05"])
@pytest.mark.parametrize("speakers", [3, 8])
def test_bootstrap_equals_repeating_the_trials(metric, speakers):
    scores, labels, enrol, test = speaker_trials(0, speakers)
    scores = scores.round(2)
    names = np.array([f"id{n}" for n in range(speakers)])
    values = []
    for rows in rows_of_draws(30, 11, labels, enrol, test):
        if metric == "eer":
            values.append(eer(scores[rows], labels[rows])[0])
        else:
            prior = float(metric.removeprefix("min_dcf_"))
            values.append(min_dcf(scores[rows], labels[rows], prior))
    expected = np.quantile(values, [0.05, 0.95])
    found = bootstrap_interval(
        scores, labels, names[enrol], names[test], metric, 0.9, 30, seed=11
    )
    assert found == pytest.approx(tuple(expected), abs=1e-12)


def test_difference_equals_repeating_the_trials_for_both_systems():
    scores, labels, enrol, test = speaker_trials(0, 6)
    others = speaker_trials(1, 6)[0].round(1)
    values = [
        eer(scores[rows], labels[rows])[0] - eer(others[rows], labels[rows])[0]
        for rows in rows_of_draws(30, 11, labels, enrol, test)
    ]
    found = bootstrap_difference(
        scores, others, labels, enrol, test, "eer", 0.9, 30, seed=11
    )
    assert found == pytest.approx(np.quantile(values, [0.05, 0.95]), abs=1e-12)
    assert found[0] < found[1]


def rows_of_draws(draws, seed, labels, enrol, test):
    """The trials of each draw of speakers, repeated one by one."""
    speakers = 1 + max(*enrol, *test)
    generator = np.random.default_rng(seed)
    done = 0
    while done < draws:
        drawn = generator.integers(speakers, size=speakers).tolist()
        rows = []
        for row in range(len(labels)):
            copies = drawn.count(enrol[row])
            if enrol[row] != test[row]:
                copies *= drawn.count(test[row])
            rows += [row] * copies
        if set(labels[rows].tolist()) == {0, 1}:
            done += 1
            yield rows


def rejected_at(wanted, scores, labels):
    """FRR at a FAR, on the straight line between two thresholds."""
    points = []
    for threshold in [np.inf, *sorted(set(scores.tolist()), reverse=True)]:
        accepted = scores >= threshold
        points.append(
            (accepted[labels == 0].mean(), 1 - accepted[labels == 1].mean())
        )
    last = max(k for k, (far, _) in enumerate(points) if far <= wanted)
    if points[last][0] == wanted:
        return points[last][1]
    (far, frr), (next_far, next_frr) = points[last : last + 2]
    return frr + (wanted - far) / (next_far - far) * (next_frr - frr)


@pytest.mark.parametrize("decimals", [1, 8])
@pytest.mark.parametrize("speakers", [3, 6])
def test_band_equals_repeating_the_trials(speakers, decimals):
    scores, labels, enrol, test = speaker_trials(0, speakers)
    scores = scores.round(decimals)
    grid = np.array([0.0, 0.01, 0.1, 0.25, 0.5, 0.9, 1.0])
    curves = [
        [rejected_at(far, scores[rows], labels[rows]) for far in grid]
        for rows in rows_of_draws(20, 7, labels, enrol, test)
    ]
    expected = np.quantile(curves, [0.05, 0.95], axis=0)
    names = np.array([f"id{n}" for n in range(speakers)])
    found = bootstrap_band(
        scores, labels, names[enrol], names[test], grid, 0.9, 20, seed=7
    )
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_band_and_interval_come_from_the_same_draws():
    scores, labels, enrol, test = speaker_trials(1, 12)
    low, high = bootstrap_interval(scores, labels, enrol, test, draws=1)
    # At the EER of the only draw its false rejections are the EER.
    band = bootstrap_band(scores, labels, enrol, test, [low], draws=1)
    assert low == high
    assert [end.item() for end in band] == pytest.approx([low, low])


def test_intervals_are_those_of_earlier_releases():
    trials = speaker_trials(5, 20)
    for metric, expected in (
        ("eer", (0.11499999999999999, 0.20999999999999996)),
        ("min_dcf_0.01", (0.547375, 0.9250000000000002)),
        ("min_dcf_0.05", (0.5311112040133779, 0.8530298493573292)),
    ):
        found = bootstrap_interval(*trials, metric, draws=100, seed=9)
        assert found == pytest.approx(expected, rel=1e-12)


def test_same_seed_gives_the_same_interval():
    trials = speaker_trials(1, 12)
    first = bootstrap_interval(*trials, draws=50, seed=3)
    assert bootstrap_interval(*trials, draws=50, seed=3) == first
    assert bootstrap_interval(*trials, draws=50, seed=4) != first


@pytest.mark.parametrize("seed", range(3))
def test_interval_covers_the_point_estimate(seed):
    scores, labels, enrol, test = speaker_trials(seed, 30)
    low, high = bootstrap_interval(scores, labels, enrol, test)
    assert low < eer(scores, labels)[0] < high
    low, high = bootstrap_interval(scores, labels, enrol, test, "min_dcf_0.05")
    assert low < min_dcf(scores, labels, 0.05) < high


def test_interval_shrinks_with_more_speakers():
    few, many = (
        np.diff(bootstrap_interval(*speaker_trials(0, n), draws=300)).item()
        for n in (10, 160)
    )
    # Four times narrower in theory; half of that is asked for.
    assert many < few / 2


def test_interval_does_not_shrink_with_repeated_trials():
    trials = speaker_trials(0, 10)
    repeated = [np.tile(column, 5) for column in trials]
    once = bootstrap_interval(*trials, draws=100)
    assert bootstrap_interval(*repeated, draws=100) == pytest.approx(once)


def test_two_speakers_still_have_an_interval():
    # Half of the draws hold one speaker twice: no different trials.
    interval = bootstrap_interval(
        [0.9, 0.4, 0.6, 0.1], [1, 1, 0, 0], list("abab"), list("abba")
    )
    # Each usable draw holds both speakers once: the hand-worked 2x2 case.
    assert interval == (0.5, 0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "auc"}, "'auc'"),
        ({"level": 1.0}, "level is 1.0"),
        ({"draws": 0}, "draws is 0"),
        ({"speakers_test": ["a"]}, "both speakers of every trial"),
        ({"speakers_test": ["b", "b"]}, "trial 0: a and b with label 1"),
        ({"speakers_test": ["a", "a"]}, "trial 1: a and a with label 0"),
    ],
)
def test_bootstrap_names_what_is_wrong(changes, message):
    trials = {
        "scores": [0.9, 0.1],
        "labels": [1, 0],
        "speakers_enrol": ["a", "a"],
        "speakers_test": ["a", "b"],
    }
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(**{**trials, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"far_grid": [0.5, 5.0]}, "shares, not percent"),
        ({"far_grid": 0.5}, r"shape \(\)"),
        ({"far_grid": [np.nan]}, "from 0 to 1"),
        ({"level": 0.0}, "level is 0.0"),
        ({"draws": 0}, "draws is 0"),
        ({"speakers_test": ["b", "b"]}, "trial 0: a and b with label 1"),
    ],
)
def test_band_names_what_is_wrong(changes, message):
    trials = {
        "scores": [0.9, 0.1],
        "labels": [1, 0],
        "speakers_enrol": ["a", "a"],
        "speakers_test": ["a", "b"],
        "far_grid": [0.5],
    }
    with pytest.raises(ValueError, match=message):
        bootstrap_band(**{**trials, **changes})
