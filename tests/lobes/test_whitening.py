"""What voices vary by is whitened, against a loop and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speechbrain_siamese.lobes.whitening import (
    SpeakerVariation,
    WhitenedEncoder,
)

# SpeechBrain does not bring it.
discriminant_analysis = pytest.importorskip("sklearn.discriminant_analysis")


@pytest.fixture
def drawn():
    """Five speakers who all vary along the same few directions."""
    generator = np.random.default_rng(3)
    mixing = np.eye(6) + 0.4 * generator.normal(size=(6, 6))
    labels = generator.permutation(np.repeat(np.arange(5), [40, 9, 30, 50, 21]))
    middles = generator.normal(size=(5, 6))
    vectors = middles[labels] + 3 * generator.normal(size=(150, 6)) @ mixing
    return torch.from_numpy(vectors).float(), torch.from_numpy(labels)


def whitening(vectors, labels, lots=3, **settings):
    variation = SpeakerVariation(vectors.shape[1])
    for own, names in zip(vectors.chunk(lots), labels.chunk(lots), strict=True):
        variation.add(own, names)
    return variation.whitening(**settings)


def whitened(vectors, labels, **settings):
    weight, bias = whitening(vectors, labels, **settings)
    return (vectors @ weight.T + bias).double().numpy()


def loop(vectors, labels, shrinkage):
    """Squared distances of all pairs, by the inverse covariance."""
    scaled = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    dim = scaled.shape[1]
    covariance = np.zeros((dim, dim))
    for speaker in np.unique(labels):
        own = scaled[labels == speaker]
        for vector in own:
            apart = vector - own.mean(axis=0)
            covariance += np.outer(apart, apart) / len(scaled)
    mean = np.trace(covariance) / dim
    covariance = (1 - shrinkage) * covariance + shrinkage * mean * np.eye(dim)
    inverse = np.linalg.inv(covariance)
    apart = scaled[:, None] - scaled[None]
    return np.einsum("ijk,kl,ijl->ij", apart, inverse, apart)


def distances(vectors):
    return ((vectors[:, None] - vectors[None]) ** 2).sum(axis=-1)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0])
def test_distances_are_those_of_a_loop(drawn, shrinkage):
    vectors, labels = drawn
    found = distances(whitened(vectors, labels, shrinkage=shrinkage))
    expected = loop(vectors.double().numpy(), labels.numpy(), shrinkage)
    np.testing.assert_allclose(found, expected, rtol=5e-3, atol=1e-3)


def test_without_shrinkage_discriminants_are_those_of_scikit_learn(drawn):
    vectors, labels = drawn
    white = whitened(vectors, labels, shrinkage=0.0)
    names = labels.numpy()
    means = np.stack([white[names == one].mean(axis=0) for one in range(5)])
    between = np.cov(means.T, aweights=np.bincount(names), ddof=0)
    axes = np.linalg.eigh(between)[1][:, ::-1][:, :4]
    own = (white - white.mean(axis=0)) @ axes
    theirs = discriminant_analysis.LinearDiscriminantAnalysis(
        solver="eigen"
    ).fit_transform(vectors.double().numpy(), names)
    # Each axis may point the other way.
    assert np.abs(own.std(axis=0) / theirs.std(axis=0) - 1).max() < 2e-3
    for one, other in zip(own.T, theirs.T, strict=True):
        assert abs(np.corrcoef(one, other)[0, 1]) > 0.999


def test_units_do_not_matter(drawn):
    vectors, labels = drawn
    scales = torch.tensor([1e-3, 1.0, 10.0, 1e3, 5.0, 0.1])
    np.testing.assert_allclose(
        distances(whitened(vectors * scales + 7, labels)),
        distances(whitened(vectors, labels)),
        rtol=2e-2,
        atol=1e-2,
    )


def test_what_never_varies_in_training_tells_nothing(drawn):
    vectors, labels = drawn
    still = torch.cat([vectors, torch.full((len(vectors), 1), 4.0)], dim=1)
    weight, _ = whitening(still, labels)
    assert weight.isfinite().all() and weight.abs().max() < 100
    other = still.clone()
    other[:, -1] = torch.linspace(-3, 9, len(other))
    torch.testing.assert_close(other @ weight.T, still @ weight.T)


def test_one_window_of_each_speaker_is_scaled_alone(drawn):
    vectors, _ = drawn
    white = whitened(vectors[:5], torch.arange(5))
    assert np.isfinite(white).all()
    spread = white.std(axis=0)
    assert spread.max() / spread.min() < 1.01


def test_without_speech_nothing_can_be_told():
    with pytest.raises(ValueError, match="no training speech"):
        SpeakerVariation(3).whitening()


class Means(WhitenedEncoder):
    """Mean spectrum."""

    def describe(self, windows):
        return windows.mean(dim=1)


def test_an_encoder_knows_people_it_was_not_fitted_to():
    torch.manual_seed(0)
    # A voice is in the last two bins; the first two vary much more.
    voices = torch.randn(40, 4) * torch.tensor([0.0, 0.0, 1.0, 1.0])
    noise = torch.randn(40, 20, 4) * torch.tensor([30.0, 30.0, 0.3, 0.3])
    windows = (voices[:, None] + noise)[:, :, None].expand(-1, -1, 5, -1)
    encoder = Means(4)
    labels = torch.arange(20).repeat_interleave(20)
    variation = SpeakerVariation(encoder.dim)
    variation.add(encoder.describe(windows[:20].flatten(0, 1)), labels)
    encoder.whiten(variation)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = encoder(windows[20:].flatten(0, 1))
    assert found.dtype == torch.float32
    assert torch.allclose(found.norm(dim=-1), torch.ones(400), atol=1e-5)
    cosines = found @ found.T
    same = labels[:, None] == labels
    assert cosines[same].mean() > cosines[~same].mean() + 0.4
    # As they are, the loud bins decide.
    plain = encoder.describe(windows[20:].flatten(0, 1))
    plain = torch.nn.functional.normalize(plain, dim=-1)
    plain = plain @ plain.T
    assert plain[same].mean() < plain[~same].mean() + 0.1


def test_no_optimiser_moves_the_map_and_checkpoints_hold_it():
    encoder = Means(3)
    assert not [*encoder.parameters()]
    assert {*encoder.state_dict()} == {"weight", "bias", "whitened"}
