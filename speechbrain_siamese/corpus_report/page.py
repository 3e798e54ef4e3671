"""``report.html`` and ``report.csv``: what was found, kept and cut, and why."""

from __future__ import annotations

import base64
import functools
import itertools
import operator
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
import soundfile
from speechbrain.utils.logger import get_logger

from speechbrain_siamese.corpus_report.doubts import Doubt, doubts_about
from speechbrain_siamese.corpus_report.seconds import seconds_of_recording
from speechbrain_siamese.dataio.clean_recording import CleanRecording, Rejected
from speechbrain_siamese.evaluation.worst_errors import MP3_RATES
from speechbrain_siamese.pages import render_page
from speechbrain_siamese.utils.sound_bytes import sound_bytes
from speechbrain_siamese.utils.whole_file import whole_text, write_table

logger = get_logger(__name__)

COLUMNS = (
    "speaker",
    "name",
    "gender",
    "session",
    "recording",
    "format",
    "raw_seconds",
    "kept_seconds",
    "cut_at_ends_seconds",
    "recurring_seconds",
    "excluded_seconds",
    "cut_as_silence_seconds",
    "unusable_seconds",
    "level_dbfs",
    "snr_db",
    "clipped_share",
    "doubts",
)

#: Seconds of sound that the page carries with it: about 9 MB. Beyond that it
#: plays the cleaned files, which lie beside it.
CARRIED = 3600.0

#: soundfile's measure of how much of carried sound is thrown away.
COMPRESSION = 0.95

#: Seconds, ends of the classes of the histogram of stretches.
LENGTHS = (0.5, 1, 2, 4, 8, 16, 32, 64, np.inf)


def write_report(
    cleaned: Sequence[CleanRecording],
    rejected: Sequence[Rejected],
    sample_rate: int,
    folder: str | Path,
    clips: Sequence[CleanRecording] = (),
) -> list[Doubt]:
    """Write both files, whole or not at all.

    Arguments
    ---------
    cleaned : Sequence[CleanRecording]
    rejected : Sequence[Rejected]
    sample_rate : int
        Of the cleaned audio, Hz.
    folder : str or Path
        Where they go; the cleaned audio lies in it.
    clips : Sequence[CleanRecording]
        Short ones of further speakers.

    Returns
    -------
    list of Doubt
        What stands first in the page.
    """
    folder = Path(folder)
    doubts = doubts_about(cleaned, rejected, sample_rate, clips)
    cleaned = [*cleaned, *clips]
    about = defaultdict(list)
    for doubt in doubts:
        # A speaker may be called as a recording is.
        about[doubt.about, doubt.speaker].append(doubt)
    rows = [_row(item, about) for item in cleaned]
    rows += [_rejected_row(item, about) for item in rejected]
    write_table(
        folder / "report.csv",
        COLUMNS,
        [[_cell(row[key]) for key in COLUMNS] for row in rows],
    )
    page = render_page(
        "corpus.html.jinja",
        title="What the corpus holds",
        doubts=doubts,
        speakers=_speakers(cleaned, rejected, about),
        players=_players(cleaned, about, folder),
        outlines={item.recording.session: _outline(item) for item in cleaned},
        kept={item.recording.session: item.kept for item in cleaned},
        raw={item.recording.session: item.raw_duration for item in cleaned},
        rows={row["session"]: row for row in rows},
        totals={
            "recordings": len(cleaned) + len(rejected),
            "rejected": len(rejected),
            "raw": sum(item.raw_duration for item in (*cleaned, *rejected)),
            "kept": sum(item.duration for item in cleaned),
        },
        histogram=_histogram(cleaned),
        clock=clock,
    )
    with whole_text(folder / "report.html") as file:
        file.write(page)
    logger.info(
        "what the corpus holds: %s (%d things to look at)",
        folder / "report.html",
        sum(doubt.urgency != "to know" for doubt in doubts),
    )
    return doubts


def clock(seconds: float) -> str:
    """Write a time as a person reads it.

    Arguments
    ---------
    seconds : float

    Returns
    -------
    str

    Example
    -------
    >>> clock(75.4), clock(3661)
    ('1:15', '1:01:01')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    )


def _row(item: CleanRecording, about) -> dict:
    """One recording in figures."""
    return {
        **_whose(item.recording),
        "format": item.audio_format,
        **_seconds_row(item),
        "level_dbfs": item.quality.level,
        "snr_db": item.quality.snr,
        "clipped_share": item.quality.clipped,
        "doubts": _words(about, item.recording),
    }


def _rejected_row(item: Rejected, about) -> dict:
    return {
        **dict.fromkeys(COLUMNS, ""),
        **_whose(item.recording),
        # What could not be read has no length.
        **(_seconds_row(item) if item.raw_duration else {}),
        "doubts": _words(about, item.recording),
    }


def _seconds_row(item: CleanRecording | Rejected) -> dict:
    seconds = seconds_of_recording(item)
    return {
        "raw_seconds": seconds.raw,
        "kept_seconds": seconds.kept,
        "cut_at_ends_seconds": seconds.ends,
        "recurring_seconds": seconds.recurring,
        "excluded_seconds": seconds.excluded,
        "cut_as_silence_seconds": seconds.silence,
        "unusable_seconds": seconds.unusable,
    }


def _whose(recording) -> dict:
    return {
        "speaker": recording.speaker,
        "name": recording.name,
        "gender": recording.gender,
        "session": recording.session,
        "recording": "/".join(recording.path.parts[-2:]),
    }


def _words(about, recording) -> str:
    return "; ".join(doubt.what for doubt in about[recording.session, False])


def _cell(value) -> str:
    """As it stands in the table."""
    return f"{value:.4f}" if isinstance(value, float) else value


def _speakers(cleaned, rejected, about) -> list[dict]:
    """Each with what there is of it, those with doubts first."""
    by_speaker = defaultdict(list)
    for item in (*cleaned, *rejected):
        by_speaker[item.recording.speaker].append(item)
    found = []
    for speaker, own in sorted(by_speaker.items()):
        seconds = functools.reduce(
            operator.add, [seconds_of_recording(item) for item in own]
        )
        sessions = [item.recording.session for item in own]
        found.append(
            {
                "id": speaker,
                "name": own[0].recording.name,
                "gender": own[0].recording.gender,
                "sessions": sessions,
                "seconds": seconds,
                "doubts": about[speaker, True],
                "about": {
                    session: about[session, False] for session in sessions
                },
            }
        )
    return found


def _players(cleaned, about, folder) -> dict[str, str]:
    """Addresses of sound: carried for the doubtful first, or of files."""
    order = sorted(
        cleaned, key=lambda item: not about[item.recording.session, False]
    )
    left, players = CARRIED, {}
    for item in order:
        rate = soundfile.info(item.path).samplerate
        if item.duration <= left and rate in MP3_RATES:
            left -= item.duration
            players[item.recording.session] = _mp3(item.path)
        else:
            relative = os.path.relpath(item.path, folder)
            players[item.recording.session] = quote(Path(relative).as_posix())
    return players


def _mp3(path: Path) -> str:
    """Sound as the address of a player, which needs no file."""
    sound, rate = soundfile.read(path, dtype="float32")
    made = sound_bytes(sound, rate, "MP3", compression_level=COMPRESSION)
    code = base64.b64encode(made).decode("ascii")
    return f"data:audio/mpeg;base64,{code}"


def _outline(item: CleanRecording) -> str:
    """The waveform as an SVG path, 1000 wide and 100 high."""
    count = max(1, len(item.outline))
    upper = [
        f"{1000 * place / count:.1f},{50 - height / 2:.0f}"
        for place, height in enumerate(item.outline)
    ]
    lower = [
        f"{1000 * place / count:.1f},{50 + height / 2:.0f}"
        for place, height in reversed([*enumerate(item.outline)])
    ]
    return "M" + "L".join([*upper, *lower]) + "Z"


def _histogram(cleaned) -> list[dict]:
    """Stretches of speech by their length."""
    seconds = np.array(
        [stop - start for item in cleaned for start, stop in item.kept]
    )
    edges = np.array([0.0, *LENGTHS])
    place = np.searchsorted(edges, seconds, side="right") - 1
    found = []
    for number, (low, high) in enumerate(itertools.pairwise(edges)):
        own = seconds[place == number]
        name = f"{low:g} to {high:g} s" if np.isfinite(high) else f"{low:g} s +"
        found.append(
            {"name": name, "count": len(own), "seconds": float(own.sum())}
        )
    return found
