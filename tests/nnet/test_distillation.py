"""The distillation loss equals plain loops over the items of a batch."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from speechbrain_siamese.nnet.distillation import (
    DistillationLoss,
    pair_cosines,
)

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def batch(items, dtype=torch.float32, seed=0):
    """Embeddings of a student (5 values) and of a teacher (3)."""
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(items, 5, generator=generator).to(dtype),
        torch.randn(items, 3, generator=generator),
    )


def cosine(one, two) -> float:
    inner = sum(a * b for a, b in zip(one, two, strict=True))
    return inner / math.hypot(*one) / math.hypot(*two)


def loss_by_hand(embeddings, targets, weight, direct, relational) -> float:
    """Both terms by loops in Python's floats."""
    student = embeddings.double().tolist()
    teacher = targets.double().tolist()
    matrix = weight.double().tolist()
    apart = [
        1
        - cosine(
            [sum(map(math.prod, zip(row, x, strict=True))) for row in matrix], t
        )
        for x, t in zip(student, teacher, strict=True)
    ]
    squares = [
        (cosine(student[i], student[j]) - cosine(teacher[i], teacher[j])) ** 2
        for i, j in itertools.combinations(range(len(student)), 2)
    ]
    means = [sum(part) / max(1, len(part)) for part in (apart, squares)]
    return direct * means[0] + relational * means[1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0), (0.7, 2.5)])
@pytest.mark.parametrize("items", [1, 2, 7])
def test_loss_equals_plain_loops(items, weights, dtype):
    loss = DistillationLoss(5, 3, *weights)
    embeddings, targets = batch(items, dtype)
    expected = loss_by_hand(
        embeddings, targets, loss.projection.weight, *weights
    )
    found = loss(embeddings, targets)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected, abs=2e-6)


def test_it_is_computed_in_full_precision_under_autocast():
    loss = DistillationLoss(5, 3)
    embeddings, targets = batch(6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(embeddings, targets)
    assert found.item() == loss(embeddings, targets).item()


def test_a_student_that_is_the_teacher_costs_nothing():
    loss = DistillationLoss(3, 3)
    with torch.no_grad():
        loss.projection.weight.copy_(2 * torch.eye(3))
    _, targets = batch(6)
    assert loss(5 * targets, targets).item() == pytest.approx(0, abs=1e-6)


def test_items_without_a_target_do_not_count():
    loss = DistillationLoss(5, 3)
    embeddings, targets = batch(6)
    kept = [0, 2, 5]
    expected = loss(embeddings[kept], targets[kept]).item()
    targets[[1, 3, 4]] = float("nan")
    embeddings.requires_grad_()
    found = loss(embeddings, targets)
    assert found.item() == pytest.approx(expected)
    found.backward()
    assert embeddings.grad.isfinite().all()
    assert (embeddings.grad.abs().sum(dim=1) > 0).tolist() == [
        position in kept for position in range(6)
    ]


@pytest.mark.parametrize("items", [0, 4])
def test_without_any_target_it_is_zero_and_can_go_backward(items):
    loss = DistillationLoss(5, 3)
    embeddings, targets = batch(items)
    embeddings.requires_grad_()
    found = loss(embeddings, targets * float("nan"))
    found.backward()
    assert found.item() == 0
    assert not embeddings.grad.any()
    assert not loss.projection.weight.grad.any()


def test_descent_brings_the_students_cosines_to_the_teachers():
    loss = DistillationLoss(5, 3)
    embeddings, targets = batch(8)
    embeddings.requires_grad_()
    optimizer = torch.optim.Adam([embeddings, *loss.parameters()], lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        loss(embeddings, targets).backward()
        optimizer.step()
    assert loss(embeddings, targets).item() < 0.01
    found = pair_cosines(embeddings.detach())
    assert (found - pair_cosines(targets)).abs().mean() < 0.05


@pytest.mark.parametrize(
    ("students", "teachers"), [((4, 5), (3, 3)), ((4, 6), (4, 3)), ((5,), (3,))]
)
def test_other_shapes_are_named(students, teachers):
    loss = DistillationLoss(5, 3)
    with pytest.raises(ValueError, match=r"expected \(batch, 5\)"):
        loss(torch.ones(students), torch.ones(teachers))


def test_a_negative_weight_is_an_error():
    with pytest.raises(ValueError, match="relational_weight -1"):
        DistillationLoss(5, 3, relational_weight=-1)
