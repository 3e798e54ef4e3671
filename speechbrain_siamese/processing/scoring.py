"""Scores of many trials from the embeddings of few utterances."""

from __future__ import annotations

import torch

#: Trials whose embeddings are gathered at a time: some 25 MB of them.
BLOCK = 1 << 14


def cosine_scores(
    embeddings: torch.Tensor, enrol: torch.Tensor, test: torch.Tensor
) -> torch.Tensor:
    """Cosine similarity of each trial, in bounded memory.

    Arguments
    ---------
    embeddings : torch.Tensor
        (utterances, dim)
    enrol, test : torch.Tensor
        Positions in ``embeddings``, integers, (trials,).

    Returns
    -------
    torch.Tensor
        float32, (trials,).

    Raises
    ------
    ValueError
        If the embeddings are no matrix, or not finite.

    Example
    -------
    >>> embeddings = torch.tensor([[3.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    >>> cosine_scores(embeddings, torch.tensor([0, 0]), torch.tensor([1, 2]))
    tensor([0., 1.])
    """
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
    unit = torch.nn.functional.normalize(embeddings.float(), dim=-1)
    scores = torch.empty(len(enrol))
    for start in range(0, len(enrol), BLOCK):
        part = slice(start, start + BLOCK)
        first, second = unit[enrol[part].long()], unit[test[part].long()]
        torch.linalg.vecdot(first, second, out=scores[part])
    return scores
