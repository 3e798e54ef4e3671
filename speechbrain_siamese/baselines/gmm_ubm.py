"""Speaker verification by adapted Gaussian mixtures.

Reynolds, Quatieri and Dunn 2000, "Speaker verification using adapted Gaussian
mixture models". A mixture learns the frames of many people (the universal
background model, UBM); its means move towards the frames of an enrolled
speaker; a trial is scored by how much better the moved mixture explains the
test clip. The mixture is scikit-learn's, which has no adaptation.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from speechbrain_siamese.baselines.matrices import finite_matrix

COMPONENTS = 64

#: Densities that are held at a time: 32 MB of them.
BLOCK = 1 << 22


def train_ubm(frames: np.ndarray, seed: int) -> GaussianMixture:
    """Learn how people sound.

    Arguments
    ---------
    frames : np.ndarray
        Of all training clips, (frames, dim), e.g. of
        ``features.cepstra_with_slopes``.
    seed : int
        The same seed gives the same mixture.

    Returns
    -------
    GaussianMixture
        64 components with diagonal covariances.

    Raises
    ------
    ValueError
        If the frames are no finite matrix, or fewer than components.
    """
    frames = finite_matrix(frames, "frames", "(frames, dim)")
    if len(frames) < COMPONENTS:
        raise ValueError(
            f"{len(frames)} frames, expected at least {COMPONENTS}, one per "
            "component, and better a hundred times as many: give more "
            "training clips"
        )
    ubm = GaussianMixture(
        COMPONENTS, covariance_type="diag", reg_covar=1e-3, random_state=seed
    )
    with warnings.catch_warnings():
        # The last hundredths of a nat change no decision.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return ubm.fit(frames)


def map_means(
    ubm: GaussianMixture, frames: np.ndarray, relevance: float = 16.0
) -> np.ndarray:
    """Move the means of a mixture towards the frames of one speaker.

    A component moves the further the more frames belong to it: half of the
    way with ``relevance`` frames. Weights and covariances stay, which
    Reynolds found best.

    Arguments
    ---------
    ubm : GaussianMixture
        Fitted, with diagonal covariances.
    frames : np.ndarray
        Of the enrolment, (frames, dim).
    relevance : float
        Frames that weigh as much as the mixture's own mean, above 0.

    Returns
    -------
    np.ndarray
        float64, (components, dim).

    Raises
    ------
    ValueError
        If the frames are no finite matrix of the mixture's width, or the
        relevance is not above 0.

    Example
    -------
    >>> ubm = GaussianMixture(1, covariance_type="diag")
    >>> ubm = ubm.fit([[-1.0], [1.0]])
    >>> map_means(ubm, [[4.0], [4.0]], relevance=2.0).tolist()
    [[2.0]]
    """
    if not relevance > 0:
        raise ValueError(
            f"relevance is {relevance}, expected frames above 0: 16 is usual"
        )
    frames = _frames(ubm, frames)
    counts = np.zeros(len(ubm.means_))
    sums = np.zeros_like(ubm.means_)
    size = max(1, BLOCK // len(ubm.means_))
    for start in range(0, len(frames), size):
        part = frames[start : start + size]
        shares = ubm.predict_proba(part)
        counts += shares.sum(axis=0)
        sums += shares.T @ part
    moved = sums + relevance * ubm.means_
    return moved / (counts + relevance)[:, None]


def log_ratios(
    ubm: GaussianMixture, means: np.ndarray, frames: np.ndarray
) -> np.ndarray:
    """Score one test clip against many enrolled speakers.

    Arguments
    ---------
    ubm : GaussianMixture
        Fitted, with diagonal covariances.
    means : np.ndarray
        Of each enrolled speaker by ``map_means``,
        (speakers, components, dim).
    frames : np.ndarray
        Of the test clip, (frames, dim).

    Returns
    -------
    np.ndarray
        float64, (speakers,): mean over the frames of
        ``log p(frame | speaker) - log p(frame | ubm)``, in nats; higher is
        more alike.

    Raises
    ------
    ValueError
        If the frames are no finite matrix of the mixture's width, or the
        means are not of its shape.

    Example
    -------
    >>> ubm = GaussianMixture(1, covariance_type="diag", reg_covar=0)
    >>> ubm = ubm.fit([[-1.0], [1.0]])
    >>> log_ratios(ubm, [[[0.0]], [[2.0]]], [[2.0]]).round(6).tolist()
    [0.0, 2.0]
    """
    frames = _frames(ubm, frames)
    means = np.asarray(means, dtype=np.float64)
    components, dim = ubm.means_.shape
    if means.shape[1:] != (components, dim):
        raise ValueError(
            f"means have shape {means.shape}, expected (speakers, "
            f"{components}, {dim}) as the mixture has: adapt them from it"
        )
    total = np.zeros(len(means))
    # Of long clips a part of the frames, of many speakers a part of them.
    rows = max(1, BLOCK // components)
    for start in range(0, len(frames), rows):
        part = frames[start : start + rows]
        rest = _without_means(ubm, part)
        total -= ubm.score_samples(part).sum()
        speakers = max(1, BLOCK // (components * len(part)))
        for first in range(0, len(means), speakers):
            own = slice(first, first + speakers)
            total[own] += _log_densities(ubm, means[own], part, rest)
    return total / len(frames)


def _without_means(ubm: GaussianMixture, frames: np.ndarray) -> np.ndarray:
    """What the means don't change of the logarithms, (frames, components)."""
    variances = ubm.covariances_
    scale = np.log(2 * np.pi * variances).sum(axis=1)
    return np.log(ubm.weights_) - 0.5 * (scale + frames**2 @ (1 / variances).T)


def _log_densities(
    ubm: GaussianMixture,
    means: np.ndarray,
    frames: np.ndarray,
    rest: np.ndarray,
) -> np.ndarray:
    """Logarithm of the density of all frames together, (speakers,)."""
    scaled = means / ubm.covariances_
    squares = np.einsum("skd,skd->sk", means, scaled)
    # (frames, speakers, components)
    logs = (frames @ scaled.reshape(-1, frames.shape[1]).T).reshape(
        len(frames), *squares.shape
    )
    logs -= 0.5 * squares
    logs += rest[:, None]
    return logsumexp(logs, axis=-1).sum(axis=0)


def _frames(ubm: GaussianMixture, frames: np.ndarray) -> np.ndarray:
    if ubm.covariance_type != "diag":
        raise ValueError(
            f"the mixture has {ubm.covariance_type!r} covariances, expected "
            "'diag': train it by train_ubm"
        )
    width = ubm.means_.shape[1]
    return finite_matrix(frames, "frames", "(frames, dim)", width)
