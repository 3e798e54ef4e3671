"""The learning rate grows in a line, decays by a power, and is resumable."""

from __future__ import annotations

import pytest
import torch
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_siamese.nnet.schedulers import PolynomialDecay, polynomial_lr


@pytest.fixture
def optimizer() -> torch.optim.Optimizer:
    """With two groups of parameters."""
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    return torch.optim.SGD(
        [{"params": [weights[0]]}, {"params": [weights[1]], "lr": 7.0}],
        lr=9.0,
    )


@pytest.mark.parametrize(
    ("step", "warmup_steps", "progress", "power", "expected"),
    [
        (0, 4, 0.0, 1.0, 0.5),
        (1, 4, 0.0, 1.0, 1.0),
        (3, 4, 0.0, 1.0, 2.0),
        (4, 4, 0.0, 1.0, 2.0),
        (0, 0, 0.0, 1.0, 2.0),
        (0, 1, 0.0, 1.0, 2.0),
        (9, 4, 0.25, 1.0, 1.5),
        (9, 4, 0.5, 2.0, 0.5),
        (9, 4, 0.75, 0.5, 1.0),
        (9, 4, 0.75, 0.0, 2.0),
        (1, 4, 0.5, 1.0, 0.5),
        (9, 4, 1.0, 1.0, 0.0),
        (9, 4, 1.0, 0.5, 0.0),
        (9, 4, 1.7, 2.0, 0.0),
    ],
)
def test_rates_worked_out_by_hand(
    step, warmup_steps, progress, power, expected
):
    found = polynomial_lr(2.0, step, warmup_steps, progress, power)
    assert found == pytest.approx(expected)


def test_every_call_is_a_step_of_the_warm_up(optimizer):
    schedule = PolynomialDecay(lr=0.4, warmup_steps=4)
    rates = [schedule(optimizer, progress=0.0) for _ in range(6)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4])


def test_every_group_gets_the_rate_that_is_returned(optimizer):
    schedule = PolynomialDecay(lr=0.4, warmup_steps=0, power=2.0)
    rate = schedule(optimizer, progress=0.5)
    assert rate == pytest.approx(0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [rate, rate]


def test_decay_follows_progress_and_ends_at_zero(optimizer):
    schedule = PolynomialDecay(lr=1.0, warmup_steps=2)
    rates = [schedule(optimizer, progress=step / 10) for step in range(11)]
    assert rates[0] == pytest.approx(0.5)
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[-1] == 0.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"lr": 0.0},
        {"lr": -0.1},
        {"lr": float("nan")},
        {"lr": 0.1, "warmup_steps": -1},
        {"lr": 0.1, "power": -0.5},
    ],
)
def test_values_out_of_range_are_refused_and_named(wrong):
    key, value = list(wrong.items())[-1]
    with pytest.raises(ValueError, match=rf"{key} (is )?{value}"):
        PolynomialDecay(**wrong)


def test_a_restored_schedule_goes_on_where_it_was(tmp_path, optimizer):
    schedule = PolynomialDecay(lr=1.0, warmup_steps=10)
    for _ in range(3):
        schedule(optimizer, progress=0.0)
    Checkpointer(
        tmp_path, recoverables={"lr_schedule": schedule}
    ).save_checkpoint()
    uninterrupted = [schedule(optimizer, progress=0.1) for _ in range(4)]

    restored = PolynomialDecay(lr=1.0, warmup_steps=10)
    Checkpointer(
        tmp_path, recoverables={"lr_schedule": restored}
    ).recover_if_possible()
    assert restored.steps == 3
    assert [
        restored(optimizer, progress=0.1) for _ in range(4)
    ] == uninterrupted
