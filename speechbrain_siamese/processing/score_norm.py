"""Scores that mean the same for short and long recordings, with anybody.

The cosine of two embeddings grows with what they are the mean of: what varies
from window to window averages out, of one voice and of two, so that a threshold
that is right for clips of four seconds takes nearly half of all pairs of
strangers for one person where half a minute of each is heard. So the mean over
the windows is not brought to length 1, but what of it is the voice: the mean
cosine of different windows of one recording tells how long that is. Spearman
1904, "The proof and measurement of association between two things", corrects
correlations for attenuation in this way.

Some recordings are like everybody: their scores are high with anyone. A cohort
of other people's voices tells how high, and its mean is taken off on both
sides, as by the adaptive symmetric normalisation (AS-norm; Matejka et al. 2017,
"Analysis of score normalization in multilingual speaker recognition"). Not its
deviation, which grows with the length of the recording, too.

What is left of the variation from window to window makes the scores of short
recordings spread, around the same middle: ``evened`` has all spread alike, so
that the same score is as much evidence.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import normalize

from speechbrain_siamese.processing.scoring import product_scores

#: With fewer voices a mean says nothing.
FEWEST = 10

#: Pairs of windows that what is usual counts for, where a recording's own tell
#: how alike its windows are: of a single one nothing does.
USUAL = 2.0

#: Of what is usual: windows that are less alike are not of one voice.
LEAST_ALIKE = 0.5


#: Of the spread of scores: what no length takes away. Chosen on validation
#: people; 0.3 and 0.5 are as good.
CONSTANT = 0.4


def voices_of(
    means: torch.Tensor, counts: torch.Tensor, likeness: float
) -> torch.Tensor:
    """Bring what of a mean over windows is the voice to length 1.

    Arguments
    ---------
    means : torch.Tensor
        Over windows whose embeddings are of length 1, (items, dim).
    counts : torch.Tensor
        Of the windows, (items,).
    likeness : float
        Mean cosine between windows of one voice, as it is usual, above 0.

    Returns
    -------
    torch.Tensor
        (items, dim): not shorter than 1, so that each is like itself; longer,
        the less the more windows there are.

    Example
    -------
    >>> window = torch.tensor([[1.0, 0.0]])
    >>> voices_of(window, torch.tensor([1.0]), likeness=0.25)
    tensor([[2., 0.]])
    >>> voices_of(window, torch.tensor([1e9]), likeness=0.25)
    tensor([[1., 0.]])
    """
    # The mean over all pairs of different windows, and some usual ones.
    squares = means.square().sum(dim=-1)
    pairs = counts * squares - 1 + USUAL * likeness
    alike = (pairs / (counts - 1 + USUAL)).clamp(min=LEAST_ALIKE * likeness)
    return means / torch.minimum(alike, squares).sqrt()[:, None]


def noise_of(voices: torch.Tensor) -> np.ndarray:
    """Variance of what is left in voices that is none.

    Arguments
    ---------
    voices : torch.Tensor
        As ``voices_of`` gives them, (items, dim).

    Returns
    -------
    np.ndarray
        (items,), 0 or more; the voice itself has 1.
    """
    return (voices.square().sum(dim=-1) - 1).clamp(min=0).numpy()


def evened(
    scores: np.ndarray, noise: np.ndarray, middle: float, usual: float
) -> np.ndarray:
    """Scores that spread alike, however long the recordings are.

    Arguments
    ---------
    scores : np.ndarray
        (trials,)
    noise : np.ndarray
        Of both sides together, (trials,).
    middle : float
        Score that speaks for neither.
    usual : float
        Noise of scores that stay what they are, above 0.

    Returns
    -------
    np.ndarray
        (trials,)

    Example
    -------
    >>> long, short = np.array([0.7]), np.array([0.7])
    >>> evened(long, np.array([0.0]), middle=0.5, usual=4.0)
    array([1.])
    >>> evened(short, np.array([4.0]), middle=0.5, usual=4.0)
    array([0.7])
    """
    return middle + (scores - middle) / (
        CONSTANT + (1 - CONSTANT) * noise / usual
    )


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
    >>> cohort.normalised(torch.randn(3, 4), enrol, test).shape
    (3,)
    """

    def __init__(self, speakers: int, embedding_dim: int, top: int = 100):
        super().__init__()
        if top < FEWEST:
            raise ValueError(f"top is {top}, expected at least {FEWEST}")
        self.top = top
        self.register_buffer("voices", torch.zeros(speakers, embedding_dim))

    def fill(self, voices: torch.Tensor) -> None:
        """Set the voices.

        Arguments
        ---------
        voices : torch.Tensor
            Mean embedding of each speaker, (speakers, dim); of any length.
        """
        self.voices.copy_(normalize(voices, dim=-1))

    def likeness(self, voices: torch.Tensor) -> torch.Tensor:
        """How alike voices are to the most similar ones of the cohort.

        Arguments
        ---------
        voices : torch.Tensor
            As ``voices_of`` gives them, (items, dim).

        Returns
        -------
        torch.Tensor
            Mean of the ``top`` highest products, (items,); 0 where there are
            too few voices.

        Raises
        ------
        ValueError
            If the cohort's are of another size.
        """
        if voices.shape[-1] != self.voices.shape[-1]:
            raise ValueError(
                f"the embeddings have {voices.shape[-1]} values, the "
                f"cohort's {self.voices.shape[-1]}: they are of another model"
            )
        if len(self.voices) < FEWEST:
            return voices.new_zeros(len(voices))
        products = voices @ self.voices.T
        top = products.topk(min(self.top, len(self.voices)), dim=-1).values
        return top.mean(dim=-1)

    def normalised(
        self, voices: torch.Tensor, enrol: np.ndarray, test: np.ndarray
    ) -> np.ndarray:
        """How alike two voices are, less how alike both are to strangers.

        Arguments
        ---------
        voices : torch.Tensor
            As ``voices_of`` gives them, (utterances, dim); each is compared
            with the cohort once.
        enrol, test : np.ndarray
            Positions in ``voices``, integers, (trials,).

        Returns
        -------
        np.ndarray
            (trials,); higher is more alike.

        Raises
        ------
        ValueError
            If the cohort's voices are of another size.
        """
        strangers = self.likeness(voices).numpy()
        return product_scores(voices, enrol, test) - (
            (strangers[enrol] + strangers[test]) / 2
        )
