"""The criterion against SciPy's Gaussians, window by window."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from speechbrain_siamese.processing import bic
from speechbrain_siamese.processing.bic import bic_distances, cepstra


def log_likelihood(frames):
    """Of the frames under the Gaussian that fits them best."""
    covariance = np.cov(frames.T, bias=True) + 1e-6 * np.eye(frames.shape[1])
    return (
        multivariate_normal(frames.mean(axis=0), covariance)
        .logpdf(frames)
        .sum()
    )


@pytest.mark.parametrize("lot", [3, 2000])
def test_it_is_the_difference_of_two_models(monkeypatch, lot):
    monkeypatch.setattr(bic, "_LOT", lot)
    rng = np.random.default_rng(0)
    frames = np.cumsum(rng.standard_normal((300, 3)), axis=0) * 0.1
    window, penalty = 40, 1.3
    found = bic_distances(frames, window, step=17, penalty=penalty)
    borders = range(window, 300 - window + 1, 17)
    assert len(found) == len(borders)
    for value, border in zip(found, borders, strict=True):
        left = frames[border - window : border]
        right = frames[border : border + window]
        both = frames[border - window : border + window]
        gain = log_likelihood(left) + log_likelihood(right)
        gain -= log_likelihood(both)
        # Mean and covariance of one more Gaussian in three dimensions.
        cost = penalty * 0.5 * (3 + 6) * np.log(2 * window)
        assert value == pytest.approx((gain - cost) / window, rel=1e-3)


def test_two_sources_are_told_from_one():
    rng = np.random.default_rng(0)
    one = rng.standard_normal((400, 5))
    two = one * np.where(np.arange(400) < 200, 1, 3)[:, None]
    assert bic_distances(one, 100, 10).max() < 0
    assert bic_distances(two, 100, 10).argmax() == 10


def test_too_few_frames_have_no_border():
    assert bic_distances(np.ones((199, 3)), 100, 10).shape == (0,)


def test_stretches_without_variance_are_finite():
    assert np.isfinite(bic_distances(np.zeros((300, 3)), 100, 10)).all()


def test_cepstra_leave_the_level_out():
    rng = np.random.default_rng(0)
    images = rng.standard_normal((10, 40))
    assert cepstra(images).shape == (10, 13)
    assert cepstra(images + 3.0) == pytest.approx(cepstra(images))
