"""Batch normalisation over the batches of several processes, on any device.

``torch.nn.SyncBatchNorm`` does this on GPUs and refuses tensors of the CPU.
"""

from __future__ import annotations

import torch
from speechbrain.utils.distributed import ddp_all_reduce
from torch import distributed
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from speechbrain_siamese.nnet.gather import gather_batch


def share_batch_norm(module: torch.nn.Module) -> None:
    """Let each batch normalisation in a module see all processes' items.

    Arguments
    ---------
    module : torch.nn.Module
        Changed in place; weights, running statistics and the names of the
        state stay.

    Example
    -------
    >>> module = torch.nn.Sequential(torch.nn.BatchNorm1d(2))
    >>> share_batch_norm(module)
    >>> module
    Sequential(
      (0): GlobalBatchNorm(2, eps=1e-05, momentum=0.1, affine=True, \
bias=True, track_running_stats=True)
    )
    """
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            module.add_module(name, GlobalBatchNorm.like(child))
        else:
            share_batch_norm(child)


class GlobalBatchNorm(_NormBase):
    """Normalise by mean and variance over the items of all processes.

    Results, gradients and running statistics are those of
    ``torch.nn.BatchNorm`` in one process with the whole batch. In evaluation
    it is that module, and processes need not do the same.
    """

    @classmethod
    def like(cls, norm: _BatchNorm) -> GlobalBatchNorm:
        """Take over settings, weights and statistics of a norm.

        Arguments
        ---------
        norm : torch.nn.modules.batchnorm._BatchNorm

        Returns
        -------
        GlobalBatchNorm
            With the same parameters, not copies of them.
        """
        shared = cls(
            norm.num_features,
            norm.eps,
            norm.momentum,
            affine=False,
            track_running_stats=norm.track_running_stats,
        )
        shared.affine = norm.affine
        shared.weight, shared.bias = norm.weight, norm.bias
        for name, values in norm.named_buffers():
            setattr(shared, name, values)
        return shared.train(norm.training)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Normalise each channel.

        Arguments
        ---------
        values : torch.Tensor
            (batch, channels, ...)

        Returns
        -------
        torch.Tensor
            The same shape.
        """
        if not self.training:
            return F.batch_norm(
                values,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                training=self.running_mean is None,
                eps=self.eps,
            )
        normalised, mean, variance, count = _Normalise.apply(
            values, self.weight, self.bias, self.eps
        )
        if self.running_mean is not None:
            self._follow(mean, variance * count / (count - 1).clamp(min=1))
        return normalised

    @torch.no_grad()
    def _follow(self, mean, variance) -> None:
        """Move the running statistics; all processes hold the same."""
        self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:
            share = 1 / int(self.num_batches_tracked)
        self.running_mean.mul_(1 - share).add_(share * mean)
        self.running_var.mul_(1 - share).add_(share * variance)


class _Normalise(torch.autograd.Function):
    """Ioffe and Szegedy 2015, with sums over all processes both ways."""

    @staticmethod
    def forward(ctx, values, weight, bias, eps):
        """Normalised values, and mean, variance and count of all shares."""
        precision = torch.promote_types(values.dtype, torch.float32)
        variance, mean = torch.var_mean(
            values.to(precision), _all_but_channels(values), correction=0
        )
        count = mean.new_full((1,), values.numel() // len(mean))
        # Each process's own, then joined (Chan et al. 1979): exact where the
        # mean is far from 0, unlike sums of squares.
        own = torch.cat([mean, variance, count]).unsqueeze(0)
        means, variances, counts = gather_batch(own).split(
            [len(mean), len(mean), 1], dim=1
        )
        count = counts.sum()
        mean = (counts * means).sum(dim=0) / count
        variances = variances + (means - mean).square()
        variance = (counts * variances).sum(dim=0) / count
        ctx.save_for_backward(values, weight, mean, variance, count)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance, count)
        normalised = F.batch_norm(values, mean, variance, weight, bias, eps=eps)
        return normalised, mean, variance, count

    @staticmethod
    def backward(ctx, gradient, *_):
        """Gradients of values, weight and bias; eps has none."""
        values, weight, mean, variance, count = ctx.saved_tensors
        axes = _all_but_channels(values)
        shape = [1, -1, *[1] * (values.ndim - 2)]
        scale = (variance + ctx.eps).rsqrt()
        normalised = (values - mean.view(shape)) * scale.view(shape)
        gradient = gradient.to(mean.dtype)
        own = torch.stack(
            [gradient.sum(axes), (gradient * normalised).sum(axes)]
        )
        # Each item moves mean and variance for those of every process.
        total = own.clone()
        ddp_all_reduce(total, distributed.ReduceOp.SUM)
        shift, stretch = (total / count).unbind()
        inner = gradient - shift.view(shape) - normalised * stretch.view(shape)
        slope = scale if weight is None else scale * weight
        _, for_weight, for_bias, _ = ctx.needs_input_grad
        return (
            (inner * slope.view(shape)).to(values.dtype),
            own[1] if for_weight else None,
            own[0] if for_bias else None,
            None,
        )


def _all_but_channels(values):
    """Axes over which a channel's statistics are taken."""
    return [0, *range(2, values.ndim)]
