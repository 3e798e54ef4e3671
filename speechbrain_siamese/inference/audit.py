"""Recordings and stretches that are not of whom their folder says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import soundfile

from speechbrain_siamese.dataio.clean_recording import read_note
from speechbrain_siamese.dataio.recordings import TWO_NAMES
from speechbrain_siamese.inference.teacher import Teacher
from speechbrain_siamese.inference.teacher_targets import window_embeddings
from speechbrain_siamese.processing.suspects import (
    Stretch,
    Windows,
    find_suspects,
    shown_first,
)
from speechbrain_siamese.utils.whole_file import write_table

#: Kinds of suspects.
RECORDING, STRETCH = "recording", "stretch"

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
        wrong as a rule.
    kind : str
        A whole ``recording``, a ``stretch`` of one, or ``two names`` for one
        person.
    speaker : str
        Whose it is said to be.
    like : str
        Whom it sounds like.
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


def audit(
    encoder: Teacher, prepared_folder: str | Path, top: int = 50
) -> list[Suspect]:
    """Hold everything that preparation has cleaned against everything else.

    Arguments
    ---------
    encoder : Teacher
        A model that knows voices: one that was trained on these recordings
        has learnt their mistakes, too, and finds fewer.
    prepared_folder : str or Path
        As preparation wrote it; the windows' embeddings are kept there.
    top : int
        Suspects at most.

    Returns
    -------
    list of Suspect
        The most suspicious first.

    Raises
    ------
    ValueError
        If there are no two speakers with recordings.
    """
    prepared = Path(prepared_folder)
    notes = {
        path: note
        for path in sorted((prepared / "clean").glob("*/*.json"))
        if "kept" in (note := read_note(path))
    }
    names = sorted({path.parent.name for path in notes})
    if len(names) < 2:
        raise ValueError(
            f"{prepared} holds {len(names)} speakers with cleaned recordings, "
            "expected two or more: give the folder that preparation wrote "
            "(<output_folder>/prepared)"
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
        rows[path.stem] = {"wav": str(wav), "start": 0, "stop": info.frames}
    if len(rates) > 1:
        raise ValueError(
            f"{prepared} holds audio at {sorted(rates)} Hz, expected one rate: "
            "prepare the recordings again"
        )
    rate = rates.pop()
    grid, embeddings = window_embeddings(
        encoder, rows, rate, prepared / "audit", WINDOW, HOP
    )
    usable = np.flatnonzero(np.isfinite(embeddings[:, 0]).all(axis=1))
    recordings = grid.rows[usable]
    paths = list(notes)
    speaker_of = np.array([names.index(path.parent.name) for path in paths])
    # As the user's folders are called, in any script.
    folders = {
        path.parent.name: note["recording"].split("/")[0]
        for path, note in notes.items()
    }
    names = [folders[name] for name in names]
    windows = Windows(embeddings[usable, 0], speaker_of[recordings], recordings)
    found = []
    for row in shown_first(*find_suspects(windows), top):
        if not isinstance(row, Stretch):
            pair = names[row.first], names[row.second]
            found.append(Suspect(row.suspicion, TWO_NAMES, *pair))
            continue
        path = paths[row.recording]
        note = notes[path]
        own = {
            "speaker": folders[path.parent.name],
            "like": names[row.like],
            "recording": note["recording"],
        }
        if row.whole:
            found.append(Suspect(row.suspicion, RECORDING, **own))
            continue
        first, last = usable[row.first], usable[row.last]
        found.append(
            Suspect(
                row.suspicion,
                STRETCH,
                **own,
                start=raw_time(note["kept"], grid.starts[first] / rate),
                stop=raw_time(note["kept"], grid.stops[last] / rate),
            )
        )
    return found


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
