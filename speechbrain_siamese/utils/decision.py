"""What the scores of a model mean: thresholds and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from speechbrain_siamese.dataio.manifests import Trial
from speechbrain_siamese.processing.score_norm import Cohort
from speechbrain_siamese.utils.calibration import Calibration, fit_calibration
from speechbrain_siamese.utils.working_points import (
    parse_target,
    working_threshold,
)


@dataclass(frozen=True)
class Decision:
    """How scores become decisions and probabilities.

    Arguments
    ---------
    target : str
        Working point of the thresholds, as ``working_threshold`` takes it.
    threshold : float
        Cosine above which two voices are one.
    calibration : Calibration
        From cosines to log-likelihood ratios.
    normalised_threshold : float or None
        The threshold of AS-norm scores; None without a usable cohort.
    """

    target: str
    threshold: float
    calibration: Calibration
    normalised_threshold: float | None


def choose_decision(
    trials: Sequence[Trial],
    embeddings: Mapping[str, torch.Tensor],
    cohort: Cohort,
    target: str,
) -> Decision:
    """Choose thresholds and calibration on validation trials.

    Arguments
    ---------
    trials : Sequence[Trial]
        Of people who neither train nor test.
    embeddings : Mapping[str, torch.Tensor]
        (dim,) each, by the name that the trials use.
    cohort : Cohort
        Of people who are not in the trials.
    target : str
        As for ``working_threshold``.

    Returns
    -------
    Decision

    Raises
    ------
    ValueError
        If the trials are unusable or the target is unknown.
    """
    enrol = torch.stack([embeddings[trial.enrol] for trial in trials])
    test = torch.stack([embeddings[trial.test] for trial in trials])
    cosines = torch.cosine_similarity(enrol, test)
    labels = np.array([trial.label for trial in trials])
    normalised = None
    if cohort.usable:
        normalised = working_threshold(
            cohort.normalised(cosines, enrol, test).numpy(), labels, target
        )
    kind, value = parse_target(target)
    return Decision(
        target=kind if kind == "eer" else f"{kind}={value:g}",
        threshold=working_threshold(cosines.numpy(), labels, target),
        calibration=fit_calibration(cosines.numpy(), labels),
        normalised_threshold=normalised,
    )
