"""The folded copy of a trunk computes what the trunk does, and keeps up."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch.nn import functional as F

from speechbrain_siamese.lobes.densenet import DenseNetEncoder, narrow_trunk
from speechbrain_siamese.lobes.folded_trunk import FoldedTrunk


def with_statistics(module: torch.nn.Module) -> torch.nn.Module:
    """As after a training: no norm is the identity."""
    torch.manual_seed(1986)
    for norm in module.modules():
        if isinstance(norm, torch.nn.modules.batchnorm._BatchNorm):
            norm.running_mean.normal_(0, 0.5)
            norm.running_var.uniform_(0.3, 2)
            norm.weight.data.uniform_(-0.5, 1.5)
            norm.bias.data.normal_(0, 0.5)
    return module.eval()


@pytest.fixture
def encoder():
    return with_statistics(
        DenseNetEncoder(
            growth_rate=4, blocks=[2, 1, 2, 1], n_mels=40, window_len=0.5
        )
    )


def by_hand(encoder, windows):
    """The embedding by the trunk itself."""
    with torch.enable_grad():
        return encoder.encode_windows(windows)


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({}, (2, 1, 64, 40)),
        ({"growth_rate": 16, "blocks": [4, 8, 16, 12]}, (2, 1, 200, 80)),
        ({"growth_rate": 5, "blocks": [1, 1, 1, 1]}, (3, 1, 33, 47)),
    ],
)
def test_the_maps_are_the_trunks(settings, shape):
    trunk = with_statistics(narrow_trunk(121, **settings)).double()
    images = torch.randn(shape, dtype=torch.float64)
    with torch.no_grad():
        found = FoldedTrunk(trunk, torch.float64)(images)
        expected = trunk(images)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_an_embedding_is_the_same_either_way(encoder):
    windows = torch.randn(3, 50, 40)
    with torch.no_grad():
        found = encoder.encode_windows(windows)
    assert encoder._folded is not None
    torch.testing.assert_close(
        found, by_hand(encoder, windows), rtol=0, atol=1e-5
    )


def test_it_follows_weights_and_statistics(encoder):
    windows = torch.randn(2, 50, 40)
    with torch.no_grad():
        before = encoder.encode_windows(windows)
        encoder.trunk.conv0.weight.mul_(torch.randn(8, 1, 1, 1))
        changed = encoder.encode_windows(windows)
        encoder.trunk.norm0.running_mean.add_(1.0)
        again = encoder.encode_windows(windows)
        encoder.load_state_dict(with_statistics(encoder).state_dict())
        loaded = encoder.encode_windows(windows)
    assert not torch.allclose(before, changed, atol=1e-3)
    assert not torch.allclose(changed, again, atol=1e-3)
    torch.testing.assert_close(
        loaded, by_hand(encoder, windows), rtol=0, atol=1e-5
    )


def test_whoever_learns_has_gradients(encoder):
    windows = torch.randn(2, 50, 40)
    with torch.no_grad():
        encoder.encode_windows(windows)
    encoder.encode_windows(windows).sum().backward()
    assert encoder.trunk.conv0.weight.grad is not None
    encoder.train()
    with torch.no_grad():
        mean = encoder.trunk.norm0.running_mean.clone()
        encoder.encode_windows(windows)
    assert not torch.equal(mean, encoder.trunk.norm0.running_mean)


def test_a_frozen_encoder_passes_gradients_to_its_input(encoder):
    encoder.requires_grad_(False)
    windows = torch.randn(2, 50, 40, requires_grad=True)
    encoder.encode_windows(windows)[:, 0].sum().backward()
    found = windows.grad.clone()
    encoder.requires_grad_(True)
    windows.grad = None
    encoder.encode_windows(windows)[:, 0].sum().backward()
    torch.testing.assert_close(found, windows.grad, rtol=1e-3, atol=1e-6)


def test_half_precision_is_near(encoder):
    windows = torch.randn(4, 50, 40)
    with torch.no_grad():
        exact = encoder.encode_windows(windows)
        with torch.autocast("cpu", torch.bfloat16):
            found = encoder.encode_windows(windows)
    assert found.dtype == torch.float32
    assert (F.cosine_similarity(found, exact) > 0.995).all()


def test_copies_go_without_it(encoder):
    with torch.no_grad():
        encoder.encode_windows(torch.randn(1, 50, 40))
    for other in (
        copy.deepcopy(encoder),
        pickle.loads(pickle.dumps(encoder)),
    ):
        assert other._folded is None
    assert encoder._folded is not None
    assert not [key for key in encoder.state_dict() if "folded" in key]
