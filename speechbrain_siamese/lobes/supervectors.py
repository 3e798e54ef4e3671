"""A voice as the way in which it shifts the sounds of all voices.

A mixture of Gaussians, each about one sound, is fitted to the frames of many
voices. A window is then described by how far its own frames lie from the
middle of each (Reynolds et al. 2000, "Speaker verification using adapted
Gaussian mixture models"; Campbell et al. 2006, "Support vector machines using
GMM supervectors for speaker verification"). The mean spectrum is taken off, so
that a microphone's colour is not among what is described.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch

from speechbrain_siamese.lobes.statistics import cosine_basis
from speechbrain_siamese.lobes.whitening import WhitenedEncoder

#: Sounds, and cepstra that tell them apart.
SOUNDS, CEPSTRA = 64, 20

#: Frames of a sound by which it is believed as much as that there is no shift.
RELEVANCE = 4.0

#: Frames that the mixture is fitted to, some thousand of each sound.
FRAMES = 40_000

#: Of a cepstrum within a sound: no variance is smaller.
_LEAST = 1e-2


class SupervectorEncoder(WhitenedEncoder):
    """Encode windows as their shifts of sounds, whitened, of length 1.

    Arguments
    ---------
    n_mels : int
        Bins of the images.

    Example
    -------
    >>> encoder = SupervectorEncoder(n_mels=40)
    >>> encoder(torch.rand(3, 200, 40)).shape
    torch.Size([3, 1280])
    """

    def __init__(self, n_mels: int):
        cepstra = min(CEPSTRA, n_mels - 1)
        super().__init__(SOUNDS * cepstra)
        self.register_buffer(
            "cosines", cosine_basis(n_mels, cepstra), persistent=False
        )
        # Random until fit_sounds(), as weights are.
        self.register_buffer("means", torch.randn(SOUNDS, cepstra))
        self.register_buffer("variances", torch.ones(SOUNDS, cepstra))
        self.register_buffer("log_shares", torch.zeros(SOUNDS))

    def cepstra(self, windows: torch.Tensor) -> torch.Tensor:
        """Cepstra of each frame, less their mean over the window.

        Arguments
        ---------
        windows : torch.Tensor
            (windows, frames, bins)

        Returns
        -------
        torch.Tensor
            (windows, frames, cepstra)
        """
        cepstra = windows @ self.cosines
        return cepstra - cepstra.mean(dim=1, keepdim=True)

    @torch.no_grad()
    def fit_sounds(self, windows: torch.Tensor) -> None:
        """Fit the mixture to some of the windows' frames.

        Arguments
        ---------
        windows : torch.Tensor
            Of as many voices as there are, (windows, frames, bins).

        Raises
        ------
        ValueError
            If they hold too few frames.
        """
        # Heavy, and training alone needs it.
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        frames = self.cepstra(windows.float()).flatten(0, 1).cpu()
        if len(frames) < SOUNDS:
            raise ValueError(
                f"there are {len(frames)} frames of training speech, expected "
                f"at least {SOUNDS}, of which {SOUNDS} sounds are found: add "
                "recordings, or set statistics to False"
            )
        generator = torch.Generator().manual_seed(0)
        chosen = torch.randperm(len(frames), generator=generator)[:FRAMES]
        mixture = GaussianMixture(
            SOUNDS,
            covariance_type="diag",
            reg_covar=_LEAST,
            # It need not end where more steps change nothing.
            max_iter=20,
            tol=0.0,
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(frames[chosen].double().numpy())
        for name, found in (
            ("means", mixture.means_),
            ("variances", mixture.covariances_),
            ("log_shares", np.log(mixture.weights_)),
        ):
            getattr(self, name).copy_(torch.from_numpy(found))

    def describe(self, windows: torch.Tensor) -> torch.Tensor:
        """Shift of each sound; as ``WhitenedEncoder.describe``.

        In deviations of the sound, towards 0 where a window has little of it.
        """
        cepstra = self.cepstra(windows)
        precision = 1 / self.variances
        scaled = self.means * precision
        # The logarithm of each Gaussian's density, but for a constant.
        likeness = (
            cepstra @ scaled.T
            - 0.5 * cepstra.square() @ precision.T
            - 0.5 * (self.means * scaled + self.variances.log()).sum(dim=1)
        )
        shares = (likeness + self.log_shares).softmax(dim=-1)
        counts = shares.sum(dim=1)[:, :, None]
        shifts = shares.mT @ cepstra - counts * self.means
        shifts = shifts / (counts + RELEVANCE) * precision.sqrt()
        return shifts.flatten(1)
