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
        As ``verification_metrics`` at the model's own threshold; ``left_out``
        is the number of trials with a file that cannot be used.
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
    embeddings = found[None].nan_to_num()
    scores = MEASURES[model.measure](
        embeddings, table.enrol[~lost], table.test[~lost]
    )
    figures = verification_metrics(
        scores,
        table.labels[~lost],
        threshold=model.hparams.threshold,
        kind=model.measure,
    )
    return {**figures, "left_out": int(lost.sum())}, {
        table.names[number]: reason for number, reason in unusable.items()
    }
