"""Embeddings in two dimensions, for the eye."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

#: With fewer utterances t-SNE has no neighbourhoods to keep.
FEWEST_FOR_TSNE = 5

#: How many neighbours count; van der Maaten and Hinton advise 5 to 50.
PERPLEXITY = 30


def project(embeddings: np.ndarray, seed: int) -> np.ndarray:
    """Place utterances in a plane so that neighbours stay neighbours.

    t-SNE (van der Maaten and Hinton 2008) on cosine distances, from the
    principal components. What is near in the plane is alike; how far apart
    two groups lie and how large they are says little. Some seconds for a
    thousand utterances.

    Arguments
    ---------
    embeddings : np.ndarray
        (utterances, dimensions).
    seed : int
        The same seed gives the same picture.

    Returns
    -------
    np.ndarray
        float32 or float64, (utterances, 2), no unit. The principal
        components for fewer than 5 utterances, or if all are alike.

    Raises
    ------
    ValueError
        If the embeddings aren't (utterances, dimensions) or not finite.

    Example
    -------
    >>> project(np.eye(4), seed=0).shape
    (4, 2)
    """
    embeddings = np.asarray(embeddings)
    if embeddings.ndim != 2 or min(embeddings.shape) < 2:
        raise ValueError(
            f"embeddings have shape {embeddings.shape}, expected (utterances, "
            "dimensions) and two of each at least: stack one vector a row"
        )
    broken = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(broken):
        raise ValueError(
            f"{len(broken)} of {len(embeddings)} embeddings are NaN or "
            f"infinite, the first is number {broken[0]}, expected finite "
            "ones: look for silent files or a diverged model"
        )
    utterances = len(embeddings)
    # t-SNE divides by the spread of the principal components.
    if utterances < FEWEST_FOR_TSNE or not np.ptp(embeddings, axis=0).any():
        with np.errstate(invalid="ignore"):  # The share of no variance.
            return PCA(2, random_state=seed).fit_transform(embeddings)
    return TSNE(
        metric="cosine",
        init="pca",
        # Three times as many neighbours are looked at as count.
        perplexity=min(PERPLEXITY, (utterances - 1) / 3),
        random_state=seed,
    ).fit_transform(embeddings)
