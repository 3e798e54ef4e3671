"""Losses of an ensemble's members, each apart.

An embedding of several members (``lobes.ensemble``) is their embeddings one
behind the other. A loss over the joint one would let them share the work; what
makes an ensemble better is that each has learnt all of it.
"""

from __future__ import annotations

import torch
from torch.nn.functional import linear, normalize


def member_parts(
    embeddings: torch.Tensor, members: int
) -> tuple[torch.Tensor, ...]:
    """What each member says.

    Arguments
    ---------
    embeddings : torch.Tensor
        Joint ones, (batch, dim).
    members : int

    Returns
    -------
    tuple of torch.Tensor
        (batch, dim / members) each, of length 1; the embeddings as they are
        where there is one member.

    Example
    -------
    >>> member_parts(torch.tensor([[3.0, 4.0, 0.0, 2.0]]), 2)
    (tensor([[0.6000, 0.8000]]), tensor([[0., 1.]]))
    """
    if members == 1:
        return (embeddings,)
    return tuple(
        normalize(part, dim=-1) for part in embeddings.chunk(members, dim=-1)
    )


def member_cosines(
    parts: tuple[torch.Tensor, ...], weight: torch.Tensor
) -> list[torch.Tensor]:
    """Each member's cosines to the speakers of a cosine classifier.

    A member learns the columns of the classifier that its part meets.

    Arguments
    ---------
    parts : tuple of torch.Tensor
        As ``member_parts`` gives them.
    weight : torch.Tensor
        Of the classifier, (speakers, dim).

    Returns
    -------
    list of torch.Tensor
        (batch, speakers) each.

    Example
    -------
    >>> parts = (torch.tensor([[1.0]]), torch.tensor([[-1.0]]))
    >>> member_cosines(parts, torch.tensor([[2.0, 3.0]]))
    [tensor([[1.]]), tensor([[-1.]])]
    """
    columns = weight.chunk(len(parts), dim=-1)
    return [
        linear(part, normalize(own, dim=-1))
        for part, own in zip(parts, columns, strict=True)
    ]


def check_classifier(classifier: torch.nn.Module, members: int) -> None:
    """Refuse a classifier that cannot be shared out among members.

    Arguments
    ---------
    classifier : torch.nn.Module
    members : int

    Raises
    ------
    ValueError
        If there are several members and it is not one matrix of weights, as
        SpeechBrain's ``ECAPA_TDNN.Classifier`` without ``lin_blocks`` is.
    """
    weights = [name for name, _ in classifier.named_parameters()]
    if members > 1 and weights != ["weight"]:
        raise ValueError(
            f"classifier has the weights {weights}, expected one matrix, which "
            f"the {members} members of embedding_model share: leave lin_blocks "
            "out, or set networks to 1 and statistics to False"
        )


def even_members(weight: torch.Tensor, members: int) -> torch.Tensor:
    """A classifier's weights in which each member's vote counts the same.

    Arguments
    ---------
    weight : torch.Tensor
        (speakers, dim)
    members : int

    Returns
    -------
    torch.Tensor
        The same shape; each member's columns have length 1.
    """
    return torch.cat(member_parts(weight, members), dim=-1)
