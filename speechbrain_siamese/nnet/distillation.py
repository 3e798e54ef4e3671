"""Distillation: the student's embeddings follow those of a teacher.

The teacher has heard more people, the student hears the user's own; what the
teacher says of the user's audio needs no label.
"""

from __future__ import annotations

import torch
from torch.nn.functional import cosine_similarity, normalize


class DistillationLoss(torch.nn.Module):
    """Follow a teacher's embeddings, and how alike they are to one another.

    The first term is 1 - cosine between a learnt linear projection of the
    student's embedding and the teacher's. The second is the mean squared
    difference between the student's and the teacher's cosines over all pairs
    of the batch (Park et al. 2019, "Relational knowledge distillation"); it
    acts upon the scores that the student is used for.

    Arguments
    ---------
    embedding_dim : int
        Size of the student's embedding.
    teacher_dim : int
        Size of the teacher's.
    direct_weight : float
        Of the first term, 0 or more.
    relational_weight : float
        Of the second term, 0 or more.

    Raises
    ------
    ValueError
        If a weight is negative.

    Example
    -------
    >>> loss = DistillationLoss(2, 3, direct_weight=0.0)
    >>> student = torch.tensor([[1.0, 0.0], [0.0, 1.0]])  # cosine 0
    >>> teacher = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]])  # 0.6
    >>> loss(student, teacher)
    tensor(0.3600, grad_fn=<AddBackward0>)
    """

    def __init__(
        self,
        embedding_dim: int,
        teacher_dim: int,
        direct_weight: float = 1.0,
        relational_weight: float = 1.0,
    ):
        super().__init__()
        if min(direct_weight, relational_weight) < 0:
            raise ValueError(
                f"direct_weight is {direct_weight} and relational_weight "
                f"{relational_weight}, expected 0 or more"
            )
        self.direct_weight = direct_weight
        self.relational_weight = relational_weight
        self.projection = torch.nn.Linear(
            embedding_dim, teacher_dim, bias=False
        )

    def forward(
        self, embeddings: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        """Compute the loss of a batch.

        Arguments
        ---------
        embeddings : torch.Tensor
            The student's, (batch, embedding_dim).
        targets : torch.Tensor
            The teacher's with its mean over the corpus taken off, (batch,
            teacher_dim). Items whose target is not finite do not count.

        Returns
        -------
        torch.Tensor
            The loss, a scalar, float32; 0 where no item counts.

        Raises
        ------
        ValueError
            If the shapes are others.
        """
        shapes = tuple(embeddings.shape), tuple(targets.shape)
        dims = self.projection.in_features, self.projection.out_features
        if shapes != tuple((len(embeddings), dim) for dim in dims):
            raise ValueError(
                f"embeddings have the shape {shapes[0]} and targets "
                f"{shapes[1]}; expected (batch, {dims[0]}) and "
                f"(batch, {dims[1]})"
            )
        # Half precision would lose the small differences between cosines.
        with torch.autocast(embeddings.device.type, enabled=False):
            known = targets.isfinite().all(dim=-1)
            student, teacher = embeddings[known].float(), targets[known].float()
            direct = 1 - cosine_similarity(self.projection(student), teacher)
            relational = (pair_cosines(student) - pair_cosines(teacher)) ** 2
            return self.direct_weight * _mean(
                direct
            ) + self.relational_weight * _mean(relational)


def pair_cosines(embeddings: torch.Tensor) -> torch.Tensor:
    """Cosine similarity of every pair of a batch.

    Arguments
    ---------
    embeddings : torch.Tensor
        (batch, dim)

    Returns
    -------
    torch.Tensor
        (batch * (batch - 1) / 2,), in the order of scipy's ``pdist``.

    Example
    -------
    >>> pair_cosines(torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]))
    tensor([1., 0., 0.])
    """
    unit = normalize(embeddings, dim=-1)
    first, second = torch.triu_indices(
        len(unit), len(unit), offset=1, device=unit.device
    )
    return (unit @ unit.T)[first, second]


def _mean(values: torch.Tensor) -> torch.Tensor:
    """Mean of any number of values, 0 of none."""
    return values.sum() / max(1, values.numel())
