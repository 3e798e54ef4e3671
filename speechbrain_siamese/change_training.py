"""Learns where the speaker changes, from turns of known people."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.datasets import WindowDataset, read_samples
from speechbrain_siamese.dataio.turns import joined_turns
from speechbrain_siamese.inference.changes import border_times, find_borders
from speechbrain_siamese.inference.long_files import SpeechFrames
from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.features import LogMel
from speechbrain_siamese.processing.changes import ChangeModel, fit_change_model

if TYPE_CHECKING:
    from speechbrain_siamese.core import SiameseBrain

logger = get_logger(__name__)


def learn_changes(
    brain: SiameseBrain, dataset: WindowDataset, seconds: float
) -> ChangeModel | None:
    """Fit the change model to turns of the dataset's people.

    Arguments
    ---------
    brain : SiameseBrain
        With the best epoch's weights.
    dataset : WindowDataset
        The training manifest, whose stretches are the longest.
    seconds : float
        Of turns, of 6 s on average; 0 to learn nothing.

    Returns
    -------
    ChangeModel or None
        None where the encoder is another one, or no turns can be joined.
    """
    modules, hparams = brain.raw_modules, brain.hparams
    log_mel = modules["compute_features"]
    encoder = modules["embedding_model"].eval()
    known = isinstance(log_mel, LogMel) and isinstance(encoder, DenseNetEncoder)
    if not seconds or not known:
        return None
    rows = defaultdict(list)
    for row in dataset.data.values():
        rows[row["spk_id"]].append(row)

    def read(speaker, number, start, stop):
        row = rows[speaker][number]
        first = int(row["start"])
        return read_samples(row["wav"], first + start, first + stop).numpy()

    rate = hparams.sample_rate
    try:
        samples, turns = joined_turns(
            {
                speaker: [int(row["stop"]) - int(row["start"]) for row in own]
                for speaker, own in rows.items()
            },
            read,
            seconds,
            rate,
            hparams.seed,
        )
        speech = SpeechFrames(lambda: [samples], log_mel, encoder, brain.device)
        hop = log_mel.hop_samples / rate
        borders, features = find_borders(speech, encoder, hop)
        return fit_change_model(
            features,
            border_times(speech.keep, borders, hop),
            [start for start, _, _ in turns[1:]],
        )
    except ValueError as error:
        logger.warning("speaker changes are not learnt: %s", error)
        return None
