"""Figures of a model on a trial list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from speechbrain_siamese.dataio.trial_sets import listed_trials
from speechbrain_siamese.inference.embeddings import embed_files
from speechbrain_siamese.processing.scoring import MEASURES
from speechbrain_siamese.utils.metrics import verification_metrics

if TYPE_CHECKING:
    from speechbrain_siamese.inference.speaker import SiameseRecognition


def score_trials(
    model: SiameseRecognition, trials: str | Path, audio_folder: str | Path
) -> tuple[dict[str, float], dict[str, str]]:
    """Score a trial list in VoxCeleb's format.

    Arguments
    ---------
    model : SiameseRecognition
    trials : str or Path
        Lines of ``1 enrol.wav test.wav``.
    audio_folder : str or Path
        Where its paths begin.

    Returns
    -------
    figures : dict of str : float
        As ``verification_metrics``, of the scores and at the threshold by
        which ``verify_files`` decides; ``left_out`` is the number of trials
        with a file that cannot be used.
    unusable : dict of str : str
        Reasons of those files, by their path in the list.

    Raises
    ------
    ValueError
        If the list is none, or what can be scored is all of one kind.
    """
    listed = listed_trials(trials, audio_folder)
    table = listed.table
    found, unusable = embed_files(model, listed.paths)
    lost = np.isin(table.enrol, [*unusable]) | np.isin(table.test, [*unusable])
    voices = found[None].nan_to_num()
    trials = table.enrol[~lost], table.test[~lost]
    decision = model.normalised_decision
    if decision:
        scores, kind = model.normalised_scores(voices, *trials), None
    else:
        scores, kind = MEASURES[model.measure](voices, *trials), model.measure
    figures = verification_metrics(
        scores,
        table.labels[~lost],
        threshold=(decision or model.decision).threshold,
        kind=kind,
    )
    return {**figures, "left_out": int(lost.sum())}, {
        table.names[number]: reason for number, reason in unusable.items()
    }
