"""Who of those enrolled it is: scores, probabilities, or nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import softmax

from speechbrain_siamese.processing.scoring import cosine_scores

if TYPE_CHECKING:
    from speechbrain_siamese.inference.speaker import SiameseRecognition


@dataclass(frozen=True)
class Candidate:
    """Someone who may be the speaker.

    Arguments
    ---------
    name : str
    score : float
        Cosine similarity with the person's voice.
    normalised : float or None
        As of ``Comparison``.
    probability : float
        That it is this person, after the scores of all candidates.
    """

    name: str
    score: float
    normalised: float | None
    probability: float

    @property
    def worth(self) -> float:
        """What candidates are ranked by: normalised where that is known."""
        return self.score if self.normalised is None else self.normalised


@dataclass(frozen=True)
class Identification:
    """Who speaks, as far as the gallery knows.

    Arguments
    ---------
    name : str or None
        None where nobody is probable enough: *unknown*.
    candidates : list of Candidate
        The most similar people, best first.
    unknown : float
        Probability that it is none of those enrolled.
    """

    name: str | None
    candidates: list[Candidate]
    unknown: float


def score_voices(
    model: SiameseRecognition,
    embedding: np.ndarray,
    voices: np.ndarray,
    names: Sequence[str],
) -> list[Candidate]:
    """Compare an embedding with voices.

    Arguments
    ---------
    model : SiameseRecognition
        Tells strangers to normalise with.
    embedding : np.ndarray
        As ``encode_voices`` gives it, (dim,), float32.
    voices : np.ndarray
        Likewise, (voices, dim), float32.
    names : Sequence[str]
        Of the voices.

    Returns
    -------
    list of Candidate
        In the order of the voices, without probabilities.
    """
    both = torch.from_numpy(np.concatenate([embedding[None], voices]))
    trials = np.zeros(len(names), dtype=int), np.arange(1, len(names) + 1)
    scores = cosine_scores(both, *trials)
    normalised = [None] * len(names)
    if model.normalised_decision:
        normalised = model.normalised_scores(both, *trials).tolist()
    return [
        Candidate(name, float(score), own, float("nan"))
        for name, score, own in zip(names, scores, normalised, strict=True)
    ]


def passes(
    model: SiameseRecognition,
    candidate: Candidate,
    threshold: float | None = None,
) -> bool:
    """Whether a candidate is taken for the speaker.

    Arguments
    ---------
    model : SiameseRecognition
    candidate : Candidate
    threshold : float or None
        Of normalised scores, where there are any; None for the model's own.

    Returns
    -------
    bool
    """
    decision = model.normalised_decision or model.decision
    return candidate.worth > (
        decision.threshold if threshold is None else threshold
    )


def with_probabilities(
    model: SiameseRecognition,
    candidates: Sequence[Candidate],
    people: int,
    unknown: float,
) -> Identification:
    """Rank candidates, and tell how probable each is.

    By Bayes: at most one of them speaks, before anything was heard each of
    the people was as probable as the others.

    Arguments
    ---------
    model : SiameseRecognition
        Its calibration makes likelihood ratios of scores.
    candidates : Sequence[Candidate]
        The most similar people, at least one; the others count for nothing.
    people : int
        How many are enrolled.
    unknown : float
        Probability of someone who is not enrolled, before anything was heard.

    Returns
    -------
    Identification
        Without a name.
    """
    decision = model.normalised_decision or model.decision
    ratios = decision.calibration.llr(
        np.array([candidate.worth for candidate in candidates])
    )
    with np.errstate(divide="ignore"):
        prior = np.log((1 - unknown) / people)
        logits = np.append(ratios + prior, np.log(unknown))
    *each, nobody = softmax(logits).tolist()
    ranked = sorted(
        (
            replace(candidate, probability=probability)
            for candidate, probability in zip(candidates, each, strict=True)
        ),
        key=lambda candidate: candidate.worth,
        reverse=True,
    )
    return Identification(None, ranked, nobody)
