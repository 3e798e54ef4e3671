"""In one process the norm is torch's own; test_gather.py has several."""

from __future__ import annotations

import copy

import pytest
import torch

from speechbrain_siamese.nnet.global_batch_norm import (
    GlobalBatchNorm,
    share_batch_norm,
)

SETTINGS = [
    {},
    {"affine": False},
    {"momentum": None},
    {"track_running_stats": False},
    {"eps": 0.1, "momentum": 0.5},
]


def both(settings) -> tuple[torch.nn.Module, torch.nn.Module]:
    """A norm as torch has it, and as several processes would have it."""
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm2d(3, **settings)
    for values in norm.parameters():
        torch.nn.init.normal_(values)
    own = torch.nn.Sequential(copy.deepcopy(norm))
    share_batch_norm(own)
    assert isinstance(own[0], GlobalBatchNorm)
    return norm, own[0]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_results_gradients_and_statistics_are_those_of_torch(settings, dtype):
    found = []
    images = 20 + torch.randn(4, 3, 5, 6)
    goal = torch.randn(4, 3, 5, 6)
    for norm in both(settings):
        values = images.to(dtype)
        values = values.to(memory_format=torch.channels_last)
        values.requires_grad_()
        for _ in range(2):
            out = norm(values)
            (out.float() * goal).sum().backward()
        assert out.dtype == dtype
        norm.eval()
        found.append(
            [
                out,
                values.grad,
                norm(values),
                *(weights.grad for weights in norm.parameters()),
                *norm.buffers(),
            ]
        )
    tolerance = 1e-4 if dtype == torch.float32 else 3e-2
    for theirs, ours in zip(*found, strict=True):
        torch.testing.assert_close(
            ours.double(), theirs.double(), rtol=tolerance, atol=tolerance
        )


def test_weights_and_names_stay():
    model = torch.nn.Sequential(
        torch.nn.Linear(2, 3), torch.nn.Sequential(torch.nn.BatchNorm1d(3))
    )
    model[1][0].eval()
    state, weight = model.state_dict(), model[1][0].weight
    share_batch_norm(model)
    assert isinstance(model[1][0], GlobalBatchNorm)
    assert model[1][0].weight is weight
    assert not model[1][0].training
    assert list(model.state_dict()) == list(state)
    model.load_state_dict(state)
