"""What the scores of a model mean: thresholds and calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speechbrain_siamese.utils.calibration import Calibration, fit_calibration
from speechbrain_siamese.utils.working_points import (
    working_threshold,
    written_target,
)


@dataclass(frozen=True)
class Decision:
    """How scores become decisions and probabilities.

    Arguments
    ---------
    target : str
        Working point of the threshold, as ``working_threshold`` takes it.
    threshold : float
        Score above which two voices are one.
    calibration : Calibration
        From scores to log-likelihood ratios.
    """

    target: str
    threshold: float
    calibration: Calibration


@dataclass(frozen=True)
class NormalisedDecision(Decision):
    """How normalised scores do.

    Arguments
    ---------
    target, threshold, calibration
        As for ``Decision``.
    likeness : float
        For ``processing.score_norm.voices_of``.
    middle, usual : float
        For ``processing.score_norm.evened``.
    """

    likeness: float
    middle: float
    usual: float


def choose_decision(
    scores: np.ndarray, labels: np.ndarray, target: str
) -> Decision:
    """Choose threshold and calibration on validation trials.

    Arguments
    ---------
    scores : np.ndarray
        Higher is more alike, (trials,); of people who neither train nor test.
    labels : np.ndarray
        1 same speaker, 0 different, (trials,).
    target : str
        As for ``working_threshold``.

    Returns
    -------
    Decision

    Raises
    ------
    ValueError
        If the trials are unusable or the target is unknown.

    Example
    -------
    >>> choose_decision([0.9, 0.75, 0.25, 0.1], [1, 1, 0, 0], "eer").threshold
    0.5
    """
    return Decision(
        target=written_target(target),
        threshold=working_threshold(scores, labels, target),
        calibration=fit_calibration(scores, labels),
    )
