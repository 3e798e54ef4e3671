"""A DenseNet's layers for inference: the same maps with less work.

With the statistics of batch normalisation fixed, a normalisation behind a
convolution is part of its weights, maxima may be taken before the ReLU, means
before a 1 x 1 convolution, and what a block joins needs no copy per layer.
"""

from __future__ import annotations

from itertools import chain

import torch
from torch.nn import functional as F


class FoldedTrunk:
    """Layers of torchvision's DenseNet below its pooling, folded.

    A copy: training goes on with the trunk itself. ``fits`` says whether the
    trunk still has the weights that were folded.

    Arguments
    ---------
    trunk : torch.nn.Sequential
        ``features`` of torchvision's ``DenseNet``, in evaluation mode.
    dtype : torch.dtype
        In which the maps are computed.

    Example
    -------
    >>> import torchvision
    >>> net = torchvision.models.DenseNet(8, (2, 2), 16).features.eval()
    >>> images = torch.rand(1, 3, 32, 32)
    >>> with torch.no_grad():
    ...     maps = FoldedTrunk(net, torch.float32)(images)
    ...     torch.allclose(maps, net(images), atol=1e-5)
    True
    """

    @torch.no_grad()
    def __init__(self, trunk: torch.nn.Sequential, dtype: torch.dtype):
        self._versions, self._dtype = _versions(trunk), dtype
        self._stem = self._conv(trunk.conv0, trunk.norm0)
        #: Of each block its layers, and what leads to the next one.
        self._blocks = []
        number = 1
        while hasattr(trunk, f"denseblock{number}"):
            layers = [
                (
                    self._norm(layer.norm1),
                    self._conv(layer.conv1, layer.norm2),
                    self._conv(layer.conv2),
                )
                for layer in trunk.get_submodule(f"denseblock{number}").values()
            ]
            after = getattr(trunk, f"transition{number}", None)
            self._blocks.append(
                (
                    layers,
                    after and (self._norm(after.norm), self._conv(after.conv)),
                )
            )
            number += 1
        self._last = self._norm(trunk.norm5)

    def fits(self, trunk: torch.nn.Sequential, dtype: torch.dtype) -> bool:
        """Whether this is still what the trunk computes.

        Arguments
        ---------
        trunk : torch.nn.Sequential
        dtype : torch.dtype

        Returns
        -------
        bool
        """
        return dtype == self._dtype and self._versions == _versions(trunk)

    def _norm(self, norm) -> tuple[torch.Tensor, torch.Tensor]:
        """Factor and summand of each channel, (1, channels, 1, 1)."""
        factor = norm.weight / (norm.running_var + norm.eps).sqrt()
        summand = norm.bias - factor * norm.running_mean
        return tuple(
            value.to(self._dtype)[None, :, None, None]
            for value in (factor, summand)
        )

    def _conv(self, conv, norm=None) -> dict:
        """Arguments of a convolution, with the normalisation behind it."""
        weight, bias = conv.weight, conv.bias
        if norm is not None:
            factor = norm.weight / (norm.running_var + norm.eps).sqrt()
            weight = weight * factor[:, None, None, None]
            bias = norm.bias - factor * norm.running_mean
        return {
            "weight": weight.to(self._dtype).contiguous(
                memory_format=torch.channels_last
            ),
            "bias": None if bias is None else bias.to(self._dtype),
            "stride": conv.stride,
            "padding": conv.padding,
        }

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Compute the maps.

        Arguments
        ---------
        images : torch.Tensor
            (batch, channels, frames, bins)

        Returns
        -------
        torch.Tensor
            What the trunk gives, (batch, maps, frames / 32, bins / 32).
        """
        with torch.autocast(images.device.type, enabled=False):
            maps = F.conv2d(images.to(self._dtype), **self._stem)
            # Of three rows, then of three columns: fewer to compare.
            maps = _thinned(_thinned(maps, 2), 3).relu_()
            for layers, after in self._blocks:
                maps = self._block(maps, layers)
                if after:
                    norm, conv = after
                    maps = F.avg_pool2d(_norm_relu(maps, norm), 2)
                    maps = F.conv2d(maps, **conv)
            factor, summand = self._last
            return torch.addcmul(summand, maps, factor)

    @staticmethod
    def _block(maps: torch.Tensor, layers) -> torch.Tensor:
        """One dense block: each layer sees all maps before it."""
        own = maps.shape[1]
        grown = [conv["weight"].shape[0] for _, _, conv in layers]
        joined = torch.empty(
            (len(maps), own + sum(grown), *maps.shape[2:]),
            dtype=maps.dtype,
            device=maps.device,
            # So those of the first layers lie together.
            memory_format=torch.channels_last,
        )
        joined[:, :own] = maps
        for (norm, narrow, wide), more in zip(layers, grown, strict=True):
            seen = _norm_relu(joined[:, :own], norm)
            joined[:, own : own + more] = F.conv2d(
                F.conv2d(seen, **narrow).relu_(), **wide
            )
            own += more
        return joined


def _thinned(maps, dim):
    """Maxima of three neighbours around every second place of a dimension."""
    step = (slice(None),) * dim
    odd = maps[(*step, slice(1, None, 2))]
    found = maps[(*step, slice(None, None, 2))].clone(
        memory_format=torch.channels_last
    )
    places = odd.shape[dim]
    found.narrow(dim, 0, places).clamp_min_(odd)
    before = found.shape[dim] - 1
    found.narrow(dim, 1, before).clamp_min_(odd.narrow(dim, 0, before))
    return found


def _norm_relu(maps, norm):
    """Normalised and without what is negative, in memory of its own."""
    factor, summand = norm
    return torch.addcmul(summand, maps, factor).relu_()


def _versions(trunk) -> list[tuple[int, int]]:
    """Changes with every change of a weight or a statistic."""
    return [
        (value.data_ptr(), -1 if value.is_inference() else value._version)
        for value in chain(trunk.parameters(), trunk.buffers())
    ]
