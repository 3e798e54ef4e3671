"""The figures of a finished training: for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.splits import QUESTIONS
from speechbrain_siamese.dataio.trial_table import TrialTable
from speechbrain_siamese.utils.calibration import (
    cllr,
    expected_calibration_error,
    min_cllr,
)
from speechbrain_siamese.utils.decision import Decision
from speechbrain_siamese.utils.intervals import bootstrap_interval
from speechbrain_siamese.utils.metrics import verification_metrics
from speechbrain_siamese.utils.plots import plot_scores, save_figure
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
    table: TrialTable,
    speakers: Sequence[str] | None,
    decision: Decision | None,
    kind: str | None = "cosine",
) -> dict:
    """Figures of one trial list, with an interval for the EER.

    Arguments
    ---------
    scores : np.ndarray
        Higher is more alike, (trials,).
    table : TrialTable
    speakers : Sequence[str] or None
        Speaker of each of the table's utterances; None if they are unknown.
    decision : Decision or None
        Chosen elsewhere; decides accuracy, precision, recall, F1, and Cllr.
        None judges at the EER threshold of these very trials, which flatters
        them, and knows no Cllr.
    kind : str or None
        As for ``verification_metrics``.

    Returns
    -------
    dict
        As ``verification_metrics``; ``cllr`` of the calibrated scores,
        ``min_cllr``, ``calibration_error`` (expected, at prior 0.5);
        ``speakers`` (how many); and ``eer_interval``: 95 %, by resampling
        speakers. None for what cannot be told: an interval where the speakers
        are unknown or too few, distances without a kind.
    """
    labels = table.labels
    figures: dict = {
        **verification_metrics(
            scores, labels, decision and decision.threshold, kind
        )
    }
    figures |= {
        "cllr": None,
        "min_cllr": min_cllr(scores, labels),
        "calibration_error": None,
        "speakers": None,
        "eer_interval": None,
    }
    if decision:
        promised = decision.calibration.probability(scores)
        figures["cllr"] = cllr(decision.calibration.llr(scores), labels)
        figures["calibration_error"] = expected_calibration_error(
            promised, labels
        )
    if speakers is not None:
        _, number = np.unique(np.asarray(speakers), return_inverse=True)
        enrol, test = number[table.enrol], number[table.test]
        # A table may hold utterances that no trial names.
        figures["speakers"] = len(np.union1d(enrol, test))
        if figures["speakers"] >= FEWEST_SPEAKERS:
            figures["eer_interval"] = list(
                bootstrap_interval(scores, labels, enrol, test)
            )
    return figures


def measure_questions(
    scores: Mapping[str, np.ndarray],
    tables: Mapping[str, TrialTable],
    speakers: Mapping[str, Sequence[str]],
    decision: Decision,
    figures_folder: str | Path,
    kind: str | None = "cosine",
) -> dict[str, dict | None]:
    """Figures of the three test questions, logged and drawn.

    Arguments
    ---------
    scores : Mapping[str, np.ndarray]
        Scores of each question's trials.
    tables : Mapping[str, TrialTable]
    speakers : Mapping[str, Sequence[str]]
        Of each question's utterances.
    decision : Decision
        Chosen on the validation trials.
    figures_folder : str or Path
        For one score histogram a question.
    kind : str or None
        As for ``verification_metrics``.

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
            scores[question],
            tables[question],
            speakers[question],
            decision,
            kind,
        )
        figures[question] = found
        figure = plot_scores(
            scores[question],
            tables[question].labels,
            decision.threshold,
            title=MEANING[question],
            kind=kind,
        )
        save_figure(figure, Path(figures_folder) / f"scores_{question}.png")
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
