"""Each member of an ensemble is taught alone."""

from __future__ import annotations

import pytest
import torch
from speechbrain.lobes.models.ECAPA_TDNN import Classifier

from speechbrain_siamese.nnet.losses import ContrastiveLoss
from speechbrain_siamese.nnet.members import (
    check_classifier,
    even_members,
    member_cosines,
    member_parts,
)


def test_parts_are_what_each_member_says():
    first, second = torch.randn(2, 5, 4)
    joint = torch.cat([first, 3 * second], dim=-1)
    found = member_parts(joint, 2)
    for part, own in zip(found, (first, second), strict=True):
        for row, expected in zip(part, own, strict=True):
            torch.testing.assert_close(row, expected / expected.norm())


def test_one_member_is_the_embedding_itself():
    embeddings = torch.randn(3, 4)
    (found,) = member_parts(embeddings, 1)
    assert found is embeddings


def test_cosines_are_those_of_a_classifier_of_each_members_own():
    torch.manual_seed(0)
    parts = member_parts(torch.randn(6, 8), 2)
    weight = torch.randn(3, 8)
    for part, own, found in zip(
        parts, weight.split(4, dim=-1), member_cosines(parts, weight),
        strict=True,
    ):  # fmt: skip
        classifier = Classifier(4, out_neurons=3)
        classifier.weight.data = own
        expected = classifier(part.unsqueeze(1)).squeeze(1)
        torch.testing.assert_close(found, expected)


def test_the_joint_classifier_is_the_mean_of_the_members():
    torch.manual_seed(0)
    parts = member_parts(torch.randn(6, 8), 2)
    # One member's columns are longer: it must not outvote the other.
    weight = torch.randn(3, 8) * torch.tensor([1.0] * 4 + [9.0] * 4)
    classifier = Classifier(8, out_neurons=3)
    classifier.weight.data = even_members(weight, 2)
    joint = torch.cat(parts, dim=-1)
    expected = sum(member_cosines(parts, weight)) / 2
    found = classifier(joint.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("member", [0, 1])
def test_a_members_loss_moves_no_other(member):
    embeddings = torch.randn(4, 6, requires_grad=True)
    part = member_parts(embeddings, 2)[member]
    ContrastiveLoss(balanced=True)(part, torch.tensor([0, 0, 1, 1])).backward()
    own = embeddings.grad.chunk(2, dim=-1)
    assert own[member].abs().sum() > 0
    assert own[1 - member].abs().sum() == 0


def test_a_classifier_with_hidden_layers_is_refused():
    deep = Classifier(8, lin_blocks=1, lin_neurons=8, out_neurons=3)
    check_classifier(deep, 1)
    check_classifier(Classifier(8, out_neurons=3), 2)
    with pytest.raises(ValueError, match="share: leave lin_blocks out"):
        check_classifier(deep, 2)
