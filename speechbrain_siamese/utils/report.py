"""The figures of a finished training: for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.manifests import Trial
from speechbrain_siamese.dataio.splits import QUESTIONS
from speechbrain_siamese.utils.calibration import (
    cllr,
    expected_calibration_error,
    min_cllr,
)
from speechbrain_siamese.utils.decision import Decision
from speechbrain_siamese.utils.intervals import bootstrap_interval
from speechbrain_siamese.utils.metrics import verification_metrics
from speechbrain_siamese.utils.plots import plot_scores
from speechbrain_siamese.utils.whole_file import whole_file

logger = get_logger(__name__)

#: With fewer, resampling speakers gives an interval that looks certain.
FEWEST_SPEAKERS = 5

#: What each question asks, in words for the log and the model card.
MEANING = {
    "time": "known voice, known recording",
    "session": "known voice, new recording",
    "speaker": "unknown voice",
}


def measure(
    scores: np.ndarray,
    trials: Sequence[Trial],
    speaker_of: Mapping[str, str],
    decision: Decision,
) -> dict:
    """Figures of one trial list, with an interval for the EER.

    Arguments
    ---------
    scores : np.ndarray
        Cosine scores, (trials,).
    trials : Sequence[Trial]
    speaker_of : Mapping[str, str]
        Speaker of each utterance that the trials name.
    decision : Decision
        Chosen elsewhere; decides accuracy, precision, recall, F1, and Cllr.

    Returns
    -------
    dict
        As ``verification_metrics``; ``cllr`` of the calibrated scores,
        ``min_cllr``, ``calibration_error`` (expected, at prior 0.5); and
        ``eer_interval``: 95 %, by resampling speakers; None where they are
        too few to tell.
    """
    labels = np.array([trial.label for trial in trials])
    enrol = [speaker_of[trial.enrol] for trial in trials]
    test = [speaker_of[trial.test] for trial in trials]
    figures = verification_metrics(scores, labels, decision.threshold)
    promised = decision.calibration.probability(scores)
    figures |= {
        "cllr": cllr(decision.calibration.llr(scores), labels),
        "min_cllr": min_cllr(scores, labels),
        "calibration_error": expected_calibration_error(promised, labels),
    }
    interval = None
    if len({*enrol, *test}) >= FEWEST_SPEAKERS:
        interval = list(bootstrap_interval(scores, labels, enrol, test))
    return {**figures, "eer_interval": interval}


def measure_questions(
    scores: Mapping[str, np.ndarray],
    trials: Mapping[str, Sequence[Trial]],
    speaker_of: Mapping[str, str],
    decision: Decision,
    figures_folder: str | Path,
) -> dict[str, dict | None]:
    """Figures of the three test questions, logged and drawn.

    Arguments
    ---------
    scores : Mapping[str, np.ndarray]
        Scores of each question's trials.
    trials : Mapping[str, Sequence[Trial]]
    speaker_of : Mapping[str, str]
    decision : Decision
        Chosen on the validation trials.
    figures_folder : str or Path
        For one score histogram a question.

    Returns
    -------
    dict of str : dict or None
        None where the data cannot answer the question.
    """
    figures: dict[str, dict | None] = {}
    for question in QUESTIONS:
        if question not in scores:
            figures[question] = None
            logger.info("test, %s: no such data", MEANING[question])
            continue
        found = measure(
            scores[question], trials[question], speaker_of, decision
        )
        figures[question] = found
        plot_scores(
            scores[question],
            np.array([trial.label for trial in trials[question]]),
            decision.threshold,
            Path(figures_folder) / f"scores_{question}.png",
            title=MEANING[question],
        )
        between = (
            "95 %: {:.1f} to {:.1f} %".format(
                *(100 * end for end in found["eer_interval"])
            )
            if found["eer_interval"]
            else "too few speakers for an interval"
        )
        logger.info(
            "test, %s: EER %.1f %% (%s), minDCF(0.01) %.2f, "
            "at the threshold precision %.2f, recall %.2f; %d similar and %d "
            "dissimilar trials",
            MEANING[question],
            100 * found["eer"],
            between,
            found["min_dcf_0.01"],
            found["precision"],
            found["recall"],
            found["trials_similar"],
            found["trials_dissimilar"],
        )
    return figures


def write_metrics(report: dict, path: str | Path) -> None:
    """Write ``metrics.json``.

    Arguments
    ---------
    report : dict
        Numbers, strings, lists and dicts.
    path : str or Path
    """
    with whole_file(path) as partial:
        partial.write_text(
            json.dumps(report, indent=1, allow_nan=False), encoding="utf-8"
        )
    logger.info("all figures: %s", path)
