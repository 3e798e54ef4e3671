"""Encoders that are not trained: what a voice varies by is made to count less.

Numbers that describe a window differ from one window of a speaker to the next.
Where they are divided by that variation, along all directions, what is left to
differ is who speaks (Hatch et al. 2006, "Within-class covariance normalization
for SVM-based speaker recognition"). It is computed, in seconds, and wants few
speakers: how voices vary is learnt from each of them.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

#: Share of the covariance that stands for the same variation along all
#: directions: what a few thousand windows tell of each is not exact. On
#: validation people 0.3 is as good, 0.7 is not.
SHRINKAGE = 0.5

#: Deviations below are none, but rounding: what does not vary in training tells
#: nothing, however much it varies elsewhere.
_STILL = 1e-4

#: Of the variance of all windows, which is 1: no direction varies less within
#: speakers.
_LEAST = 1e-6


class SpeakerVariation:
    """Sums that tell how vectors vary, and how they do within speakers.

    Arguments
    ---------
    dim : int
        Numbers of a vector.

    Example
    -------
    >>> around = torch.tensor([[-1.0, -1], [1, 1], [-1, 1], [1, -1]])
    >>> around = around * torch.tensor([1.0, 0.5])
    >>> vectors = torch.cat([around, around + torch.tensor([2.0, 2.0])])
    >>> variation = SpeakerVariation(2)
    >>> variation.add(vectors, torch.tensor([0] * 4 + [1] * 4))
    >>> weight, bias = variation.whitening(shrinkage=0.0)
    >>> white = vectors @ weight.T + bias
    >>> white[:4].std(dim=0, correction=0)
    tensor([1.0000, 1.0000])
    """

    def __init__(self, dim: int):
        # Differences of large sums: in double precision, on the CPU, which
        # has it and adds in the same order every time.
        self.products = torch.zeros(dim, dim, dtype=torch.float64)
        self.sums = torch.zeros(0, dim, dtype=torch.float64)
        self.counts = torch.zeros(0, dtype=torch.float64)

    def add(self, vectors: torch.Tensor, labels: torch.Tensor) -> None:
        """Count some more.

        Arguments
        ---------
        vectors : torch.Tensor
            (windows, dim)
        labels : torch.Tensor
            Numbers of their speakers, (windows,).
        """
        vectors, labels = vectors.cpu().double(), labels.cpu()
        more = int(labels.max()) + 1 - len(self.counts)
        if more > 0:
            self.sums = F.pad(self.sums, (0, 0, 0, more))
            self.counts = F.pad(self.counts, (0, more))
        self.sums.index_add_(0, labels, vectors)
        self.counts.index_add_(0, labels, torch.ones_like(vectors[:, 0]))
        self.products.addmm_(vectors.T, vectors)

    def whitening(
        self, shrinkage: float = SHRINKAGE
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The linear map after which speakers vary the same in all directions.

        Each number is brought to mean 0 and variance 1 first, so that
        shrinkage means the same for all; one that does not vary becomes 0.

        Arguments
        ---------
        shrinkage : float
            0 for the covariance as it was found, 1 for its mean variance alone.

        Returns
        -------
        weight : torch.Tensor
            (dim, dim)
        bias : torch.Tensor
            (dim,); both as ``torch.nn.Linear`` has them, float32.

        Raises
        ------
        ValueError
            If there were no vectors.
        """
        total = self.counts.sum()
        if not total:
            raise ValueError(
                "there is no training speech to tell how voices vary"
            )
        mean = self.sums.sum(dim=0) / total
        variance = self.products.diagonal() / total - mean.square()
        deviation = variance.clamp(min=0.0).sqrt()
        scale = torch.where(deviation > _STILL, 1 / deviation, 0.0)
        means = self.sums / self.counts.clamp(min=1)[:, None]
        covariance = (self.products - self.sums.T @ means) / total
        covariance = scale[:, None] * covariance * scale
        even = torch.eye(len(mean), dtype=covariance.dtype)
        covariance = (
            (1 - shrinkage) * covariance
            + shrinkage * covariance.diagonal().mean() * even
            + _LEAST * even
        )
        factor = torch.linalg.cholesky(covariance)
        weight = torch.linalg.solve_triangular(factor, even, upper=False)
        weight = weight * scale
        return weight.float(), -(weight @ mean).float()


class WhitenedEncoder(torch.nn.Module):
    """Encode windows as numbers that describe them, whitened, of length 1.

    Encoders say in ``describe`` what describes a window. Before ``whiten`` the
    map is random, as untrained weights are.

    Arguments
    ---------
    dim : int
        Numbers that describe a window, and of an embedding.

    Example
    -------
    >>> class Means(WhitenedEncoder):
    ...     def describe(self, windows):
    ...         return windows.mean(dim=1)
    >>> encoder, windows = Means(3), torch.rand(8, 50, 3)
    >>> variation = SpeakerVariation(encoder.dim)
    >>> variation.add(encoder.describe(windows), torch.arange(8) % 2)
    >>> encoder.whiten(variation)
    >>> encoder(windows).shape
    torch.Size([8, 3])
    """

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim
        # Computed, not learnt: buffers, which no optimiser moves and which
        # processes that train as one share.
        self.register_buffer("weight", torch.randn(dim, dim) / dim**0.5)
        self.register_buffer("bias", torch.zeros(dim))
        self.register_buffer("whitened", torch.tensor(0))

    def describe(self, windows: torch.Tensor) -> torch.Tensor:
        """What describes each window.

        Arguments
        ---------
        windows : torch.Tensor
            (windows, frames, bins), with their mean spectrum.

        Returns
        -------
        torch.Tensor
            (windows, dim)
        """
        raise NotImplementedError

    def varied(self, windows: torch.Tensor) -> list[torch.Tensor]:
        """What training windows are counted as: themselves, unless it is told.

        Arguments
        ---------
        windows : torch.Tensor
            (windows, frames, bins)

        Returns
        -------
        list of torch.Tensor
            Each the same windows of the same speakers.
        """
        return [windows]

    def whiten(self, variation: SpeakerVariation) -> None:
        """Take the map from how training windows vary.

        Arguments
        ---------
        variation : SpeakerVariation
            Of what ``describe`` gives.

        Raises
        ------
        ValueError
            If it has seen none.
        """
        weight, bias = variation.whitening()
        self.weight.copy_(weight)
        self.bias.copy_(bias)
        self.whitened.fill_(1)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Encode windows, each alone.

        Arguments
        ---------
        windows : torch.Tensor
            (windows, frames, bins), with their mean spectrum.

        Returns
        -------
        torch.Tensor
            (windows, dim), float32.
        """
        # Not in half precision, also under autocast.
        with torch.autocast(windows.device.type, enabled=False):
            vectors = self.describe(windows.float())
            white = F.linear(vectors, self.weight, self.bias)
            return F.normalize(white, dim=-1)
