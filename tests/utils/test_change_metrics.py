"""Matches, purity and coverage: drawn by hand, and against a plain search."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from speechbrain_siamese.utils.change_metrics import (
    ChangeFigures,
    between_changes,
    change_figures,
    count_matches,
    purity,
)


def most_matches(found, truth, tolerance):
    """By trying every assignment."""
    few, many = sorted((list(found), list(truth)), key=len)
    return max(
        sum(abs(a - b) <= tolerance for a, b in zip(few, chosen, strict=True))
        for chosen in itertools.permutations(many, len(few))
    )


@pytest.mark.parametrize("seed", range(40))
def test_matches_are_as_many_as_any_assignment_has(seed):
    rng = np.random.default_rng(seed)
    found, truth = rng.uniform(0, 6, 4), rng.uniform(0, 6, rng.integers(1, 6))
    tolerance = rng.uniform(0.1, 2)
    expected = most_matches(found, truth, tolerance)
    assert count_matches(found, truth, tolerance) == expected


def test_a_change_is_matched_once():
    # found   x x
    # truth    |        within 0.5 s of both
    assert count_matches([1.0, 1.4], [1.2], 0.5) == 1
    assert count_matches([1.2], [1.0, 1.4], 0.5) == 1


def test_the_tolerance_counts():
    assert count_matches([1.5], [1.0], 0.5) == 1
    assert count_matches([1.51], [1.0], 0.5) == 0


def test_figures_are_over_all_recordings():
    found = change_figures([([1, 2, 3], [1]), ([5], [5, 9])], 0.1)
    assert found == ChangeFigures(precision=2 / 4, recall=2 / 3)
    assert found.f1 == pytest.approx(2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3))


def test_nothing_found_and_nothing_to_find():
    assert change_figures([([], [1.0])], 0.5) == ChangeFigures(1.0, 0.0)
    assert change_figures([([1.0], [])], 0.5) == ChangeFigures(0.0, 1.0)
    assert change_figures([([1.0], [9.0])], 0.5).f1 == 0


def test_purity_and_coverage():
    # truth    |  a  |    b    |   c   |      0-3, 3-8, 8-12
    # found    |     A     |   B  | C  |      0-6, 6-10, 10-12
    found, truth = [(0, 6), (6, 10), (10, 12)], [(0, 3), (3, 8), (8, 12)]
    assert purity(found, truth) == (3 + 2 + 2, 12)
    assert purity(truth, found) == (3 + 3 + 2, 12)


def test_what_nobody_says_does_not_count():
    assert purity([(0, 10)], [(2, 5)]) == (3, 3)
    assert purity([(0, 10)], []) == (0, 0)
    assert purity([], [(0, 1)]) == (0, 0)


def test_segments_between_changes():
    assert between_changes([0.0, 7.0, 5.0, 9.0], 1.0, 9.0) == [
        (1.0, 5.0),
        (5.0, 7.0),
        (7.0, 9.0),
    ]


@pytest.mark.parametrize("seed", range(10))
def test_segments_are_as_pyannote_measures_them(seed):
    core = pytest.importorskip("pyannote.core")
    measured = pytest.importorskip("pyannote.metrics.segmentation")
    rng = np.random.default_rng(seed)
    sides = [
        between_changes(rng.uniform(0, 30, count), 0.0, 30.0)
        for count in (6, 9)
    ]
    ours, truth = sides
    theirs = [
        core.Annotation.from_records(
            (core.Segment(*own), number, number)
            for number, own in enumerate(side)
        )
        for side in sides
    ]
    pure, whole = purity(ours, truth)
    covered, of_truth = purity(truth, ours)
    assert pure / whole == pytest.approx(
        measured.SegmentationPurity()(theirs[1], theirs[0]), abs=1e-6
    )
    assert covered / of_truth == pytest.approx(
        measured.SegmentationCoverage()(theirs[1], theirs[0]), abs=1e-6
    )


@pytest.mark.parametrize("seed", range(10))
def test_changes_are_counted_as_pyannote_counts_them(seed):
    core = pytest.importorskip("pyannote.core")
    measured = pytest.importorskip("pyannote.metrics.segmentation")
    rng = np.random.default_rng(seed)
    # Far enough from each other that theirs, which takes the nearest pair
    # first, matches as many as ours.
    truth = np.arange(3.0, 30.0, 3.0) + rng.uniform(-1, 1, 9)
    found = np.concatenate([truth[:7] + rng.uniform(-1, 1, 7), [29.9]])
    theirs = [
        core.Annotation.from_records(
            (core.Segment(*own), number, number)
            for number, own in enumerate(between_changes(side, 0.0, 31.0))
        )
        for side in (truth, found)
    ]
    ours = change_figures([(found, truth)], 0.5)
    assert ours.precision == pytest.approx(
        measured.SegmentationPrecision(tolerance=0.5)(*theirs)
    )
    assert ours.recall == pytest.approx(
        measured.SegmentationRecall(tolerance=0.5)(*theirs)
    )
