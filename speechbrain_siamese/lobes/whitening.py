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
#: directions: the fewer the windows, the worse is what they tell of each.
SHRINKAGE = 0.5

#: Of the variance of all windows, which is 1: no direction varies less.
_LEAST = 1e-6


def within_speaker_whitening(
    vectors: torch.Tensor, labels: torch.Tensor, shrinkage: float = SHRINKAGE
) -> tuple[torch.Tensor, torch.Tensor]:
    """The linear map after which speakers vary the same in all directions.

    Each number is brought to mean 0 and variance 1 first, so that shrinkage
    means the same for all.

    Arguments
    ---------
    vectors : torch.Tensor
        One for each window, (windows, dim), finite.
    labels : torch.Tensor
        Numbers of the speakers, (windows,).
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
        If vectors are not finite.

    Example
    -------
    >>> around = torch.tensor([[-1.0, -1], [1, 1], [-1, 1], [1, -1]])
    >>> around = around * torch.tensor([1.0, 0.1])
    >>> vectors = torch.cat([around, around + torch.tensor([2.0, 2.0])])
    >>> labels = torch.tensor([0] * 4 + [1] * 4)
    >>> weight, bias = within_speaker_whitening(vectors, labels, shrinkage=0.0)
    >>> white = vectors @ weight.T + bias
    >>> white[:4].std(dim=0, correction=0)
    tensor([1.0000, 1.0000])
    """
    vectors = vectors.double()
    if not vectors.isfinite().all():
        raise ValueError(
            "what describes the training windows is not finite: is there audio "
            "that is damaged?"
        )
    mean = vectors.mean(dim=0)
    deviation = vectors.std(dim=0, correction=0).clamp(min=_LEAST)
    scaled = (vectors - mean) / deviation
    dim = vectors.shape[1]
    counts = torch.bincount(labels).clamp(min=1)
    sums = scaled.new_zeros(len(counts), dim).index_add_(0, labels, scaled)
    apart = scaled - (sums / counts[:, None])[labels]
    covariance = apart.T @ apart / len(apart)
    even = torch.eye(dim, dtype=covariance.dtype, device=covariance.device)
    covariance = (
        (1 - shrinkage) * covariance
        + shrinkage * covariance.diagonal().mean() * even
        + _LEAST * even
    )
    factor = torch.linalg.cholesky(covariance)
    weight = torch.linalg.solve_triangular(factor, even, upper=False)
    weight = weight / deviation
    return weight.float(), -(weight @ mean).float()


class WhitenedEncoder(torch.nn.Module):
    """Encode windows as numbers that describe them, whitened, of length 1.

    Encoders say in ``describe`` what describes a window. Before ``fit`` the
    map is random.

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
    >>> encoder.fit(encoder.describe(windows), torch.arange(8) % 2)
    >>> encoder(windows).shape
    torch.Size([8, 3])
    """

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim
        self.whitening = torch.nn.Linear(dim, dim)
        # It is computed: no optimiser, and no gradient, has to do with it.
        self.whitening.requires_grad_(False)

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

    @torch.no_grad()
    def fit(self, vectors: torch.Tensor, labels: torch.Tensor) -> None:
        """Compute the map.

        Arguments
        ---------
        vectors : torch.Tensor
            As ``describe`` gives them, of training windows, (windows, dim).
        labels : torch.Tensor
            Numbers of their speakers, (windows,).

        Raises
        ------
        ValueError
            If vectors are not finite.
        """
        weight, bias = within_speaker_whitening(vectors, labels)
        self.whitening.weight.copy_(weight)
        self.whitening.bias.copy_(bias)

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
        # In full precision, also under autocast.
        with torch.autocast(windows.device.type, enabled=False):
            vectors = self.describe(windows.float())
            return F.normalize(self.whitening(vectors), dim=-1)
