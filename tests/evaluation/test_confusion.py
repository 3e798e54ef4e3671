"""Who is taken for whom, against counting trial by trial."""

from __future__ import annotations

import numpy as np
import pytest

from speechbrain_siamese.evaluation.confusion import (
    Confusion,
    confusion,
    most_confused,
)


def random_trials(seed, speakers, count):
    generator = np.random.default_rng(seed)
    names = np.array([f"id{n:03d}" for n in range(speakers)])
    enrol, test = generator.integers(speakers, size=(2, count))
    labels = (enrol == test).astype(int)
    scores = generator.normal(0.6 * labels, 0.3)
    return scores, labels, names[enrol], names[test]


def test_cells_equal_counting_trial_by_trial():
    scores, labels, enrol, test = random_trials(0, 9, 120)
    scores = scores.round(1)
    found = confusion(scores, labels, enrol, test, 0.3)
    assert found.speakers == tuple(f"id{n:03d}" for n in range(9))
    empty = 0
    for row, one in enumerate(found.speakers):
        for column, other in enumerate(found.speakers):
            answers = [
                score > 0.3
                for score, first, second in zip(
                    scores, enrol, test, strict=True
                )
                if (first, second) in {(one, other), (other, one)}
            ]
            assert found.trials[row, column] == len(answers)
            share = found.accepted[row, column]
            if answers:
                assert share == pytest.approx(np.mean(answers))
            else:
                assert np.isnan(share)
                empty += 1
    assert empty


def test_speakers_may_be_numbers():
    found = confusion([0.9, 0.2], [1, 0], [7, 7], [7, 3], 0.5)
    assert found.speakers == (3, 7)
    np.testing.assert_array_equal(found.accepted, [[np.nan, 0], [0, 1]])


def test_a_million_trials_of_500_speakers():
    found = confusion(*random_trials(1, 500, 1_000_000), 0.3)
    pairs = most_confused(found)
    assert np.triu(found.trials).sum() == 1_000_000
    assert len(pairs) == 10


def made(shares, trials, speakers="abcd"):
    """A symmetric confusion of upper triangles in reading order."""
    matrices = []
    for values in (shares, trials):
        matrix = np.zeros((len(speakers),) * 2)
        matrix[np.triu_indices(len(speakers), 1)] = values
        matrices.append(matrix + matrix.T)
    shares, counts = matrices
    shares[counts == 0] = np.nan
    return Confusion(tuple(speakers), shares, counts.astype(int))


def test_most_confused_by_share_then_trials_then_name():
    #       ab   ac   ad   bc   bd   cd
    shares = [0.5, 0.2, 0.5, 0.5, 0.0, 0.9]
    found = most_confused(made(shares, [4, 9, 8, 4, 7, 0]))
    assert found == [
        ("a", "d", 0.5, 8),
        ("a", "b", 0.5, 4),
        ("b", "c", 0.5, 4),
        ("a", "c", 0.2, 9),
        ("b", "d", 0.0, 7),
    ]


def test_equal_pairs_are_by_name_whatever_the_order_of_the_speakers():
    found = most_confused(made([0.5] * 6, [2] * 6, "dcba"), count=2)
    assert [pair[:2] for pair in found] == [("b", "a"), ("c", "a")]


def test_one_speaker_with_oneself_is_no_confusion():
    found = confusion([0.9, 0.8, 0.7], [1, 1, 0], list("aba"), list("abb"), 0.5)
    assert most_confused(found) == [("a", "b", 1.0, 1)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": np.nan}, "threshold is nan"),
        ({"labels": [1, 1]}, "have label 1"),
        ({"speakers_test": ["b", "b"]}, "trial 0: a and b with label 1"),
        ({"scores": [np.nan, 0.1]}, "NaN"),
    ],
)
def test_unusable_trials_are_named(changes, message):
    trials = {
        "scores": [0.9, 0.1],
        "labels": [1, 0],
        "speakers_enrol": ["a", "a"],
        "speakers_test": ["a", "b"],
        "threshold": 0.5,
    }
    with pytest.raises(ValueError, match=message):
        confusion(**{**trials, **changes})
