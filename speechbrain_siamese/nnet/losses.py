"""Contrastive loss over every pair of a batch, or over given pairs.

Called as ``loss(embeddings, labels)``, the convention of
pytorch-metric-learning, so that its losses can take this one's place.
"""

from __future__ import annotations

import torch


def contrastive(
    distances: torch.Tensor, same: torch.Tensor, margin: float
) -> torch.Tensor:
    """Loss of single pairs (Hadsell, Chopra and LeCun 2006, equation 4).

    ``y * d**2 + (1 - y) * max(0, margin - d)**2``, without the paper's 1/2.

    Arguments
    ---------
    distances : torch.Tensor
        Euclidean distance of each pair, any shape.
    same : torch.Tensor
        True where both sides are one speaker, the same shape, bool.
    margin : float
        Distance from which a pair of different speakers costs nothing.

    Returns
    -------
    torch.Tensor
        Loss of each pair, the same shape.

    Example
    -------
    >>> contrastive(
    ...     torch.tensor([0.5, 0.5]), torch.tensor([True, False]), margin=1.0
    ... )
    tensor([0.2500, 0.2500])
    """
    apart = (margin - distances).clamp(min=0.0)
    return torch.where(same, distances.square(), apart.square())


def all_pairs(
    embeddings: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Distance of every pair of a batch, each clip encoded once.

    Arguments
    ---------
    embeddings : torch.Tensor
        (batch, dim)
    labels : torch.Tensor
        Speaker of each, (batch,).

    Returns
    -------
    distances : torch.Tensor
        Euclidean distances in float32, (batch * (batch - 1) / 2,), in the
        order of scipy's ``pdist``. The gradient at distance 0 is 0.
    same : torch.Tensor
        True where both sides are one speaker, the same shape, bool.

    Raises
    ------
    ValueError
        If the shapes are others.
    """
    _check_shapes(embeddings, labels)
    first, second = torch.triu_indices(
        len(labels), len(labels), offset=1, device=labels.device
    )
    # Half precision would lose the small distances that matter most.
    distances = torch.pdist(embeddings.float())
    return distances, labels[first] == labels[second]


def half_pairs(
    embeddings: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Distance of item ``i`` of a batch to item ``i + half``.

    What two towers with the same weights see: left clips, then right ones, as
    ``dataio.pairs.PairBatchSampler`` yields them.

    Arguments
    ---------
    embeddings : torch.Tensor
        (batch, dim)
    labels : torch.Tensor
        Speaker of each, (batch,).

    Returns
    -------
    distances : torch.Tensor
        Euclidean distances in float32, (batch / 2,). The gradient at distance
        0 is 0.
    same : torch.Tensor
        True where both sides are one speaker, the same shape, bool.

    Raises
    ------
    ValueError
        If the shapes are others, or the batch is odd.

    Example
    -------
    >>> embeddings = torch.tensor([[0.0], [5.0], [1.0], [7.0]])
    >>> half_pairs(embeddings, torch.tensor([0, 0, 0, 1]))
    (tensor([1., 2.]), tensor([ True, False]))
    """
    _check_shapes(embeddings, labels)
    if len(labels) % 2:
        raise ValueError(
            f"the batch holds {len(labels)} clips, expected an even number: "
            "left clips, then as many right ones, as PairBatchSampler yields"
        )
    # Half precision would lose the small distances that matter most.
    left, right = embeddings.float().chunk(2)
    distances = torch.linalg.vector_norm(left - right, dim=-1)
    first, second = labels.chunk(2)
    return distances, first == second


def _check_shapes(embeddings: torch.Tensor, labels: torch.Tensor) -> None:
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"embeddings have the shape {tuple(embeddings.shape)} and labels "
            f"{tuple(labels.shape)}; expected (batch, dim) and (batch,)"
        )


class ContrastiveLoss(torch.nn.Module):
    """Contrastive loss, mean over all pairs of a batch.

    A batch without similar (or dissimilar) pairs costs what its other pairs
    cost; one without any pair costs 0.

    Arguments
    ---------
    margin : float
        Distance from which dissimilar pairs cost nothing, above 0. Unit-length
        embeddings are at most 2 apart.
    balanced : bool
        Average similar and dissimilar pairs apart, then add half of each: a
        batch of 32 speakers x 2 clips has 32 similar among 2,016 pairs.
    unit_length : bool
        Embeddings have length 1; a margin above 2 is then an error.

    Example
    -------
    >>> loss = ContrastiveLoss(margin=1.0)
    >>> embeddings = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    >>> loss(embeddings, torch.tensor([0, 0, 1]))
    tensor(0.)
    """

    def __init__(
        self,
        margin: float = 1.2,
        balanced: bool = False,
        unit_length: bool = True,
    ):
        super().__init__()
        limit = 2.0 if unit_length else torch.finfo().max
        if not 0 < margin <= limit:
            raise ValueError(
                f"margin is {margin}, expected a number above 0"
                + (
                    " and at most 2: unit-length embeddings cannot be further "
                    "apart"
                    if unit_length
                    else ""
                )
            )
        self.margin = margin
        self.balanced = balanced

    def forward(
        self, embeddings: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Compute the loss of a batch.

        Arguments
        ---------
        embeddings : torch.Tensor
            (batch, dim)
        labels : torch.Tensor
            Speaker of each, (batch,).

        Returns
        -------
        torch.Tensor
            The loss, a scalar.
        """
        return self.over_pairs(*self.pairs(embeddings, labels))

    def pairs(
        self, embeddings: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tell which pairs of a batch the loss compares: ``all_pairs``."""
        return all_pairs(embeddings, labels)

    def over_pairs(
        self, distances: torch.Tensor, same: torch.Tensor
    ) -> torch.Tensor:
        """Compute the loss of pairs whose distances are known.

        Arguments
        ---------
        distances : torch.Tensor
            (pairs,)
        same : torch.Tensor
            (pairs,), bool.

        Returns
        -------
        torch.Tensor
            The loss, a scalar.
        """
        losses = contrastive(distances, same, self.margin)
        if not self.balanced:
            return losses.sum() / max(1, losses.numel())
        sides = [losses[same], losses[~same]]
        means = [side.mean() for side in sides if side.numel()]
        return sum(means, start=losses.sum() * 0) / max(1, len(means))


class PairContrastiveLoss(ContrastiveLoss):
    """Contrastive loss, mean over the given pairs of a batch.

    Item ``i`` belongs to item ``i + half``. The embeddings may have any
    length, so any margin above 0 can be met.

    Arguments
    ---------
    margin : float
        Distance from which dissimilar pairs cost nothing, above 0.

    Example
    -------
    >>> loss = PairContrastiveLoss(margin=3.0)
    >>> embeddings = torch.tensor([[0.0], [5.0], [1.0], [7.0]])
    >>> loss(embeddings, torch.tensor([0, 0, 0, 1]))  # similar, dissimilar
    tensor(1.)
    """

    def __init__(self, margin: float = 3.0):
        super().__init__(margin, unit_length=False)

    def pairs(
        self, embeddings: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tell which pairs of a batch the loss compares: ``half_pairs``."""
        return half_pairs(embeddings, labels)
