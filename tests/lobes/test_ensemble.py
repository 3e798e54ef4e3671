"""DenseNets and statistics as one encoder."""

from __future__ import annotations

import pytest
import torch

from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.ensemble import DenseNetEnsemble

SMALL = {
    "n_mels": 32,
    "window_len": 0.64,
    "growth_rate": 8,
    "blocks": (1, 1, 1, 1),
}


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return DenseNetEnsemble(networks=2, embedding_dim=24, **SMALL).eval()


def test_the_cosine_is_the_mean_of_the_members(encoder):
    feats = torch.randn(2, 64, 32)
    with torch.no_grad():
        joint = encoder(feats)[:, 0]
        alone = [DenseNetEncoder.encode_windows(encoder, feats)]
        alone += [other.encode_windows(feats) for other in encoder.others]
        alone += [encoder.statistics(feats)]
    assert joint.shape == (2, 24)
    expected = sum(float(own[0] @ own[1]) for own in alone) / 3
    assert float(joint[0] @ joint[1]) == pytest.approx(expected, abs=1e-5)
    assert joint.norm(dim=-1).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)


def test_networks_start_apart(encoder):
    (other,) = encoder.others
    weights = (encoder.trunk.conv0.weight, other.trunk.conv0.weight)
    assert not torch.equal(*weights)


def test_masks_do_not_reach_the_statistics(encoder):
    encoder.train()
    unmasked = torch.randn(4, 64, 32)
    masked = unmasked.clone()
    masked[:, 10:40] = 0.0
    torch.manual_seed(0)
    plain = encoder(unmasked, unmasked=unmasked)[:, 0].chunk(3, dim=-1)
    torch.manual_seed(0)
    found = encoder(masked, unmasked=unmasked)[:, 0].chunk(3, dim=-1)
    assert not torch.allclose(plain[0], found[0], atol=1e-3)
    torch.testing.assert_close(plain[2], found[2])


def test_a_frozen_ensemble_hears_no_masks(encoder):
    unmasked = torch.randn(2, 64, 32)
    with torch.no_grad():
        found = encoder(torch.zeros(2, 64, 32), unmasked=unmasked)
        torch.testing.assert_close(found, encoder(unmasked))


def test_one_network_alone_is_the_encoder_itself():
    torch.manual_seed(0)
    one = DenseNetEnsemble(
        networks=1, statistics=False, embedding_dim=24, **SMALL
    ).eval()
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


@pytest.mark.parametrize(
    "settings, told",
    [
        (
            {"networks": 4, "embedding_dim": 24},
            "embedding_dim is 24, expected a multiple of 5: 4 networks and",
        ),
        ({"networks": 0}, "networks is 0"),
    ],
)
def test_bad_settings_are_named(settings, told):
    with pytest.raises(ValueError, match=told):
        DenseNetEnsemble(**{**SMALL, **settings})


@pytest.mark.parametrize("bins", [31, 64])
def test_images_of_other_features_are_refused(encoder, bins):
    with pytest.raises(ValueError, match=f"have {bins} bins, expected n_mels"):
        encoder(torch.randn(1, 64, bins))
