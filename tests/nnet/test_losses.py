"""The contrastive loss equals plain loops over the pairs of a batch."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from speechbrain_siamese.nnet.losses import (
    ContrastiveLoss,
    PairContrastiveLoss,
    all_pairs,
    contrastive,
    half_pairs,
)

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def batch(
    speakers: str, dim: int = 6, seed: int = 0, dtype=torch.float64
) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit-length embeddings, one for each letter, a letter per speaker."""
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(
        len(speakers), dim, generator=generator, dtype=torch.float64
    )
    embeddings = torch.nn.functional.normalize(embeddings, dim=-1)
    labels = torch.tensor([ord(letter) for letter in speakers])
    return embeddings.to(dtype), labels


def loss_by_hand(embeddings, labels, margin, balanced) -> float:
    """Hadsell's loss by a double loop in Python's floats."""
    points = embeddings.double().tolist()
    similar, dissimilar = [], []
    for one in range(len(points)):
        for two in range(one + 1, len(points)):
            distance = math.dist(points[one], points[two])
            if labels[one] == labels[two]:
                similar.append(distance**2)
            else:
                dissimilar.append(max(0.0, margin - distance) ** 2)
    if not balanced:
        both = similar + dissimilar
        return sum(both) / len(both) if both else 0.0
    means = [sum(side) / len(side) for side in (similar, dissimilar) if side]
    return sum(means) / len(means) if means else 0.0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("margin", [0.3, 1.2, 2.0])
def test_loss_equals_a_double_loop(margin, balanced, dtype):
    loss = ContrastiveLoss(margin=margin, balanced=balanced)
    for speakers in ("aabb", "aaabbcd", "abcdefg", "aaaa", "ab", "aa"):
        embeddings, labels = batch(speakers, dtype=dtype)
        assert loss(embeddings, labels).item() == pytest.approx(
            loss_by_hand(embeddings, labels, margin, balanced), abs=2e-6
        )


@pytest.mark.parametrize("dtype", DTYPES)
def test_distances_and_their_order_are_those_of_scipy(dtype):
    embeddings, labels = batch("abacbba", dim=33, dtype=dtype)
    distances, same = all_pairs(embeddings, labels)
    assert distances.dtype == torch.float32
    np.testing.assert_allclose(
        distances, pdist(embeddings.double().numpy()), rtol=1e-5
    )
    expected = [one == two for one, two in itertools.combinations("abacbba", 2)]
    assert same.tolist() == expected


def test_distances_are_exact_where_half_precision_would_lose_them():
    """1 and 1 + 1/128 differ by the last bit of bfloat16."""
    embeddings = torch.tensor(
        [[1.0, 1.0], [1.0 + 1 / 128, 1.0]], dtype=torch.bfloat16
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        distances, _ = all_pairs(embeddings, torch.tensor([0, 0]))
    assert distances.tolist() == [1 / 128]


def test_single_pairs_by_hand():
    distances = torch.tensor([0.0, 0.5, 2.0, 0.0, 0.5, 1.5, 2.0])
    same = torch.tensor([True, True, True, False, False, False, False])
    assert contrastive(distances, same, margin=1.5).tolist() == [
        0.0,
        0.25,
        4.0,
        2.25,
        1.0,
        0.0,
        0.0,
    ]


def test_balancing_weighs_few_similar_pairs_as_much_as_many_dissimilar():
    # On a line: a at 0 and 1, b at 1, c at 1.
    embeddings = torch.tensor([[0.0], [1.0], [1.0], [1.0]])
    labels = torch.tensor([0, 0, 1, 2])
    # Similar: 1. Dissimilar, margin 2: 1, 1, 4, 4, 4.
    plain = ContrastiveLoss(margin=2.0)
    balanced = ContrastiveLoss(margin=2.0, balanced=True)
    assert plain(embeddings, labels).item() == pytest.approx(15 / 6)
    assert balanced(embeddings, labels).item() == pytest.approx(
        (1 + 14 / 5) / 2
    )


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_identical_embeddings_have_a_finite_gradient(dtype, balanced):
    for speakers in ("aaaa", "abcd", "aabb"):
        embeddings = torch.ones(4, 3, dtype=dtype, requires_grad=True)
        labels = torch.tensor([ord(letter) for letter in speakers])
        ContrastiveLoss(balanced=balanced)(embeddings, labels).backward()
        assert embeddings.grad.dtype == dtype
        assert (embeddings.grad == 0).all()


def test_identical_pairs_do_not_spoil_the_gradient_of_others():
    embeddings = torch.tensor(
        [[0.0, 1.0], [0.0, 1.0], [0.6, 0.8]], requires_grad=True
    )
    ContrastiveLoss()(embeddings, torch.tensor([0, 0, 1])).backward()
    assert torch.isfinite(embeddings.grad).all()
    assert embeddings.grad[2].abs().max() > 0


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("speakers", ["aabb", "aaaa", "abcd", "aabbcd"])
def test_gradient_equals_differences_of_the_double_loop(speakers, balanced):
    embeddings, labels = batch(speakers, dim=3)
    expected = torch.zeros_like(embeddings)
    step = 1e-6
    for item, number in itertools.product(range(len(labels)), range(3)):
        sides = []
        for sign in (1, -1):
            moved = embeddings.clone()
            moved[item, number] += sign * step
            sides.append(loss_by_hand(moved, labels, 1.2, balanced))
        expected[item, number] = (sides[0] - sides[1]) / (2 * step)
    found = embeddings.clone().requires_grad_()
    ContrastiveLoss(margin=1.2, balanced=balanced)(found, labels).backward()
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(found.grad, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("balanced", [True, False])
def test_dissimilar_pairs_beyond_the_margin_cost_nothing(balanced):
    embeddings = torch.eye(3, requires_grad=True)
    loss = ContrastiveLoss(margin=1.4, balanced=balanced)
    cost = loss(embeddings, torch.tensor([0, 1, 2]))
    cost.backward()
    assert cost.item() == 0.0
    assert (embeddings.grad == 0).all()


@pytest.mark.parametrize("balanced", [True, False])
def test_a_batch_without_any_pair_costs_nothing_and_can_go_back(balanced):
    embeddings = torch.ones(1, 4, requires_grad=True)
    cost = ContrastiveLoss(balanced=balanced)(embeddings, torch.tensor([7]))
    cost.backward()
    assert cost.shape == ()
    assert cost.item() == 0.0
    assert (embeddings.grad == 0).all()


@pytest.mark.parametrize("balanced", [True, False])
def test_an_empty_batch_costs_nothing(balanced):
    loss = ContrastiveLoss(balanced=balanced)
    assert loss(torch.zeros(0, 4), torch.zeros(0)).item() == 0.0


@pytest.mark.parametrize("balanced", [True, False])
def test_pairs_with_known_distances_cost_the_same(balanced):
    loss = ContrastiveLoss(balanced=balanced)
    embeddings, labels = batch("aabbc", dtype=torch.float32)
    assert torch.equal(
        loss.over_pairs(*all_pairs(embeddings, labels)),
        loss(embeddings, labels),
    )
    none = torch.zeros(0), torch.zeros(0, dtype=torch.bool)
    assert loss.over_pairs(*none).item() == 0.0


@pytest.mark.parametrize("margin", [0.0, -1.0, 2.1, 3.0, float("nan")])
def test_margins_that_unit_length_cannot_meet_are_refused(margin):
    with pytest.raises(ValueError, match=rf"margin is {margin}.*at most 2"):
        ContrastiveLoss(margin=margin)


@pytest.mark.parametrize("margin", [0.0, -1.0, float("nan")])
def test_margins_not_above_zero_are_refused_at_any_length(margin):
    with pytest.raises(ValueError, match=r"above 0$"):
        ContrastiveLoss(margin=margin, unit_length=False)


def test_a_margin_of_three_is_for_embeddings_of_any_length():
    loss = ContrastiveLoss(margin=3.0, unit_length=False)
    embeddings = torch.tensor([[0.0], [2.0]])
    assert loss(embeddings, torch.tensor([0, 1])).item() == 1.0
    ContrastiveLoss(margin=2.0)


@pytest.mark.parametrize(
    ("embeddings", "labels"),
    [
        ((4, 1, 3), (4,)),
        ((4, 3), (3,)),
        ((4, 3), (4, 1)),
        ((4, 3), ()),
        ((4,), (4,)),
    ],
)
@pytest.mark.parametrize("loss", [ContrastiveLoss(), PairContrastiveLoss()])
def test_other_shapes_are_refused_with_what_was_found(embeddings, labels, loss):
    with pytest.raises(ValueError) as caught:
        loss(torch.zeros(embeddings), torch.zeros(labels))
    assert str(embeddings) in str(caught.value)
    assert str(labels) in str(caught.value)


def pair_loss_by_hand(embeddings, labels, margin) -> float:
    """The loss of pairs (i, i + half) by a loop in Python's floats."""
    points = embeddings.double().tolist()
    half = len(points) // 2
    total = 0.0
    for one in range(half):
        distance = math.dist(points[one], points[one + half])
        if labels[one] == labels[one + half]:
            total += distance**2
        else:
            total += max(0.0, margin - distance) ** 2
    return total / half


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("margin", [0.3, 3.0, 40.0])
def test_loss_of_given_pairs_equals_a_loop(margin, dtype):
    loss = PairContrastiveLoss(margin=margin)
    for speakers in ("abcabc", "abcbca", "aabbbacd", "ab", "aa"):
        unit, labels = batch(speakers)
        embeddings = (2.5 * unit).to(dtype)
        assert loss(embeddings, labels).item() == pytest.approx(
            pair_loss_by_hand(embeddings, labels, margin), rel=1e-5, abs=2e-6
        )


@pytest.mark.parametrize("dtype", DTYPES)
def test_only_item_i_and_item_i_plus_half_are_compared(dtype):
    embeddings, labels = batch("abcbbc", dim=33, dtype=dtype)
    distances, same = half_pairs(embeddings, labels)
    every = pdist(embeddings.double().numpy())
    # Of 15 pairs: 0-3, 1-4 and 2-5.
    expected = [every[2], every[7], every[11]]
    assert distances.dtype == torch.float32
    np.testing.assert_allclose(distances, expected, rtol=1e-5)
    assert same.tolist() == [False, True, True]


def test_gradient_of_given_pairs_equals_differences_of_the_loop():
    embeddings, labels = batch("aabcab", dim=3)
    expected = torch.zeros_like(embeddings)
    step = 1e-6
    for item, number in itertools.product(range(len(labels)), range(3)):
        sides = []
        for sign in (1, -1):
            moved = embeddings.clone()
            moved[item, number] += sign * step
            sides.append(pair_loss_by_hand(moved, labels, 3.0))
        expected[item, number] = (sides[0] - sides[1]) / (2 * step)
    found = embeddings.clone().requires_grad_()
    PairContrastiveLoss(margin=3.0)(found, labels).backward()
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(found.grad, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_given_pairs_at_distance_0_have_a_finite_gradient(dtype):
    embeddings = torch.ones(6, 3, dtype=dtype)
    embeddings[2] = 0.0
    embeddings.requires_grad_()
    labels = torch.tensor([0, 1, 2, 0, 2, 2])
    PairContrastiveLoss()(embeddings, labels).backward()
    assert embeddings.grad.dtype == dtype
    assert torch.isfinite(embeddings.grad).all()
    assert (embeddings.grad[[0, 1, 3, 4]] == 0).all()
    assert (embeddings.grad[[2, 5]] != 0).all()


@pytest.mark.parametrize("clips", [1, 3, 33])
def test_an_odd_batch_has_no_halves(clips):
    with pytest.raises(ValueError, match=rf"holds {clips} clips.*even"):
        PairContrastiveLoss()(torch.zeros(clips, 2), torch.zeros(clips))


def test_an_empty_batch_of_pairs_costs_nothing():
    loss = PairContrastiveLoss()
    assert loss(torch.zeros(0, 4), torch.zeros(0)).item() == 0.0


@pytest.mark.parametrize("margin", [0.0, -1.0, float("nan"), float("inf")])
def test_margins_of_given_pairs_have_to_be_above_zero(margin):
    with pytest.raises(ValueError, match=rf"margin is {margin}.*above 0"):
        PairContrastiveLoss(margin=margin)


@pytest.mark.parametrize("loss", [ContrastiveLoss(), PairContrastiveLoss()])
def test_a_loss_tells_the_pairs_that_it_compares(loss):
    embeddings, labels = batch("abbcab", dtype=torch.float32)
    distances, same = loss.pairs(embeddings, labels)
    assert (
        len(distances)
        == {ContrastiveLoss: 15, PairContrastiveLoss: 3}[type(loss)]
    )
    assert torch.equal(
        loss.over_pairs(distances, same), loss(embeddings, labels)
    )


def test_pytorch_metric_learning_finds_the_same_pairs_and_costs():
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    distances = pytest.importorskip("pytorch_metric_learning.distances")
    reducers = pytest.importorskip("pytorch_metric_learning.reducers")
    peer = losses.ContrastiveLoss(
        pos_margin=0.0,
        neg_margin=1.2,
        distance=distances.LpDistance(normalize_embeddings=False),
        reducer=reducers.DoNothingReducer(),
    )
    embeddings, labels = batch("aabbbcd", dtype=torch.float32)
    found = peer(embeddings, labels)
    # The peer's are not squared.
    similar = found["pos_loss"]["losses"].square()
    dissimilar = found["neg_loss"]["losses"].square()
    plain = torch.cat([similar, dissimilar]).mean()
    balanced = (similar.mean() + dissimilar.mean()) / 2
    torch.testing.assert_close(
        ContrastiveLoss(margin=1.2)(embeddings, labels), plain
    )
    torch.testing.assert_close(
        ContrastiveLoss(margin=1.2, balanced=True)(embeddings, labels),
        balanced,
    )
