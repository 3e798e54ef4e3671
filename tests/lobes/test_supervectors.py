"""Shifts of sounds, against a loop and scikit-learn's mixture."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from speechbrain_siamese.lobes.supervectors import (
    RELEVANCE,
    SOUNDS,
    SupervectorEncoder,
)
from speechbrain_siamese.lobes.whitening import SpeakerVariation

# SpeechBrain does not bring it.
mixture_models = pytest.importorskip("sklearn.mixture")

BINS = 24


@pytest.fixture
def windows():
    """Frames of a few sounds, of which each voice has its own."""
    generator = np.random.default_rng(0)
    sounds = generator.normal(0, 4, size=(7, BINS))
    frames = sounds[generator.integers(7, size=(12, 80))]
    frames = frames + generator.normal(0, 1, size=(12, 80, BINS)) - 8
    return torch.from_numpy(frames).float()


@pytest.fixture
def encoder(windows):
    torch.manual_seed(0)
    encoder = SupervectorEncoder(BINS)
    encoder.fit_sounds(windows)
    return encoder


def test_shifts_are_those_of_a_loop(encoder, windows):
    means, variances = encoder.means.double(), encoder.variances.double()
    found = encoder.describe(windows[:2]).unflatten(1, (SOUNDS, -1))
    for shifts, window in zip(found, windows[:2], strict=True):
        cepstra = window.double() @ encoder.cosines.double()
        cepstra = cepstra - cepstra.mean(dim=0)
        counts = torch.zeros(SOUNDS).double()
        sums = torch.zeros_like(means)
        for frame in cepstra:
            odds = encoder.log_shares.double() - 0.5 * (
                (frame - means) ** 2 / variances
                + (2 * math.pi * variances).log()
            ).sum(dim=1)
            share = odds.softmax(dim=0)
            counts += share
            sums += share[:, None] * (frame - means)
        expected = sums / (counts + RELEVANCE)[:, None] / variances.sqrt()
        torch.testing.assert_close(
            shifts, expected.float(), atol=1e-3, rtol=1e-3
        )


def test_sounds_are_as_probable_as_scikit_learn_says(encoder, windows):
    mixture = mixture_models.GaussianMixture(SOUNDS, covariance_type="diag")
    mixture.means_ = encoder.means.double().numpy()
    mixture.covariances_ = encoder.variances.double().numpy()
    mixture.weights_ = encoder.log_shares.double().exp().numpy()
    mixture.precisions_cholesky_ = mixture.covariances_**-0.5
    cepstra = encoder.cepstra(windows[:1])
    shares = mixture.predict_proba(cepstra[0].double().numpy())
    apart = cepstra[0].double().numpy()[:, None] - mixture.means_
    sums = np.einsum("fs,fsd->sd", shares, apart)
    expected = sums / (shares.sum(axis=0) + RELEVANCE)[:, None]
    expected = expected / np.sqrt(mixture.covariances_)
    np.testing.assert_allclose(
        encoder.describe(windows[:1])[0].numpy(),
        expected.flatten(),
        atol=2e-3,
        rtol=2e-3,
    )


def test_the_mixture_is_the_same_every_time(encoder, windows):
    again = SupervectorEncoder(BINS)
    again.fit_sounds(windows)
    assert torch.equal(again.means, encoder.means)
    assert torch.equal(again.log_shares, encoder.log_shares)


def test_a_microphones_colour_and_loudness_do_not_matter(encoder, windows):
    colour = 5 + torch.linspace(-3, 3, BINS)
    torch.testing.assert_close(
        encoder.describe(windows + colour),
        encoder.describe(windows),
        atol=1e-3,
        rtol=1e-3,
    )


def test_a_sound_that_was_not_said_tells_nothing(encoder):
    silent = encoder.describe(torch.zeros(1, 200, BINS))
    shifts = silent.unflatten(1, (SOUNDS, -1))[0]
    assert silent.isfinite().all()
    # All frames are alike: few sounds have any.
    assert (shifts.abs().amax(dim=1) < 0.1).sum() > SOUNDS // 2


def test_too_few_frames_are_told():
    with pytest.raises(ValueError, match=r"32 frames .* expected at least 64"):
        SupervectorEncoder(BINS).fit_sounds(torch.randn(1, 32, BINS))


def test_what_is_learnt_is_saved(encoder, windows):
    vectors = encoder.describe(windows)
    variation = SpeakerVariation(encoder.dim)
    variation.add(vectors, torch.arange(12) % 3)
    encoder.whiten(variation)
    other = SupervectorEncoder(BINS)
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(other(windows), encoder(windows))
    assert "cosines" not in encoder.state_dict()
