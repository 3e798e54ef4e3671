"""Thresholds do what the target says, by counting."""

from __future__ import annotations

import numpy as np
import pytest

from speechbrain_siamese.utils.metrics import eer
from speechbrain_siamese.utils.working_points import (
    parse_target,
    working_threshold,
)


def random_trials(seed, decimals):
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat([1, 0], [60, 240]))
    return generator.normal(0.3 * labels, 0.2).round(decimals), labels


def decisions(scores):
    """A threshold for every decision there can be."""
    distinct = np.unique(scores)
    middles = (distinct[1:] + distinct[:-1]) / 2
    return [distinct[0] - 1, *middles, distinct[-1] + 1]


def rates(scores, labels, threshold):
    accepted = scores > threshold
    return accepted[labels == 0].mean(), accepted[labels == 1].mean()


@pytest.mark.parametrize("decimals", [1, 8])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_fpr_is_kept_and_recall_the_best_that_it_allows(share, decimals):
    scores, labels = random_trials(0, decimals)
    fpr, recall = rates(
        scores, labels, working_threshold(scores, labels, f"fpr={share}")
    )
    allowed = [rates(scores, labels, t) for t in decisions(scores)]
    assert fpr <= share
    assert recall == max(r for f, r in allowed if f <= share)
    # And no false acceptance that buys nothing.
    assert fpr == min(f for f, r in allowed if r == recall)


@pytest.mark.parametrize("decimals", [1, 8])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.95, 1.0])
def test_recall_is_kept_and_fpr_the_least_that_it_allows(share, decimals):
    scores, labels = random_trials(1, decimals)
    fpr, recall = rates(
        scores, labels, working_threshold(scores, labels, f"recall={share}")
    )
    allowed = [rates(scores, labels, t) for t in decisions(scores)]
    assert recall >= share
    assert fpr == min(f for f, r in allowed if r >= share)


@pytest.mark.parametrize("prior", [0.01, 0.05, 0.5, 0.99])
def test_dcf_has_the_least_cost(prior):
    scores, labels = random_trials(2, 2)

    def cost(threshold):
        fpr, recall = rates(scores, labels, threshold)
        return prior * (1 - recall) + (1 - prior) * fpr

    chosen = working_threshold(scores, labels, f"dcf={prior}")
    least = min(cost(t) for t in decisions(scores))
    assert cost(chosen) == pytest.approx(least, abs=1e-12)


def test_eer_is_that_of_the_metric():
    scores, labels = random_trials(3, 2)
    assert working_threshold(scores, labels) == eer(scores, labels)[1]


def test_command_line_of_speechbrain_writes_a_space():
    scores, labels = random_trials(4, 2)
    assert working_threshold(scores, labels, "fpr 0.1") == working_threshold(
        scores, labels, "fpr=0.1"
    )


@pytest.mark.parametrize(
    "target",
    ["fpr", "fpr=2", "recall=-1", "dcf=0", "dcf=x", "eer=1", "best", ""],
)
def test_unknown_target_is_refused(target):
    with pytest.raises(
        ValueError, match=r"expected eer, mean_similar, fpr=0\.01"
    ):
        working_threshold([0.9, 0.1], [1, 0], target)


def test_mean_similar_is_the_mean_of_the_same_speaker():
    scores, labels = [-1.0, -3.0, -4.0, -0.5], [1, 1, 0, 0]
    assert working_threshold(scores, labels, "mean_similar") == -2.0
    assert parse_target("mean_similar")[0] == "mean_similar"
