"""Metrics against hand-worked cases, plain loops, sklearn and SpeechBrain."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn import metrics as peer
from speechbrain.utils.metric_stats import EER, minDCF

from speechbrain_siamese.utils.metrics import (
    eer,
    min_dcf,
    verification_metrics,
)

KEYS = {
    "eer",
    "min_dcf_0.01",
    "min_dcf_0.05",
    "threshold",
    "accuracy",
    "precision",
    "recall",
    "f1",
    "auc",
    "distance_similar",
    "distance_dissimilar",
    "trials_similar",
    "trials_dissimilar",
}


def random_trials(seed, same=60, different=240, decimals=None):
    """Overlapping scores; few decimals make many ties."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat([1, 0], [same, different]))
    scores = generator.normal(0.2 + 0.3 * labels, 0.2).clip(-1, 1)
    return (scores if decimals is None else scores.round(decimals)), labels


def loop_points(scores, labels):
    """(threshold, FAR, FRR) at each possible decision, highest first."""
    distinct = sorted(set(scores.tolist()), reverse=True)
    thresholds = [distinct[0] + 1]
    thresholds += [(a + b) / 2 for a, b in pairwise(distinct)]
    thresholds += [distinct[-1] - 1]
    points = []
    for threshold in thresholds:
        false_accepts = false_rejects = 0
        for score, label in zip(scores, labels, strict=True):
            false_accepts += label == 0 and score > threshold
            false_rejects += label == 1 and not score > threshold
        far = false_accepts / (labels == 0).sum()
        points.append((threshold, far, false_rejects / (labels == 1).sum()))
    return points


def loop_eer(scores, labels):
    points = loop_points(scores, labels)
    for k in range(1, len(points)):
        (_, far0, frr0), (_, far1, frr1) = points[k - 1], points[k]
        if far1 >= frr1:
            # far0 + t (far1 - far0) = frr0 + t (frr1 - frr0)
            t = (frr0 - far0) / ((far1 - far0) - (frr1 - frr0))
            return far0 + t * (far1 - far0)
    raise AssertionError("FAR ends at 1 and FRR at 0, so they cross")


@pytest.mark.parametrize(
    ("same", "different", "rate", "threshold"),
    [
        # perfect: .9 .8 | .3 .1
        ([0.9, 0.8], [0.3, 0.1], 0.0, 0.55),
        # all wrong: every threshold between the classes errs on all trials
        ([0.1, 0.2], [0.8, 0.9], 1.0, 0.5),
        # two by two: S.9 D.6 | S.4 D.1, one of two wrong on each side
        ([0.9, 0.4], [0.6, 0.1], 0.5, 0.5),
        # S.8 S.6 D.5 S.3 D.1: FAR 0 -> 1/2 passes FRR = 1/3 at D.5, and
        # the point after it (gap 1/6) is nearer than the one before (1/3)
        ([0.8, 0.6, 0.3], [0.5, 0.1], 1 / 3, 0.4),
        # S.8 (S.5 D.5) D.1: the tie moves from (0, 1/2) to (1/2, 0), both
        # points are as near, so the higher threshold
        ([0.8, 0.5], [0.5, 0.1], 0.25, 0.65),
    ],
)
def test_eer_by_hand(same, different, rate, threshold):
    scores = np.array(same + different)
    labels = np.repeat([1, 0], [len(same), len(different)])
    assert eer(scores, labels) == pytest.approx((rate, threshold))


def test_eer_of_equal_scores_is_half_and_accepts_nothing():
    scores = np.full(7, 0.3)
    rate, threshold = eer(scores, np.array([1, 0, 0, 1, 0, 0, 0]))
    assert rate == 0.5
    assert not (scores >= threshold).any()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("decimals", [None, 1])
def test_eer_equals_a_loop_over_all_thresholds(seed, decimals):
    scores, labels = random_trials(seed, 15, 40, decimals)
    rate, threshold = eer(scores, labels)
    assert rate == pytest.approx(loop_eer(scores, labels), abs=1e-12)
    # The threshold is at the point where FAR and FRR differ least.
    far = (scores > threshold)[labels == 0].mean()
    frr = (scores <= threshold)[labels == 1].mean()
    gaps = [abs(a - r) for _, a, r in loop_points(scores, labels)]
    assert abs(far - frr) == pytest.approx(min(gaps), abs=1e-12)


@pytest.mark.parametrize("decimals", [None, 1])
def test_threshold_is_never_a_score(decimals):
    scores, labels = random_trials(5, decimals=decimals)
    assert eer(scores, labels)[1] not in scores


def test_threshold_separates_neighbouring_floats():
    for high in (0.5, 1.0, np.nextafter(1.0, 0)):
        scores = np.array([high, np.nextafter(high, -1)])
        rate, threshold = eer(scores, np.array([1, 0]))
        assert rate == 0
        assert (scores > threshold).tolist() == [True, False]


@pytest.mark.parametrize("seed", range(3))
def test_eer_agrees_with_speechbrain_within_one_trial(seed):
    scores, labels = random_trials(seed)
    positive = torch.from_numpy(scores[labels == 1])
    negative = torch.from_numpy(scores[labels == 0])
    peer_rate, peer_threshold = EER(positive, negative)
    rate, threshold = eer(scores, labels)
    assert rate == pytest.approx(peer_rate, abs=1 / len(positive))
    # Both decide alike, but for the trials between two equally near points.
    moved = (scores > threshold) != (scores > peer_threshold)
    assert moved.sum() <= len(negative) / len(positive)


@pytest.mark.parametrize("p_target", [0.01, 0.05, 0.5])
@pytest.mark.parametrize("costs", [(1.0, 1.0), (10.0, 2.0)])
def test_speechbrains_min_dcf_lacks_only_the_normalisation(p_target, costs):
    scores, labels = random_trials(1)
    c_miss, c_fa = costs
    peer_cost, _ = minDCF(
        torch.from_numpy(scores[labels == 1]),
        torch.from_numpy(scores[labels == 0]),
        c_miss=c_miss,
        c_fa=c_fa,
        p_target=p_target,
    )
    ours = min_dcf(scores, labels, p_target, c_miss, c_fa)
    norm = min(c_miss * p_target, c_fa * (1 - p_target))
    assert ours * norm == pytest.approx(peer_cost, rel=1e-5)


@pytest.mark.parametrize("decimals", [None, 1])
def test_min_dcf_equals_a_loop_over_all_thresholds(decimals):
    scores, labels = random_trials(2, 15, 40, decimals)
    costs = [
        3 * 0.1 * frr + 2 * 0.9 * far
        for _, far, frr in loop_points(scores, labels)
    ]
    expected = min(costs) / (3 * 0.1)
    assert min_dcf(scores, labels, 0.1, 3.0, 2.0) == pytest.approx(expected)


@pytest.mark.parametrize("p_target", [0.01, 0.99])
def test_min_dcf_of_reversed_scores_is_one(p_target):
    # Accepting all (likely targets) or nothing (rare ones) is the best left.
    assert min_dcf([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0], p_target) == 1.0


@pytest.mark.parametrize("threshold", [None, 0.15, 0.5])
def test_figures_at_a_threshold_equal_sklearns(threshold):
    scores, labels = random_trials(3, decimals=2)
    found = verification_metrics(scores, labels, threshold)
    used = eer(scores, labels)[1] if threshold is None else threshold
    accepted = scores > used
    assert found["threshold"] == used
    assert found["accuracy"] == peer.accuracy_score(labels, accepted)
    assert found["precision"] == peer.precision_score(labels, accepted)
    assert found["recall"] == peer.recall_score(labels, accepted)
    assert found["f1"] == pytest.approx(peer.f1_score(labels, accepted))
    auc = peer.roc_auc_score(labels, scores)
    assert found["auc"] == pytest.approx(auc, abs=1e-12)
    assert found["eer"] == eer(scores, labels)[0]
    assert found["min_dcf_0.01"] == min_dcf(scores, labels, 0.01)
    assert found["min_dcf_0.05"] == min_dcf(scores, labels, 0.05)


def test_score_equal_to_the_threshold_is_rejected():
    found = verification_metrics([0.9, 0.5, 0.1], [1, 1, 0], threshold=0.5)
    assert (found["recall"], found["precision"]) == (0.5, 1.0)


@pytest.mark.filterwarnings("error")
def test_precision_and_f1_are_zero_if_nothing_is_accepted():
    found = verification_metrics([0.9, 0.5, 0.1], [1, 1, 0], threshold=1.5)
    assert (found["precision"], found["recall"], found["f1"]) == (0, 0, 0)


def test_distances_are_those_of_the_unit_vectors():
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(2, 50, 8))
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second /= np.linalg.norm(second, axis=1, keepdims=True)
    labels = np.arange(50) % 3 == 0
    found = verification_metrics((first * second).sum(axis=1), labels)
    distances = np.linalg.norm(first - second, axis=1)
    similar, dissimilar = distances[labels].mean(), distances[~labels].mean()
    assert found["distance_similar"] == pytest.approx(similar)
    assert found["distance_dissimilar"] == pytest.approx(dissimilar)
    assert (found["trials_similar"], found["trials_dissimilar"]) == (17, 33)


@pytest.mark.filterwarnings("error")
def test_cosine_rounded_above_one_has_distance_zero():
    found = verification_metrics(np.float32([1.0000001, 0.0]), [1, 0])
    assert found["distance_similar"] == 0


def test_metrics_have_the_agreed_keys_and_survive_json():
    scores, labels = random_trials(4)
    found = verification_metrics(
        scores.astype(np.float32), labels.astype(bool), np.float32(0.25)
    )
    assert set(found) == KEYS
    assert {type(value) for value in found.values()} == {float, int}
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("function", [eer, min_dcf, verification_metrics])
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.1, 0.2, 0.3], [0, 1], "one label per score"),
        ([[0.1], [0.2]], [[0], [1]], "flatten"),
        ([], [], "no trials"),
        ([0.1, 0.2], [1, 1], "all 2 trials have label 1"),
        ([0.1, 0.2], [0, 0], "all 2 trials have label 0"),
        ([0.1, 0.2], [-1, 1], r"labels \[-1, 1\]"),
        ([0.1, 0.2], [0.5, 1], r"labels \[0.5, 1.0\]"),
        ([0.1, 0.2], ["same", "different"], "labels"),
        ([0.1, np.nan], [0, 1], "first is trial 1"),
        ([np.inf, 0.1], [1, 0], "first is trial 0"),
    ],
)
def test_unusable_trials_are_named(function, scores, labels, message):
    with pytest.raises(ValueError, match=message):
        function(np.array(scores), np.array(labels))


@pytest.mark.parametrize("threshold", [np.nan, np.inf])
def test_threshold_that_is_not_finite_is_refused(threshold):
    with pytest.raises(ValueError, match="threshold is"):
        verification_metrics([0.9, 0.1], [1, 0], threshold)


def test_scores_that_are_no_cosines_have_no_distance():
    with pytest.raises(ValueError, match="reach from -4 to -1"):
        verification_metrics([-1.0, -4.0], [1, 0])


@pytest.mark.parametrize("wrong", [{"p_target": 1.0}, {"c_fa": 0.0}])
def test_prior_or_cost_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        min_dcf([0.9, 0.1], [1, 0], **wrong)
