"""Learns from turns of known people what a change is, and what one voice."""

from __future__ import annotations

import functools
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.datasets import WindowDataset, read_samples
from speechbrain_siamese.dataio.turns import joined_turns
from speechbrain_siamese.inference.changes import (
    border_times,
    changes_of,
    find_borders,
)
from speechbrain_siamese.inference.label import cut_at
from speechbrain_siamese.inference.long_files import SpeechFrames
from speechbrain_siamese.inference.stream import StreamWindows
from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.features import LogMel
from speechbrain_siamese.processing.changes import (
    TOLERANCE,
    ChangeModel,
    fit_change_model,
)
from speechbrain_siamese.processing.voices import (
    OnlineVoices,
    VoiceModel,
    choose_threshold,
    join_voices,
    rightly_labelled,
)
from speechbrain_siamese.utils.change_metrics import change_figures

if TYPE_CHECKING:
    from speechbrain_siamese.core import SiameseBrain

logger = get_logger(__name__)


@dataclass(frozen=True)
class TurnFigures:
    """How well turns are told apart, on those of validation people.

    Arguments
    ---------
    people : int
    seconds : float
    changes_f1 : float
        Of the changes within 0.5 s.
    rightly_labelled : float
        Share of the speech under the label of its speaker, with the threshold
        that was chosen on it: rather high.
    """

    people: int
    seconds: float
    changes_f1: float
    rightly_labelled: float

    def __str__(self):
        return (
            f"in {self.seconds:.0f} s of joined turns of {self.people} "
            f"validation people, changes within {TOLERANCE:g} s are found with "
            f"an F1 of {self.changes_f1:.2f}, and "
            f"{100 * self.rightly_labelled:.0f} % of the speech is labelled as "
            "the right voice"
        )


def learn_turns(
    brain: SiameseBrain,
    train: WindowDataset,
    valid: WindowDataset,
    seconds: float,
) -> tuple[ChangeModel | None, VoiceModel | None, TurnFigures | None]:
    """Learn what a change is on training people, who is one on validation.

    Which cosines are of one voice has to be asked of people whom the encoder
    does not know: those who trained are closer to themselves.

    Arguments
    ---------
    brain : SiameseBrain
        With the best epoch's weights.
    train, valid : WindowDataset
        Manifests whose stretches are the longest.
    seconds : float
        Of turns, of 6 s on average, of each; 0 to learn nothing.

    Returns
    -------
    changes : ChangeModel or None
        None where the encoder is another one, or no turns can be joined.
    voices : VoiceModel or None
    figures : TurnFigures or None
        None, both, where validation people have too few stretches of 2 s.
    """
    modules = brain.raw_modules
    known = isinstance(modules["compute_features"], LogMel) and isinstance(
        modules["embedding_model"], DenseNetEncoder
    )
    if not seconds or not known:
        return None, None, None
    changes = None
    try:
        changes = _learn_changes(_Turns(brain, train, seconds))
        turns = _Turns(brain, valid, seconds)
        voices, figures = _learn_voices(changes, turns)
        logger.info("who speaks when: %s", figures)
        return changes, voices, figures
    except ValueError as error:
        logger.warning(
            "%s not learnt: %s",
            "voices in turns are" if changes else "speaker changes are",
            error,
        )
        return changes, None, None


class _Turns:
    """Joined turns of a manifest's people, and what the encoder hears."""

    def __init__(self, brain, dataset, seconds):
        modules, rate = brain.raw_modules, brain.hparams.sample_rate
        rows = defaultdict(list)
        for row in dataset.data.values():
            rows[row["spk_id"]].append(row)

        def read(speaker, number, start, stop):
            row = rows[speaker][number]
            first = int(row["start"])
            return read_samples(row["wav"], first + start, first + stop).numpy()

        samples, self.turns = joined_turns(
            {
                speaker: [int(row["stop"]) - int(row["start"]) for row in own]
                for speaker, own in rows.items()
            },
            read,
            seconds,
            rate,
            brain.hparams.seed,
        )
        self.changes = [start for start, _, _ in self.turns[1:]]
        self.encoder = modules["embedding_model"].eval()
        log_mel = modules["compute_features"]
        self.hop = log_mel.hop_samples / rate
        self.speech = SpeechFrames(
            lambda: [samples], log_mel, self.encoder, brain.device
        )
        self._samples, self._device, self._rate = samples, brain.device, rate
        self._log_mel = log_mel

    def shares(self, places: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """Seconds of each speaker in each part, (parts, speakers).

        ``places`` are numbers of frames in the recording, ``parts`` the
        number of the part that each of them is in.
        """
        names = sorted({speaker for _, _, speaker in self.turns})
        turn = np.searchsorted(self.changes, places * self.hop, side="right")
        speaker = np.array([names.index(own) for _, _, own in self.turns])
        found = np.zeros((parts.max() + 1, len(names)))
        np.add.at(found, (parts, speaker[turn]), self.hop)
        return found

    def online_threshold(self) -> float:
        """The best one for ``OnlineVoices``."""
        stream = StreamWindows(
            self._log_mel, self.encoder, self._rate, self._device
        )
        everything = [*stream.push(self._samples), *stream.finish()]
        moments = [one for one in everything if len(one.places)]
        shares = self.shares(
            np.concatenate([one.places for one in moments]),
            np.repeat(
                np.arange(len(moments)), [len(one.places) for one in moments]
            ),
        )

        def label(threshold):
            voices = OnlineVoices(threshold)
            return np.array([voices.decide(one.windows) for one in moments])

        return choose_threshold(label, shares)


def _learn_changes(turns: _Turns) -> ChangeModel:
    """Fit what tells a change."""
    borders, features = find_borders(turns.speech, turns.encoder, turns.hop)
    times = border_times(turns.speech.keep, borders, turns.hop)
    return fit_change_model(features, times, turns.changes)


def _learn_voices(
    model: ChangeModel, turns: _Turns
) -> tuple[VoiceModel, TurnFigures]:
    """Choose what is one voice, and measure."""
    changes = changes_of(turns.speech, turns.encoder, model, turns.hop)
    pieces = cut_at(changes, turns.speech, turns.encoder, turns.hop)
    shares = turns.shares(pieces.places, pieces.owners)
    label = functools.partial(join_voices, pieces.embeddings, pieces.seconds)
    threshold = choose_threshold(label, shares)
    times = border_times(turns.speech.keep, changes, turns.hop)
    right = rightly_labelled(label(threshold), shares)
    return VoiceModel(threshold, turns.online_threshold()), TurnFigures(
        people=shares.shape[1],
        seconds=turns.turns[-1][1],
        changes_f1=change_figures([(times, turns.changes)], TOLERANCE).f1,
        rightly_labelled=right / float(shares.sum()),
    )
