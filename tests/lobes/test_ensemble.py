"""A DenseNet and statistics as one encoder."""

from __future__ import annotations

import pytest
import torch

from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.ensemble import DenseNetEnsemble
from speechbrain_siamese.lobes.supervectors import FRAMES

SMALL = {
    "n_mels": 32,
    "window_len": 0.64,
    "growth_rate": 8,
    "blocks": (1, 1, 1, 1),
}


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return DenseNetEnsemble(
        embedding_dim=24, statistics_weight=3.0, **SMALL
    ).eval()


def test_the_cosine_is_the_weighted_mean_of_the_parts(encoder):
    feats = torch.randn(2, 64, 32)
    with torch.no_grad():
        joint = encoder(feats)[:, 0]
        alone = [
            DenseNetEncoder.encode_windows(encoder, feats),
            encoder.statistics(feats),
            encoder.supervector(feats),
        ]
    cosines = [float(own[0] @ own[1]) for own in alone]
    expected = (cosines[0] + 3 * cosines[1] + 3 * cosines[2]) / 7
    assert float(joint[0] @ joint[1]) == pytest.approx(expected, abs=1e-5)
    assert joint.norm(dim=-1).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_the_network_alone_is_what_training_works_on(encoder, training):
    encoder.train(training)
    feats = torch.randn(3, 64, 32)
    torch.manual_seed(0)
    found = encoder(feats, network_alone=True)
    assert found.shape == (3, 1, 24)
    torch.manual_seed(0)
    alone = DenseNetEncoder.encode_windows(encoder, feats)
    torch.testing.assert_close(found[:, 0], alone)
    found[:, 0, 0].sum().backward()
    assert encoder.projection.weight.grad.abs().sum() > 0


def lots(count, labels):
    """Windows of voices that differ in how they move."""
    torch.manual_seed(1)
    voices = torch.rand(6, 1, 32) * 3
    for _ in range(count):
        yield (
            torch.randn(len(labels), 64, 32) * voices[labels],
            labels,
        )


def test_what_is_not_trained_is_computed_from_all_lots(encoder):
    labels = torch.tensor([0, 1, 2, 3, 4, 5, 0, 1])
    # More than the sounds are taken from.
    assert not encoder.computed
    encoder.fit_statistics(lots(100, labels))
    assert encoder.computed
    windows, labels = next(lots(1, torch.arange(6).repeat(4)))
    same = labels[:, None] == labels
    for name in encoder.beside:
        with torch.no_grad():
            found = getattr(encoder, name)(windows)
        cosines = found @ found.T
        assert cosines[same].mean() > cosines[~same].mean() + 0.2, name
    other = DenseNetEnsemble(
        embedding_dim=24, statistics_weight=3.0, **SMALL
    ).eval()
    other.load_state_dict(encoder.state_dict())
    with torch.no_grad():
        assert torch.equal(other(windows), encoder(windows))


def test_the_sounds_are_those_of_many_voices(encoder, monkeypatch):
    shown = []
    monkeypatch.setattr(encoder.supervector, "fit_sounds", shown.append)
    labels = torch.arange(6)
    encoder.fit_statistics(lots(1200, labels))
    (windows,) = shown
    assert windows.shape[0] * windows.shape[1] >= 8 * FRAMES
    assert len(windows) < 1200 * 6


def test_without_windows_nothing_can_be_computed(encoder):
    with pytest.raises(ValueError, match="no training speech"):
        encoder.fit_statistics([])
    assert not encoder.computed
    # Where there is nothing of the kind, it is there.
    assert DenseNetEnsemble(statistics=False, **SMALL).computed


def test_without_statistics_it_is_the_encoder_itself():
    torch.manual_seed(0)
    one = DenseNetEnsemble(statistics=False, embedding_dim=24, **SMALL).eval()
    plain = DenseNetEncoder(embedding_dim=24, **SMALL).eval()
    plain.load_state_dict(one.state_dict())
    feats = torch.randn(2, 150, 32)
    with torch.no_grad():
        torch.testing.assert_close(one(feats), plain(feats))


def test_what_else_is_in_the_batch_does_not_matter(encoder):
    feats = torch.randn(2, 200, 32)
    with torch.no_grad():
        together, alone = encoder(feats), encoder(feats[:1])
    torch.testing.assert_close(together[:1], alone, atol=1e-5, rtol=0)


def test_a_bad_weight_is_named():
    with pytest.raises(ValueError, match="statistics_weight is -1"):
        DenseNetEnsemble(statistics_weight=-1, **SMALL)


@pytest.mark.parametrize("bins", [31, 64])
def test_images_of_other_features_are_refused(encoder, bins):
    with pytest.raises(ValueError, match=f"have {bins} bins, expected n_mels"):
        encoder(torch.randn(1, 64, bins))
