"""Calibration against plain loops, SciPy, scikit-learn and known Gaussians."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, logit
from sklearn.metrics import log_loss

from speechbrain_siamese.utils.calibration import (
    Calibration,
    cllr,
    expected_calibration_error,
    fit_calibration,
    min_cllr,
    reliability,
)


def gaussian_trials(seed, count=4000, share=0.2):
    """Scores whose true LLR is the line ``8 * score - 2.4``."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(count) < share).astype(int)
    return generator.normal(np.where(labels, 0.5, 0.1), 0.05**0.5), labels


def weights(labels, prior):
    same = labels.sum()
    return np.where(
        labels == 1, prior / same, (1 - prior) / (len(labels) - same)
    )


def test_cllr_is_the_mean_cost_of_a_plain_loop():
    llrs, labels = gaussian_trials(0, 200)
    costs = {0: [], 1: []}
    for llr, label in zip(llrs, labels, strict=True):
        costs[label].append(math.log2(1 + math.exp(-llr if label else llr)))
    expected = (np.mean(costs[1]) + np.mean(costs[0])) / 2
    assert cllr(llrs, labels) == pytest.approx(expected, abs=1e-12)


def test_cllr_is_scikit_learns_log_loss_at_prior_one_half():
    llrs, labels = gaussian_trials(1, 300)
    expected = log_loss(
        labels, expit(llrs), sample_weight=weights(labels, 0.5)
    ) / math.log(2)
    assert cllr(llrs, labels) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("llrs", "cost"),
    [
        ([0.0, 0.0], 1.0),
        ([math.log(3), -math.log(3)], math.log2(4 / 3)),
        # Sure and wrong: the loss grows without overflow.
        ([-1e4, 1e4], 1e4 / math.log(2)),
        ([1e4, -1e4], 0.0),
    ],
)
def test_cllr_of_cases_worked_by_hand(llrs, cost):
    assert cllr(llrs, [1, 0]) == pytest.approx(cost)


@pytest.mark.parametrize(
    ("scores", "labels", "cost"),
    [
        ([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], 0.0),
        # All wrong or all equal: nothing is known.
        ([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0], 1.0),
        ([0.5, 0.5, 0.5, 0.5], [1, 1, 0, 0], 1.0),
        # D.6 and S.4 are pooled: one in two, half of all the weight.
        ([0.9, 0.6, 0.4, 0.1], [1, 0, 1, 0], 0.5),
    ],
)
def test_min_cllr_of_cases_worked_by_hand(scores, labels, cost):
    assert min_cllr(scores, labels) == pytest.approx(cost, abs=1e-12)


@pytest.mark.parametrize("decimals", [1, 2, 8])
def test_min_cllr_is_that_of_scipys_pooling(decimals):
    scores, labels = gaussian_trials(2, 500)
    scores = scores.round(decimals)
    weight = weights(labels, 0.5)
    distinct, own = np.unique(scores, return_inverse=True)
    total = np.bincount(own, weight)
    share = np.bincount(own, weight * labels) / total
    posterior = isotonic_regression(share, weights=total).x[own]
    cost = 0.0
    for p, label, w in zip(posterior, labels, weight, strict=True):
        cost -= w * math.log2(p if label else 1 - p)
    assert len(distinct) < 500 or decimals == 8
    assert min_cllr(scores, labels) == pytest.approx(cost, abs=1e-9)


def test_no_line_beats_min_cllr():
    scores, labels = gaussian_trials(3, 500)
    least = min_cllr(scores, labels)
    for slope in (1, 3, 8, 20):
        for intercept in (-6, -2.4, 0, 2):
            line = Calibration(slope, intercept)
            assert cllr(line.llr(scores), labels) >= least - 1e-12


def test_fit_finds_the_true_line():
    fitted = fit_calibration(*gaussian_trials(4, 100_000))
    assert fitted.slope == pytest.approx(8, rel=0.05)
    assert fitted.intercept == pytest.approx(-2.4, rel=0.05)


@pytest.mark.parametrize("prior", [0.5, 0.05])
def test_fit_minimises_the_weighted_loss(prior):
    scores, labels = gaussian_trials(5, 400)
    weight = weights(labels, prior) * len(labels)

    def loss(line):
        log_odds = line[0] * scores + line[1] + logit(prior)
        signed = np.where(labels == 1, -log_odds, log_odds)
        penalty = (line[0] * scores.std()) ** 2 / 2
        return (weight * np.logaddexp(0, signed)).sum() + penalty

    found = minimize(loss, [1.0, 0.0], tol=1e-10).x
    fitted = fit_calibration(scores, labels, prior)
    assert [fitted.slope, fitted.intercept] == pytest.approx(found, rel=1e-3)


def test_fitted_on_some_it_is_calibrated_on_others():
    line = fit_calibration(*gaussian_trials(6))
    scores, labels = gaussian_trials(7, 20_000)
    loss = cllr(line.llr(scores), labels) - min_cllr(scores, labels)
    assert loss < 0.01
    before = cllr(scores, labels) - min_cllr(scores, labels)
    assert before > 0.2
    for prior in (0.5, 0.1):
        promised = line.probability(scores, prior)
        assert expected_calibration_error(promised, labels, prior) < 0.02


def test_units_of_the_score_change_no_ratio():
    scores, labels = gaussian_trials(8, 500)
    plain = fit_calibration(scores, labels).llr(scores)
    other = fit_calibration(40 * scores - 7, labels).llr(40 * scores - 7)
    assert other == pytest.approx(plain, rel=1e-4, abs=1e-4)


def test_separable_trials_give_a_finite_line():
    line = fit_calibration([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0])
    assert line.llr(0.8) > 0 > line.llr(0.2)


@pytest.mark.parametrize("same", [[0.1, 0.2], [0.5, 0.5]])
def test_scores_that_tell_nothing_say_nothing(same):
    line = fit_calibration([*same, *(1 - np.array(same))], [1, 1, 0, 0])
    assert line.llr([0.1, 0.9]).tolist() == [0.0, 0.0]
    assert line.probability(0.9, prior=0.2) == pytest.approx(0.2)


def test_line_that_falls_is_refused():
    with pytest.raises(ValueError, match=r"slope -1\.0 and intercept 0\.0"):
        Calibration(-1.0, 0.0)


def test_prior_moves_the_odds():
    line = Calibration(5.0, -1.0)
    odds = logit(line.probability(0.4, 0.2)) - logit(line.probability(0.4))
    assert odds == pytest.approx(math.log(0.2 / 0.8))
    with pytest.raises(ValueError, match=r"prior is 1\.0"):
        line.probability(0.4, 1.0)


def test_reliability_is_that_of_a_plain_loop():
    scores, labels = gaussian_trials(9, 300)
    promised = Calibration(8, -2.4).probability(scores, 0.3)
    same, different = labels.sum(), (1 - labels).sum()
    bins = [[] for _ in range(5)]
    for p, label in zip(promised, labels, strict=True):
        weight = 0.3 / same if label else 0.7 / different
        bins[min(4, int(p * 5))].append((weight, p, label))
    expected, error = [], 0.0
    for own in filter(None, bins):
        total = sum(w for w, _, _ in own)
        told = sum(w * p for w, p, _ in own) / total
        true = sum(w * label for w, _, label in own) / total
        expected.append((told, true, total, len(own)))
        error += total * abs(told - true)
    rows = reliability(promised, labels, prior=0.3, bins=5)
    found = [tuple(row.values()) for row in rows]
    assert np.array(found) == pytest.approx(np.array(expected))
    assert expected_calibration_error(
        promised, labels, prior=0.3, bins=5
    ) == pytest.approx(error)
    assert sum(row["weight"] for row in rows) == pytest.approx(1)


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match=r"from 0\.2 to 1\.5, expected 0 to 1"):
        reliability([0.2, 1.5], [0, 1])
