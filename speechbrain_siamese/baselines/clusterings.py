"""How well embeddings fall into speakers by themselves.

As in the 2019 design: k-means, a Gaussian mixture and spectral clustering
into the true number of speakers, compared with the truth by the Rand index
and mutual information. Both favour many clusters even by chance, so their
adjusted forms and a random assignment stand beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from sklearn import metrics
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.mixture import GaussianMixture

from speechbrain_siamese.baselines.matrices import finite_matrix

#: Starts from different centres, of which the best is kept.
STARTS = 10


def cluster(
    embeddings: np.ndarray, clusters: int, method: str, seed: int
) -> np.ndarray:
    """Part utterances into clusters.

    Arguments
    ---------
    embeddings : np.ndarray
        (utterances, dim); they are brought to unit length.
    clusters : int
        How many, at least 2 and fewer than utterances.
    method : str
        A key of ``METHODS``: ``k-means``, ``gmm``, ``spectral`` (its memory
        grows with the square of the utterances) or ``random``.
    seed : int
        The same seed gives the same clusters.

    Returns
    -------
    np.ndarray
        The cluster of each utterance, from 0, (utterances,).

    Raises
    ------
    ValueError
        If the embeddings are no finite matrix or one is zero, the method is
        unknown, or the number of clusters is out of range.

    Example
    -------
    >>> embeddings = [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]]
    >>> found = cluster(embeddings, 2, "k-means", seed=0)
    >>> clustering_figures(["a", "a", "b", "b"], found)["adjusted_rand"]
    1.0
    """
    embeddings = finite_matrix(embeddings, "embeddings", "(utterances, dim)")
    if method not in METHODS:
        raise ValueError(
            f"method is {method!r}, expected one of {list(METHODS)}"
        )
    if not 2 <= clusters < len(embeddings):
        raise ValueError(
            f"{clusters} clusters of {len(embeddings)} utterances, expected "
            "at least 2 clusters and more utterances than that: give more "
            "utterances"
        )
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if not lengths.all():
        raise ValueError(
            f"embedding {np.flatnonzero(lengths == 0)[0]} is zero, which "
            "points nowhere: look for a silent file"
        )
    return METHODS[method](embeddings / lengths, clusters, seed)


def clustering_figures(
    speakers: Sequence[str], found: Sequence[int]
) -> dict[str, float]:
    """Compare clusters with the truth.

    Arguments
    ---------
    speakers : Sequence[str]
        Who speaks, (utterances,).
    found : Sequence[int]
        The cluster, (utterances,).

    Returns
    -------
    dict[str, float]
        ``rand``: share of the pairs of utterances that both parts treat
        alike, 0 to 1; ``adjusted_rand``: 1 at best, 0 by chance;
        ``mutual_information``: nats; ``adjusted_mutual_information``: 1 at
        best, 0 by chance.

    Raises
    ------
    ValueError
        If they differ in length or are empty.

    Example
    -------
    >>> figures = clustering_figures(["a", "a", "b", "b"], [0, 0, 0, 1])
    >>> figures["rand"]  # three of the six pairs
    0.5
    """
    if len(speakers) != len(found) or not len(speakers):
        raise ValueError(
            f"{len(speakers)} speakers and {len(found)} clusters, expected "
            "one of each per utterance, and at least one"
        )
    return {
        "rand": float(metrics.rand_score(speakers, found)),
        "adjusted_rand": float(metrics.adjusted_rand_score(speakers, found)),
        "mutual_information": float(metrics.mutual_info_score(speakers, found)),
        "adjusted_mutual_information": float(
            metrics.adjusted_mutual_info_score(speakers, found)
        ),
    }


def _k_means(unit: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    return KMeans(clusters, n_init=STARTS, random_state=seed).fit_predict(unit)


def _gmm(unit: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    # A component of few utterances would shrink to a point: a tenth of the
    # spread of all is added.
    spread = 0.1 * unit.var(axis=0).mean()
    mixture = GaussianMixture(
        clusters,
        covariance_type="diag",
        reg_covar=max(spread, 1e-9),
        n_init=STARTS,
        random_state=seed,
    )
    return mixture.fit_predict(unit)


def _spectral(unit: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    # Not quite 0: groups without any tie have no common spectrum.
    affinity = np.maximum(unit @ unit.T, 1e-6)
    model = SpectralClustering(
        clusters,
        affinity="precomputed",
        n_init=STARTS,
        random_state=seed,
    )
    return model.fit_predict(affinity)


def _random(unit: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(clusters, size=len(unit))


METHODS: dict[str, Callable[[np.ndarray, int, int], np.ndarray]] = {
    "k-means": _k_means,
    "gmm": _gmm,
    "spectral": _spectral,
    "random": _random,
}
"""How utterances are clustered, by the name in the table."""
