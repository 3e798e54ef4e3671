"""Supervectors: how a voice differs from the average one, sound by sound.

A mixture of Gaussians learns without labels what frames there are, roughly a
component for each sound. A window's supervector holds how far its frames lie
from the mean of each component that they belong to. Campbell, Sturim and
Reynolds 2006, "Support vector machines using GMM supervectors for speaker
verification"; the shrinkage is that of Reynolds 2000.

It needs no labels, so that it cannot learn the few people of a small corpus by
heart, as a network does.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.fft import dct
from speechbrain.processing.features import Deltas
from torch.nn import functional as F

from speechbrain_siamese.baselines.gmm_ubm import train_ubm
from speechbrain_siamese.utils.ranges import check_range

#: Cepstra of a frame, without the first, which is its level.
CEPSTRA = 19

#: Frames that weigh as much as a component's own mean.
RELEVANCE = 16.0

#: Frames that the mixture learns from: more change no mean.
FRAMES = 100_000


class Supervector(torch.nn.Module):
    """Describe windows by their supervectors, once ``fit`` has been called.

    Arguments
    ---------
    components : int
        Gaussians of the mixture.
    n_mels : int
        Bins of the images.

    Attributes
    ----------
    share : torch.Tensor
        What the supervector adds to a joint embedding, 0 to 1, a scalar; 0
        before ``fit``.

    Example
    -------
    >>> windows = torch.rand(40, 50, 32)
    >>> supervector = Supervector(components=4, n_mels=32)
    >>> supervector.fit(windows, seed=0)
    >>> supervector(windows).shape  # 19 cepstra and their slopes
    torch.Size([40, 152])
    """

    def __init__(self, components: int, n_mels: int):
        super().__init__()
        check_range("supervector_components", components, 2, 10_000, whole=True)
        if n_mels <= CEPSTRA:
            raise ValueError(
                f"n_mels is {n_mels}, expected more than {CEPSTRA}, the number "
                "of cepstra of a supervector; or supervector_components: 0"
            )
        cosines = dct(np.eye(n_mels), norm="ortho")[:, 1 : CEPSTRA + 1]
        self.register_buffer(
            "cosines", torch.from_numpy(cosines).float(), persistent=False
        )
        self.deltas = Deltas(input_size=CEPSTRA, window_length=9)
        shape = (components, 2 * CEPSTRA)
        self.register_buffer("share", torch.zeros(()))
        self.register_buffer("means", torch.zeros(shape))
        self.register_buffer("precisions", torch.ones(shape))
        self.register_buffer("log_weights", torch.zeros(components))
        self.register_buffer("offset", torch.zeros(shape))
        self.register_buffer("deviation", torch.ones(shape))

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Compute the supervectors.

        Arguments
        ---------
        windows : torch.Tensor
            Log-mel images, (windows, frames, bins), each bin with mean 0.

        Returns
        -------
        torch.Tensor
            Of unit length, (windows, components * 38), float32.
        """
        with torch.autocast(windows.device.type, enabled=False):
            moved = self._moved(self._frames(windows.float()))
            scaled = (moved - self.offset) / self.deviation
            return F.normalize(scaled.flatten(1), dim=-1)

    def join(self, own: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """Put the supervectors behind a network's embeddings.

        The cosine of two joint embeddings is the mean of both cosines, weighed
        by ``share``.

        Arguments
        ---------
        own : torch.Tensor
            Of the same windows, of unit length, (windows, dim).
        windows : torch.Tensor
            As for ``forward``.

        Returns
        -------
        torch.Tensor
            Of unit length, (windows, dim + components * 38); ``own`` where
            the share is 0.
        """
        if not self.share:
            return own
        network = (1 - self.share).sqrt() * own
        return torch.cat([network, self.share.sqrt() * self(windows)], dim=-1)

    def fit(self, windows: torch.Tensor, seed: int) -> None:
        """Learn the mixture, and how far supervectors spread.

        Arguments
        ---------
        windows : torch.Tensor
            As for ``forward``, of the training speech.
        seed : int
            The same seed gives the same mixture.

        Raises
        ------
        ValueError
            If there are fewer frames than components.
        """
        frames = self._frames(windows.float())
        pooled = frames.flatten(0, 1).cpu().numpy()
        if len(pooled) > FRAMES:
            generator = np.random.default_rng(seed)
            pooled = pooled[generator.choice(len(pooled), FRAMES, False)]
        mixture = train_ubm(pooled, seed, components=len(self.means))
        for name, learnt in (
            ("means", mixture.means_),
            ("precisions", 1 / mixture.covariances_),
            ("log_weights", np.log(mixture.weights_)),
        ):
            getattr(self, name).copy_(torch.from_numpy(learnt))
        moved = self._moved(frames)
        self.offset.copy_(moved.mean(dim=0))
        # What no window has any frame of says nothing; it must not be inf.
        self.deviation.copy_(moved.std(dim=0, correction=0).clamp(min=1e-4))

    def _frames(self, windows):
        """Cepstra and their slopes, (windows, frames, 38)."""
        cepstra = windows @ self.cosines
        return torch.cat([cepstra, self.deltas(cepstra)], dim=-1)

    def _moved(self, frames):
        """How far each window moves the means, (windows, components, 38)."""
        squares = frames.square() @ self.precisions.T
        products = frames @ (self.means * self.precisions).T
        constants = self.log_weights + 0.5 * (
            self.precisions.log() - self.means.square() * self.precisions
        ).sum(dim=-1)
        odds = (constants + products - 0.5 * squares).softmax(dim=-1)
        counts = odds.sum(dim=1)[:, :, None]
        sums = odds.transpose(1, 2) @ frames
        return (sums - counts * self.means) / (counts + RELEVANCE)
