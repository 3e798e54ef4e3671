"""Supervectors against scikit-learn's mixture and the adaptation of GMM-UBM."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dct
from sklearn.mixture import GaussianMixture

from speechbrain_siamese.baselines.gmm_ubm import map_means
from speechbrain_siamese.lobes.features import subtract_mean
from speechbrain_siamese.lobes.supervector import Supervector


@pytest.fixture(scope="module")
def windows():
    """Images of 60 windows with slow changes, each bin with mean 0."""
    torch.manual_seed(0)
    return subtract_mean(torch.randn(60, 50, 32).cumsum(dim=1))


@pytest.fixture(scope="module")
def fitted(windows):
    supervector = Supervector(components=4, n_mels=32)
    supervector.fit(windows, seed=1)
    return supervector


def frames_of(window):
    """Cepstra and slopes by a loop."""
    cepstra = np.stack(
        [dct(frame, norm="ortho")[1:20] for frame in window.double().numpy()]
    )
    padded = np.concatenate([cepstra[:1]] * 4 + [cepstra] + [cepstra[-1:]] * 4)
    slopes = np.zeros_like(cepstra)
    for frame in range(len(cepstra)):
        for step in range(-4, 5):
            slopes[frame] += step * padded[frame + 4 + step] / 60
    return np.hstack([cepstra, slopes])


def mixture_of(supervector):
    """The same mixture as scikit-learn has it."""
    mixture = GaussianMixture(4, covariance_type="diag")
    mixture.means_ = supervector.means.double().numpy()
    mixture.covariances_ = 1 / supervector.precisions.double().numpy()
    mixture.precisions_cholesky_ = 1 / np.sqrt(mixture.covariances_)
    mixture.weights_ = supervector.log_weights.double().exp().numpy()
    return mixture


def test_supervectors_are_moved_means_in_deviations(fitted, windows):
    mixture = mixture_of(fitted)
    moved = np.stack(
        [
            map_means(mixture, frames_of(window)) - mixture.means_
            for window in windows
        ]
    )
    scaled = (moved - moved.mean(axis=0)) / moved.std(axis=0)
    expected = scaled.reshape(len(moved), -1)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = fitted(windows).double().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_window_is_described_alone(fitted, windows):
    found = fitted(windows[:5])
    assert torch.allclose(found, fitted(windows)[:5], atol=1e-5)
    assert torch.allclose(found.norm(dim=-1), torch.ones(5))


def test_the_seed_alone_decides_and_the_state_holds_all(fitted, windows):
    again = Supervector(components=4, n_mels=32)
    again.fit(windows, seed=1)
    assert torch.equal(again(windows), fitted(windows))
    loaded = Supervector(components=4, n_mels=32)
    loaded.load_state_dict(fitted.state_dict())
    assert torch.equal(loaded(windows), fitted(windows))


def test_half_precision_around_it_changes_nothing(fitted, windows):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        around = fitted(windows)
    assert torch.equal(around, fitted(windows))
    assert around.dtype == torch.float32


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_joint_cosine_is_the_weighted_mean(share, fitted, windows):
    own = torch.nn.functional.normalize(torch.randn(60, 7), dim=-1)
    fitted.share.fill_(share)
    joint = fitted.join(own, windows)
    fitted.share.zero_()
    other = fitted(windows)
    expected = (1 - share) * own @ own.T + share * other @ other.T
    torch.testing.assert_close(joint @ joint.T, expected)
    if not share:
        assert joint is own


def test_impossible_sizes_are_refused(windows):
    with pytest.raises(ValueError, match="supervector_components"):
        Supervector(components=1, n_mels=32)
    with pytest.raises(ValueError, match="n_mels is 19, expected more"):
        Supervector(components=4, n_mels=19)
    with pytest.raises(ValueError, match="50 frames, expected at least 64"):
        Supervector(components=64, n_mels=32).fit(windows[:1], seed=0)


def test_windows_without_change_are_described_by_finite_numbers(fitted):
    assert fitted(torch.zeros(2, 50, 32)).isfinite().all()
