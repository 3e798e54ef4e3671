"""One batch out of the shares that several processes have encoded."""

from __future__ import annotations

import torch
from speechbrain.utils.distributed import is_distributed_initialized
from torch import distributed


def rank_and_world_size() -> tuple[int, int]:
    """Tell which process this is, and of how many.

    Returns
    -------
    rank : int
        From 0.
    world_size : int
        1 where training has but one process.

    Example
    -------
    >>> rank_and_world_size()
    (0, 1)
    """
    if not is_distributed_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def gather_batch(values: torch.Tensor) -> torch.Tensor:
    """Join the values of all processes, so that pairs are formed across them.

    Each process computes the loss of the whole batch from what it gets here.
    On the way back a share receives the sum of what the losses of all
    processes ask of it, which is ``world_size`` times the gradient of the one
    loss; ``DistributedDataParallel`` takes the mean over the processes of
    each weight's gradient, which is the sum of the shares' parts divided by
    ``world_size``. Together that is the gradient of one process with the whole
    batch. Weights behind the joint get the same gradient in every process,
    and their mean is that gradient again.

    Arguments
    ---------
    values : torch.Tensor
        Of this process, (share, ...); the same shape in every process.

    Returns
    -------
    torch.Tensor
        Of all processes in the order of their ranks, (world_size * share,
        ...). The same tensor where there is one process.

    Example
    -------
    >>> gather_batch(torch.tensor([1, 2]))
    tensor([1, 2])
    """
    if not is_distributed_initialized():
        return values
    return _Gather.apply(values)


class _Gather(torch.autograd.Function):
    """``all_gather`` with a gradient; torch's own is deprecated."""

    @staticmethod
    def forward(ctx, values):
        """All shares, one behind the other."""
        _, world_size = rank_and_world_size()
        shares = [torch.empty_like(values) for _ in range(world_size)]
        distributed.all_gather(shares, values.contiguous())
        return torch.cat(shares)

    @staticmethod
    def backward(ctx, gradient):
        """What all processes say of this one's share."""
        rank, world_size = rank_and_world_size()
        # All of it for a part of it: gloo knows no reduce_scatter, and a
        # batch of embeddings is small.
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(gradient)
        return gradient.chunk(world_size)[rank]
