"""Frozen weights stay, and each group learns at its own rate."""

from __future__ import annotations

import pytest
import torch

from speechbrain_siamese.nnet.param_groups import (
    freeze,
    named_modules,
    parameter_groups,
)
from speechbrain_siamese.nnet.schedulers import PolynomialDecay


@pytest.fixture
def modules():
    encoder = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 2))
    return torch.nn.ModuleDict(
        {"encoder": encoder, "encoder_b": torch.nn.Linear(2, 2)}
    )


def names_of(modules, group):
    known = {id(p): name for name, p in modules.named_parameters()}
    return {known[id(p)] for p in group["params"]}


def test_longest_name_that_fits_decides(modules):
    groups = parameter_groups(
        modules, {"encoder": 0.1, "encoder.1": 0.01}, lr=2.0
    )
    found = {g["lr"]: names_of(modules, g) for g in groups}
    assert found == {
        2.0: {"encoder_b.weight", "encoder_b.bias"},
        0.2: {"encoder.0.weight", "encoder.0.bias"},
        0.02: {"encoder.1.weight", "encoder.1.bias"},
    }


def test_frozen_weights_are_in_no_group_and_stay(modules):
    freeze(modules, ["encoder.0"])
    before = {k: v.clone() for k, v in modules.state_dict().items()}
    optimizer = torch.optim.SGD(parameter_groups(modules, {}, 0.1), lr=0.1)
    out = modules["encoder"](torch.ones(1, 2)) + modules["encoder_b"](
        torch.ones(1, 2)
    )
    out.sum().backward()
    optimizer.step()
    changed = {
        k for k, v in modules.state_dict().items() if not v.equal(before[k])
    }
    assert changed == {
        "encoder.1.weight",
        "encoder.1.bias",
        "encoder_b.weight",
        "encoder_b.bias",
    }


def test_schedule_keeps_the_shares(modules):
    groups = parameter_groups(modules, {"encoder": 0.1}, lr=1.0)
    optimizer = torch.optim.SGD(groups, lr=1.0)
    PolynomialDecay(lr=1.0, warmup_steps=0)(optimizer, progress=0.5)
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, 0.05]


def test_unknown_names_are_told_with_what_there_is(modules):
    with pytest.raises(ValueError, match=r"frozen names 'encoder\.7', but enc"):
        named_modules(modules, ["encoder.7"], "frozen")
    with pytest.raises(ValueError, match="the model holds encoder, encoder_b"):
        parameter_groups(modules, {"trunk": 1.0}, 1.0)
    with pytest.raises(ValueError, match="expected a number above 0"):
        parameter_groups(modules, {"encoder": 0}, 1.0)
    freeze(modules, ["encoder", "encoder_b"])
    with pytest.raises(ValueError, match="all weights are frozen"):
        parameter_groups(modules, {}, 1.0)
