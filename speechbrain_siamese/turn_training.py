"""Learns from turns of known people what a change is, and what one voice."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.datasets import WindowDataset, read_samples
from speechbrain_siamese.dataio.turns import SHORTEST, joined_turns
from speechbrain_siamese.inference.changes import (
    border_times,
    changes_of,
    find_borders,
)
from speechbrain_siamese.inference.label import cut_at
from speechbrain_siamese.inference.long_files import SpeechFrames
from speechbrain_siamese.inference.stream import Moment, StreamWindows
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

#: Recordings of so many validation people on which is chosen what one voice is,
#: beside one of everybody: which threshold is best differs between recordings.
FEW, RECORDINGS = 4, 3


@dataclass(frozen=True)
class TurnFigures:
    """How well turns are told apart, on those of validation people.

    Over all recordings of them, where there are several.

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
        Of turns, of 6 s on average, of a recording that is joined: one of
        training people, one of validation people; and half as many of each of
        ``RECORDINGS`` of ``FEW`` of these, or of all where they are fewer. 0
        to learn nothing.

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
        everybody = _stretches(train, brain.hparams.sample_rate)
        changes = _learn_changes(_Turns(brain, everybody, seconds))
        strangers = _stretches(valid, brain.hparams.sample_rate)
        voices, figures = _learn_voices(
            changes,
            [
                # The others in half the time: training waits for it.
                _Turns(brain, rows, seconds / 2 if number else seconds, number)
                for number, rows in enumerate(
                    _casts(strangers, brain.hparams.seed)
                )
            ],
        )
        logger.info("who speaks when: %s", figures)
        return changes, voices, figures
    except ValueError as error:
        logger.warning(
            "%s not learnt: %s",
            "voices in turns are" if changes else "speaker changes are",
            error,
        )
        return changes, None, None


def _stretches(dataset: WindowDataset, rate: int) -> dict[str, list[dict]]:
    """Rows of a manifest that are long enough for a turn, by speaker."""
    rows = defaultdict(list)
    for row in dataset.data.values():
        if int(row["stop"]) - int(row["start"]) >= SHORTEST * rate:
            rows[row["spk_id"]].append(row)
    return rows


def _casts(rows: dict[str, list[dict]], seed: int) -> Iterator[dict]:
    """Everybody, and several times some few of them, or all if they are few."""
    yield rows
    generator = np.random.default_rng(seed)
    for _ in range(RECORDINGS):
        drawn = generator.permutation(sorted(rows))[:FEW].tolist()
        yield {name: rows[name] for name in drawn}


class _Turns:
    """Joined turns of people's stretches, and what the encoder hears."""

    def __init__(self, brain, rows, seconds, number=0):
        modules, rate = brain.raw_modules, brain.hparams.sample_rate

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
            brain.hparams.seed + number,
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

    def moments(self) -> list[Moment]:
        """Those of a stream that hold speech."""
        stream = StreamWindows(
            self._log_mel, self.encoder, self._rate, self._device
        )
        everything = [*stream.push(self._samples), *stream.finish()]
        return [one for one in everything if len(one.places)]


def _learn_changes(turns: _Turns) -> ChangeModel:
    """Fit what tells a change."""
    borders, features = find_borders(turns.speech, turns.encoder, turns.hop)
    times = border_times(turns.speech.keep, borders, turns.hop)
    return fit_change_model(features, times, turns.changes)


def _learn_voices(
    model: ChangeModel, recordings: list[_Turns]
) -> tuple[VoiceModel, TurnFigures]:
    """Choose what is one voice, and measure."""
    whole, online, found = [], [], []
    for turns in recordings:
        changes = changes_of(turns.speech, turns.encoder, model, turns.hop)
        times = border_times(turns.speech.keep, changes, turns.hop)
        found.append((times, turns.changes))
        whole.append(_by_pieces(turns, changes))
        online.append(_by_moments(turns))
    threshold = choose_threshold(whole)
    right = sum(
        rightly_labelled(label(threshold), shares) for label, shares in whole
    )
    return VoiceModel(threshold, choose_threshold(online)), TurnFigures(
        people=whole[0][1].shape[1],
        seconds=sum(turns.turns[-1][1] for turns in recordings),
        changes_f1=change_figures(found, TOLERANCE).f1,
        rightly_labelled=right / sum(shares.sum() for _, shares in whole),
    )


def _by_pieces(turns: _Turns, changes: np.ndarray) -> tuple:
    """For ``choose_threshold``: voices of a whole recording."""
    pieces = cut_at(changes, turns.speech, turns.encoder, turns.hop)
    label = functools.partial(join_voices, pieces.embeddings, pieces.seconds)
    return label, turns.shares(pieces.places, pieces.owners)


def _by_moments(turns: _Turns) -> tuple:
    """For ``choose_threshold``: voices as they come."""
    moments = turns.moments()
    sizes = [len(one.places) for one in moments]
    places = np.concatenate([one.places for one in moments])

    def label(threshold):
        voices = OnlineVoices(threshold)
        return np.array([voices.decide(one.windows) for one in moments])

    return label, turns.shares(places, np.repeat(np.arange(len(sizes)), sizes))
