"""GMM-UBM equals its formulas, written as loops, and scikit-learn."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.mixture import GaussianMixture

from speechbrain_siamese.baselines import gmm_ubm
from speechbrain_siamese.baselines.gmm_ubm import (
    log_ratios,
    map_means,
    train_ubm,
)


@pytest.fixture(scope="module")
def ubm() -> GaussianMixture:
    """Three components in two dimensions."""
    frames = np.random.default_rng(0).standard_normal((200, 2)) * [1, 30]
    frames[:100] += [5, 0]
    return GaussianMixture(3, covariance_type="diag", random_state=0).fit(
        frames
    )


def some_frames(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 2)) * 3 + 2


def density(ubm, means, frame) -> float:
    """Of one frame, component by component."""
    return sum(
        weight * norm.pdf(frame, mean, np.sqrt(variance)).prod()
        for weight, mean, variance in zip(
            ubm.weights_, means, ubm.covariances_, strict=True
        )
    )


def test_means_move_as_reynolds_writes(ubm):
    frames = some_frames(20, seed=1)
    expected = np.zeros((3, 2))
    for k in range(3):
        shares = [
            ubm.weights_[k]
            * norm.pdf(x, ubm.means_[k], ubm.covariances_[k] ** 0.5).prod()
            / density(ubm, ubm.means_, x)
            for x in frames
        ]
        count = sum(shares)
        mean = sum(s * x for s, x in zip(shares, frames, strict=True)) / count
        alpha = count / (count + 16)
        expected[k] = alpha * mean + (1 - alpha) * ubm.means_[k]
    np.testing.assert_allclose(map_means(ubm, frames), expected, rtol=1e-9)


def test_scores_are_the_mean_log_ratio_of_the_densities(ubm):
    means = np.stack([map_means(ubm, some_frames(9, seed=s)) for s in (1, 2)])
    frames = some_frames(7, seed=3)
    expected = [
        np.mean(
            [
                np.log(density(ubm, own, x) / density(ubm, ubm.means_, x))
                for x in frames
            ]
        )
        for own in means
    ]
    np.testing.assert_allclose(log_ratios(ubm, means, frames), expected)


def test_scores_equal_scikit_learn_with_the_means_replaced(ubm):
    means = np.stack([map_means(ubm, some_frames(50, s)) for s in range(5)])
    frames = some_frames(40, seed=9)
    expected = []
    for own in means:
        adapted = copy.copy(ubm)
        adapted.means_ = own
        ratio = adapted.score_samples(frames) - ubm.score_samples(frames)
        expected.append(ratio.mean())
    np.testing.assert_allclose(log_ratios(ubm, means, frames), expected)


@pytest.mark.parametrize("block", [1, 8, 60, 100])
def test_blocks_do_not_change_anything(ubm, monkeypatch, block):
    means = np.stack([map_means(ubm, some_frames(9, s)) for s in range(5)])
    frames = some_frames(23, seed=9)
    scores = log_ratios(ubm, means, frames)
    moved = map_means(ubm, frames)
    monkeypatch.setattr(gmm_ubm, "BLOCK", block)
    np.testing.assert_allclose(log_ratios(ubm, means, frames), scores)
    np.testing.assert_allclose(map_means(ubm, frames), moved)


def test_the_mixture_itself_scores_zero(ubm):
    scores = log_ratios(ubm, ubm.means_[None], some_frames(10, seed=0))
    np.testing.assert_allclose(scores, 0, atol=1e-12)


def test_far_frames_have_a_finite_score(ubm):
    means = map_means(ubm, some_frames(9, seed=1))[None]
    assert np.isfinite(log_ratios(ubm, means, np.full((3, 2), 1e4))).all()


def test_speakers_are_known_by_their_frames():
    """Eight people whose frames overlap, six clips each."""
    generator = np.random.default_rng(0)
    own = generator.standard_normal((8, 1, 1, 4))
    frames = own + generator.standard_normal((8, 6, 400, 4))
    ubm = train_ubm(frames[:, 0].reshape(-1, 4), seed=0)
    means = np.stack([map_means(ubm, frames[s, 1]) for s in range(8)])
    for speaker in range(8):
        for clip in range(2, 6):
            scores = log_ratios(ubm, means, frames[speaker, clip])
            assert scores.argmax() == speaker
            assert scores[speaker] > 0


def test_the_same_seed_gives_the_same_mixture():
    frames = np.random.default_rng(0).standard_normal((300, 2))
    one, again = train_ubm(frames, seed=1), train_ubm(frames, seed=1)
    np.testing.assert_array_equal(one.means_, again.means_)
    assert one.means_.shape == one.covariances_.shape == (64, 2)


def test_what_cannot_be_scored_is_refused(ubm):
    frames = some_frames(5, seed=0)
    with pytest.raises(ValueError, match="5 frames, expected at least 64"):
        train_ubm(frames, seed=0)
    with pytest.raises(ValueError, match="3 columns, expected 2"):
        map_means(ubm, np.ones((5, 3)))
    with pytest.raises(ValueError, match="relevance is 0"):
        map_means(ubm, frames, relevance=0)
    with pytest.raises(ValueError, match=r"expected \(speakers, 3, 2\)"):
        log_ratios(ubm, ubm.means_, frames)
    full = GaussianMixture(1).fit(frames)
    with pytest.raises(ValueError, match="'full' covariances"):
        map_means(full, frames)
