"""Scores of many trials from the embeddings of few utterances."""

from __future__ import annotations

import numpy as np
import torch

#: Trials whose embeddings are gathered at a time: some 25 MB of them.
BLOCK = 1 << 14


def cosine_scores(
    embeddings: torch.Tensor, enrol: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Cosine similarity of each trial, in bounded memory.

    Arguments
    ---------
    embeddings : torch.Tensor
        (utterances, dim)
    enrol, test : np.ndarray
        Positions in ``embeddings``, integers, (trials,).

    Returns
    -------
    np.ndarray
        float32, (trials,).

    Raises
    ------
    ValueError
        If the embeddings are no matrix or not finite, or a position has none.

    Example
    -------
    >>> embeddings = torch.tensor([[3.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    >>> cosine_scores(embeddings, np.array([0, 0]), np.array([1, 2]))
    array([0., 1.], dtype=float32)
    """
    _check(embeddings, enrol, test)
    unit = torch.nn.functional.normalize(embeddings.float(), dim=-1)
    return _in_blocks(torch.linalg.vecdot, unit, enrol, test)


def euclidean_scores(
    embeddings: torch.Tensor, enrol: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Euclidean distance of each trial with its sign turned round.

    So that higher is more alike, as everywhere; for embeddings that were not
    trained to unit length.

    Arguments
    ---------
    embeddings, enrol, test
        As for ``cosine_scores``.

    Returns
    -------
    np.ndarray
        float32, (trials,), not above 0.

    Raises
    ------
    ValueError
        As ``cosine_scores``.

    Example
    -------
    >>> embeddings = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    >>> euclidean_scores(embeddings, np.array([0]), np.array([1]))
    array([-5.], dtype=float32)
    """
    _check(embeddings, enrol, test)
    return _in_blocks(_minus_distance, embeddings.float(), enrol, test)


def product_scores(
    voices: torch.Tensor, enrol: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Inner product of each trial, in bounded memory.

    Arguments
    ---------
    voices : torch.Tensor
        Of lengths that mean something, (utterances, dim).
    enrol, test : np.ndarray
        As for ``cosine_scores``.

    Returns
    -------
    np.ndarray
        float32, (trials,).

    Raises
    ------
    ValueError
        As ``cosine_scores``.

    Example
    -------
    >>> voices = torch.tensor([[0.5, 0.0], [1.0, 1.0]])
    >>> product_scores(voices, np.array([0]), np.array([1]))
    array([0.5], dtype=float32)
    """
    _check(voices, enrol, test)
    return _in_blocks(torch.linalg.vecdot, voices.float(), enrol, test)


#: By the name that a model's hyperparameters give.
MEASURES = {"cosine": cosine_scores, "euclidean": euclidean_scores}


def _minus_distance(first, second):
    return -torch.linalg.vector_norm(first - second, dim=-1)


def _in_blocks(compare, embeddings, enrol, test) -> np.ndarray:
    """Compare both sides of each trial, so many at a time."""
    enrol, test = torch.as_tensor(enrol), torch.as_tensor(test)
    scores = torch.empty(len(enrol))
    for start in range(0, len(enrol), BLOCK):
        part = slice(start, start + BLOCK)
        first = embeddings[enrol[part].long()]
        scores[part] = compare(first, embeddings[test[part].long()])
    return scores.numpy()


def _check(embeddings, enrol, test):
    """Refuse what cannot be compared."""
    if embeddings.ndim != 2:
        raise ValueError(
            f"embeddings have shape {tuple(embeddings.shape)}, expected "
            "(utterances, dim)"
        )
    if not embeddings.isfinite().all():
        raise ValueError(
            "an embedding is NaN or infinite: look for a silent file or a "
            "diverged model"
        )
    last = max(np.max(enrol, initial=-1), np.max(test, initial=-1))
    if last >= len(embeddings):
        raise ValueError(
            f"a trial names utterance {last}, but there are embeddings of "
            f"{len(embeddings)}: give one for each utterance"
        )
