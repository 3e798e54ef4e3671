"""Scores compared with how alike a recording is to strangers.

Some recordings are like everybody: their scores are high with anyone. A
cohort of other people's voices tells how high, and the adaptive symmetric
normalisation (AS-norm) takes that off (Matejka et al. 2017, "Analysis of score
normalization in multilingual speaker recognition").
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import normalize

#: With fewer voices a mean and a deviation say nothing.
FEWEST = 10


class Cohort(torch.nn.Module):
    """Voices that scores are compared with: one embedding per speaker.

    Arguments
    ---------
    speakers : int
        How many there are.
    embedding_dim : int
        Size of an embedding.
    top : int
        How many of the most similar ones count, at least ``FEWEST``.

    Raises
    ------
    ValueError
        If ``top`` is too small.

    Example
    -------
    >>> cohort = Cohort(speakers=20, embedding_dim=4)
    >>> _ = torch.manual_seed(0)
    >>> cohort.fill(torch.randn(20, 4))
    >>> enrol, test = np.array([0, 0, 1]), np.array([1, 2, 2])
    >>> cohort.normalised(np.zeros(3), torch.randn(3, 4), enrol, test).shape
    (3,)
    """

    def __init__(self, speakers: int, embedding_dim: int, top: int = 100):
        super().__init__()
        if top < FEWEST:
            raise ValueError(f"top is {top}, expected at least {FEWEST}")
        self.top = top
        self.register_buffer("voices", torch.zeros(speakers, embedding_dim))

    @property
    def usable(self) -> bool:
        """Whether there are enough voices to compare with."""
        return len(self.voices) >= FEWEST

    def fill(self, voices: torch.Tensor) -> None:
        """Set the voices.

        Arguments
        ---------
        voices : torch.Tensor
            Mean embedding of each speaker, (speakers, dim); of any length.
        """
        self.voices.copy_(normalize(voices, dim=-1))

    def statistics(
        self, embeddings: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """How alike embeddings are to the most similar voices.

        Arguments
        ---------
        embeddings : torch.Tensor
            (items, dim)

        Returns
        -------
        mean : torch.Tensor
            Of the ``top`` highest cosines, (items,).
        deviation : torch.Tensor
            Their standard deviation, (items,).

        Raises
        ------
        ValueError
            If there are too few voices, or they are of another size.
        """
        if not self.usable:
            raise ValueError(
                f"the cohort holds {len(self.voices)} speakers, expected at "
                f"least {FEWEST}: use the score as it is"
            )
        if embeddings.shape[-1] != self.voices.shape[-1]:
            raise ValueError(
                f"the embeddings have {embeddings.shape[-1]} values, the "
                f"cohort's {self.voices.shape[-1]}: they are of another model"
            )
        cosines = normalize(embeddings, dim=-1) @ self.voices.T
        top = cosines.topk(min(self.top, len(self.voices)), dim=-1).values
        return top.mean(dim=-1), top.std(dim=-1)

    def normalised(
        self,
        scores: np.ndarray,
        embeddings: torch.Tensor,
        enrol: np.ndarray,
        test: np.ndarray,
    ) -> np.ndarray:
        """Scores in deviations above those of strangers, mean of both sides.

        Arguments
        ---------
        scores : np.ndarray
            Cosines, (trials,).
        embeddings : torch.Tensor
            (utterances, dim); each is compared with the voices once.
        enrol, test : np.ndarray
            Positions in ``embeddings``, integers, (trials,).

        Returns
        -------
        np.ndarray
            (trials,); higher is more alike, not limited to 1.

        Raises
        ------
        ValueError
            If there are too few voices, or they are of another size.
        """
        mean, deviation = (side.numpy() for side in self.statistics(embeddings))
        return symmetric_norm(
            scores,
            (mean[enrol], deviation[enrol]),
            (mean[test], deviation[test]),
        )


def symmetric_norm(
    scores: np.ndarray,
    enrol: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Mean of a score's distances from both sides' strangers.

    Arguments
    ---------
    scores : np.ndarray
        (trials,)
    enrol, test : tuple of np.ndarray
        Mean and deviation of each side's cohort scores, (trials,) each.

    Returns
    -------
    np.ndarray
        (trials,)

    Example
    -------
    >>> easy = (np.array([0.1]), np.array([0.1]))
    >>> like_everybody = (np.array([0.3]), np.array([0.2]))
    >>> symmetric_norm(np.array([0.5]), easy, like_everybody).round(6)
    array([2.5])
    """
    sides = [
        (scores - mean) / np.maximum(deviation, 1e-6)
        for mean, deviation in (enrol, test)
    ]
    return (sides[0] + sides[1]) / 2
