"""Recordings and stretches that are not of whom their folder says."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import soundfile
from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.clean_recording import read_note
from speechbrain_siamese.dataio.decoding import decode_blocks
from speechbrain_siamese.dataio.recordings import TWO_NAMES
from speechbrain_siamese.dataio.recurrence import RATE as LANDMARK_RATE
from speechbrain_siamese.dataio.recurrence import copies, landmarks
from speechbrain_siamese.inference.teacher import Teacher
from speechbrain_siamese.inference.teacher_targets import window_embeddings
from speechbrain_siamese.processing.suspects import (
    Stretch,
    Windows,
    find_suspects,
    shown_first,
    unjudged,
)
from speechbrain_siamese.utils.whole_file import write_table

logger = get_logger(__name__)

#: Kinds of suspects.
RECORDING, STRETCH, COPY = "recording", "stretch", "copy"

#: Share of a recording that has to be in another one to be a copy. Silence is
#: cut a little otherwise in each codec, and what is left joins otherwise.
COPIED = 0.5

#: Seconds of a window, and from one to the next.
WINDOW, HOP = 4.0, 2.0


@dataclass(frozen=True)
class Suspect:
    """Something that sounds like somebody else.

    Arguments
    ---------
    suspicion : float
        How much more it sounds like ``like`` than like ``speaker``, as a
        difference of cosines; what is above 0 is doubtful, 0.1 and more is
        wrong as a rule. Of two names, how much nearer they are to one person
        than most.
    kind : str
        A whole ``recording``, a ``stretch`` of one, ``two names`` for one
        person, or a ``copy`` of a recording that lies in another folder, in
        whatever codec; the suspicion of that is 1.
    speaker : str
        Whose it is said to be.
    like : str
        Whom it sounds like; of a copy the other recording.
    recording : str
        ``<folder>/<file>``; empty for two names.
    start, stop : float or None
        Seconds of the recording; None for all of it.
    """

    suspicion: float
    kind: str
    speaker: str
    like: str
    recording: str = ""
    start: float | None = None
    stop: float | None = None


@dataclass(frozen=True)
class Unjudged:
    """A recording of which the audit can tell little or nothing.

    Arguments
    ---------
    speaker : str
        Whose it is said to be.
    recording : str
        ``<folder>/<file>``.
    why : str
        For people to read.
    """

    speaker: str
    recording: str
    why: str


@dataclass(frozen=True)
class Audit:
    """What an audit has found.

    Arguments
    ---------
    suspects : list of Suspect
        The most suspicious first.
    unjudged : list of Unjudged
        What it says little or nothing of: not in the list is not innocent.
    """

    suspects: list[Suspect]
    unjudged: list[Unjudged]


@dataclass(frozen=True)
class _Cleaned:
    """Cleaned recordings, in one order."""

    #: Ids of the speakers, one a recording.
    speakers: list[str]
    notes: list[dict]
    #: What ``window_embeddings`` takes.
    rows: dict[str, dict]
    rate: int

    def folder(self, recording: int) -> str:
        """The speaker's folder as the user calls it, in any script."""
        return self.notes[recording]["recording"].split("/")[0]


def audit(
    encoder: Teacher, prepared_folder: str | Path, top: int = 50
) -> Audit:
    """Hold everything that preparation has cleaned against everything else.

    Arguments
    ---------
    encoder : Teacher
        A model that knows voices: one that was trained on these recordings
        has learnt their mistakes, too, and finds fewer.
    prepared_folder : str or Path
        As preparation wrote it, of both folders; the windows' embeddings are
        kept there.
    top : int
        Suspects at most.

    Returns
    -------
    Audit

    Raises
    ------
    ValueError
        If there are no two speakers with recordings.
    """
    began = time.monotonic()
    prepared = Path(prepared_folder)
    cleaned = _read_cleaned(prepared)
    grid, embeddings = window_embeddings(
        encoder, cleaned.rows, cleaned.rate, prepared / "audit", WINDOW, HOP
    )
    usable = np.flatnonzero(np.isfinite(embeddings[:, 0]).all(axis=1))
    recordings = grid.rows[usable]
    ids = sorted(set(cleaned.speakers))
    folders = dict(
        zip(
            cleaned.speakers,
            map(cleaned.folder, range(len(cleaned.notes))),
            strict=True,
        )
    )
    names = [folders[speaker] for speaker in ids]
    speaker_of = np.array([ids.index(one) for one in cleaned.speakers])
    windows = Windows(embeddings[usable, 0], speaker_of[recordings], recordings)
    found = _copies(cleaned)
    for row in shown_first(*find_suspects(windows), top):
        if not isinstance(row, Stretch):
            pair = names[row.first], names[row.second]
            found.append(Suspect(row.suspicion, TWO_NAMES, *pair))
            continue
        note = cleaned.notes[row.recording]
        own = {
            "speaker": cleaned.folder(row.recording),
            "like": names[row.like],
            "recording": note["recording"],
        }
        if row.whole:
            found.append(Suspect(row.suspicion, RECORDING, **own))
            continue
        first, last = usable[row.first], usable[row.last]
        rate = cleaned.rate
        found.append(
            Suspect(
                row.suspicion,
                STRETCH,
                **own,
                start=raw_time(note["kept"], grid.starts[first] / rate),
                stop=raw_time(note["kept"], grid.stops[last] / rate),
            )
        )
    hours = sum(note["duration"] for note in cleaned.notes) / 3600
    seconds = time.monotonic() - began
    logger.info(
        "%s: %.2f h of speech held against each other in %.0f s, %.0f s an "
        "hour",
        prepared,
        hours,
        seconds,
        seconds / hours,
    )
    found.sort(key=lambda one: -one.suspicion)
    return Audit(found[:top], _unjudged(cleaned, windows))


def _read_cleaned(prepared: Path) -> _Cleaned:
    """What preparation has cleaned, of recordings and of clips."""
    notes = {
        path: note
        for folder in ("clean", "clean_clips")
        for path in sorted((prepared / folder).glob("*/*.json"))
        if "kept" in (note := read_note(path))
    }
    speakers = [path.parent.name for path in notes]
    if len(set(speakers)) < 2:
        raise ValueError(
            f"{prepared} holds {len(set(speakers))} speakers with cleaned "
            "recordings, expected two or more: give the folder that "
            "preparation wrote (<output_folder>/prepared)"
        )
    rows, rates = {}, set()
    for path, note in notes.items():
        wav = path.with_suffix(".wav")
        if "recording" not in note or not wav.is_file():
            raise ValueError(
                f"{path} was written by an earlier version, or its audio is "
                "gone: prepare the recordings again"
            )
        info = soundfile.info(wav)
        rates.add(info.samplerate)
        # A clip may be called as a recording is.
        name = wav.relative_to(prepared).as_posix()
        rows[name] = {"wav": str(wav), "start": 0, "stop": info.frames}
    if len(rates) > 1:
        raise ValueError(
            f"{prepared} holds audio at {sorted(rates)} Hz, expected one rate: "
            "prepare the recordings again"
        )
    return _Cleaned(speakers, list(notes.values()), rows, rates.pop())


def _copies(cleaned: _Cleaned) -> list[Suspect]:
    """The same recording in two speakers' folders."""
    heard = [
        landmarks(decode_blocks(row["wav"], LANDMARK_RATE))
        for row in cleaned.rows.values()
    ]
    found = []
    for first, second in copies(heard, COPIED):
        if cleaned.speakers[first] != cleaned.speakers[second]:
            names = [
                cleaned.notes[place]["recording"] for place in (second, first)
            ]
            whose = cleaned.folder(second)
            found.append(Suspect(1.0, COPY, whose, names[1], names[0]))
    return found


def _unjudged(cleaned: _Cleaned, windows: Windows) -> list[Unjudged]:
    """What was left out, and what could be judged in part."""
    heard = set(windows.recordings.tolist())
    nothing, alone = unjudged(windows)
    why = {
        **{
            place: "the encoder can embed nothing of it: too short"
            for place in range(len(cleaned.notes))
            if place not in heard
        },
        **dict.fromkeys(
            nothing,
            "not judged: the speaker's only recording, and short: there is "
            "nothing to hold it against",
        ),
        **dict.fromkeys(
            alone,
            "judged against itself: the speaker's only recording. If all of it "
            "is somebody else, that cannot be heard",
        ),
    }
    return [
        Unjudged(
            cleaned.folder(place), cleaned.notes[place]["recording"], why[place]
        )
        for place in sorted(why)
    ]


def raw_time(kept: Sequence[Sequence[float]], seconds: float) -> float:
    """Where a moment of the cleaned audio lies in the recording.

    Arguments
    ---------
    kept : Sequence of (float, float)
        Stretches of the recording that the cleaned audio consists of, s.
    seconds : float
        Of the cleaned audio.

    Returns
    -------
    float

    Example
    -------
    >>> raw_time([(10.0, 12.0), (20.0, 25.0)], 3.0)
    21.0
    """
    for start, stop in kept:
        if seconds <= stop - start:
            return round(float(start + seconds), 2)
        seconds -= stop - start
    return round(kept[-1][1], 2)


def write_suspects(suspects: Sequence[Suspect], path: str | Path) -> None:
    """Write a table whose rows can be copied into ``exclude.csv``.

    Arguments
    ---------
    suspects : Sequence[Suspect]
    path : str or Path
    """
    write_table(
        path,
        [field.name for field in fields(Suspect)],
        [
            ["" if cell is None else cell for cell in astuple(suspect)]
            for suspect in suspects
        ],
    )
