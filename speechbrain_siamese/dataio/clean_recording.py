"""Cleans one recording: decode, cut, drop silence, write, remember.

The cleaned audio is ``<output>/<speaker>/<session>.wav`` (mono, 16 bit); a
small JSON file beside it says what it was made from.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from speechbrain_siamese.dataio.cleaning import CleaningSettings, between_cuts
from speechbrain_siamese.dataio.decoding import DecodingError, audio_format
from speechbrain_siamese.dataio.kept_speech import (
    Unusable,
    kept_stretches,
    spool_speech,
)
from speechbrain_siamese.dataio.quality import (
    ClipQuality,
    Outline,
    QualityMeter,
)
from speechbrain_siamese.dataio.recordings import Recording
from speechbrain_siamese.dataio.voice_activity import voice_finder
from speechbrain_siamese.utils.folder_claim import FolderClaim
from speechbrain_siamese.utils.whole_file import (
    file_digest,
    whole_file,
    write_wav,
)

# Part of every key: a change of method here rebuilds what older code made.
MADE_BY = "speechbrain_siamese.dataio.corpus 4"
CHUNK = 1 << 20

#: Of a recording's outline.
POINTS = 400


@dataclass(frozen=True)
class CleanRecording:
    """A recording and its cleaned audio.

    Arguments
    ---------
    recording : Recording
        Whose it is and where it came from.
    path : Path
        The cleaned audio: mono, 16-bit WAV.
    duration : float
        Seconds of the cleaned audio.
    raw_duration : float
        Seconds of the original recording.
    kept : tuple[tuple[float, float], ...]
        Stretches of the original recording, in seconds, that the cleaned
        audio consists of.
    quality : ClipQuality
        Of the recording between the cuts at its ends.
    outline : tuple[int, ...]
        Of the whole recording: highest sample of each of ``POINTS`` parts, in
        percent of full scale.
    audio_format : str
        Codec and rate, such as ``opus, 48 kHz``.
    key : str
        Hash of the recording's file and of the settings.
    between : tuple[float, float]
        Seconds of the recording between the cuts at its ends.
    """

    recording: Recording
    path: Path
    duration: float
    raw_duration: float
    kept: tuple[tuple[float, float], ...]
    quality: ClipQuality
    outline: tuple[int, ...]
    audio_format: str
    key: str
    between: tuple[float, float]


@dataclass(frozen=True)
class Rejected:
    """A recording that can't be used, and why.

    Arguments
    ---------
    recording : Recording
        The recording.
    reason : str
        For people to read.
    raw_duration : float
        Seconds of it; 0 where it could not be read to its end.
    """

    recording: Recording
    reason: str
    raw_duration: float = 0.0


def clean_recording(
    recording: Recording,
    output: Path,
    settings: CleaningSettings,
    claim: FolderClaim,
) -> CleanRecording | Rejected:
    """Clean one recording, or take what an earlier run made of it.

    Arguments
    ---------
    recording : Recording
    output : Path
        The folder for all recordings.
    settings : CleaningSettings
        What is cut and dropped.
    claim : FolderClaim
        On ``output``.

    Returns
    -------
    CleanRecording or Rejected

    Raises
    ------
    OSError
        If the output cannot be written.
    RuntimeError
        If another run has taken the folder.
    """
    note_path = note_of(recording, output)
    audio_path = note_path.with_suffix(".wav")
    try:
        # Whoever opens a pipe waits for ever.
        if not recording.path.is_file():
            return Rejected(
                recording,
                "unreadable: a link that leads nowhere, a pipe or a device",
            )
        cuts = [asdict(cut) for cut in recording.cut]
        # Before, what is cut was heard with the rest.
        cuts += ["unheard"] if cuts else []
        before = _stamp(recording.path)
        key = file_digest(recording.path, MADE_BY, asdict(settings), cuts)
    except OSError as error:
        # Not remembered: it may be readable next time.
        return Rejected(recording, f"unreadable: {error.strerror or error}")
    note = read_note(note_path)
    if note.get("key") != key or not _same_size(note, audio_path):
        claim.check()
        # The old note goes first: new audio must never meet it.
        note_path.unlink(missing_ok=True)
        note = _build(recording, audio_path, settings, claim)
        try:
            after = _stamp(recording.path)
        except OSError:
            after = None
        if after != before:
            # Nothing is remembered of it: its audio has no note.
            return Rejected(
                recording,
                "changed while it was read: give the command again when it is "
                "whole",
            )
        name = "/".join(recording.path.parts[-2:])
        note.update(made_by=MADE_BY, key=key, recording=name)
        # Audio first: audio without its note is made again.
        with whole_file(note_path) as partial:
            partial.write_text(json.dumps(note), encoding="utf-8")
            claim.check()
    if "rejected" in note:
        return Rejected(recording, note["rejected"], note["raw_duration"])
    raw = note["raw_duration"]
    return CleanRecording(
        recording=recording,
        path=audio_path,
        duration=note["duration"],
        raw_duration=raw,
        kept=tuple((start, stop) for start, stop in note["kept"]),
        quality=ClipQuality(**note["quality"]),
        outline=tuple(note["outline"]),
        audio_format=note["audio_format"],
        key=key,
        between=(settings.trim_start, raw - settings.trim_end),
    )


def _stamp(path: Path) -> tuple[int, int]:
    """What changes when a file is written: its size and its time."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def note_of(recording: Recording, output: Path) -> Path:
    """Where the note about a recording lies, beside its audio.

    Arguments
    ---------
    recording : Recording
    output : Path
        The folder for all recordings.

    Returns
    -------
    Path
    """
    return output / recording.speaker / f"{recording.session}.json"


def read_note(path: Path) -> dict:
    """A note of an earlier run.

    Arguments
    ---------
    path : Path
        As ``note_of`` gives it.

    Returns
    -------
    dict
        Empty if there is none of ours.
    """
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    ours = isinstance(note, dict) and str(note.get("made_by", "")).startswith(
        MADE_BY.split()[0]
    )
    return note if ours else {}


def _build(
    recording: Recording,
    audio_path: Path,
    settings: CleaningSettings,
    claim: FolderClaim,
) -> dict:
    """Writes the cleaned audio; what the note says about it."""
    audio_path.parent.mkdir(parents=True, exist_ok=True)
    rate = settings.sample_rate
    finder = voice_finder(settings)
    meter, outline = QualityMeter(rate), Outline(rate)
    total = 0
    # The samples wait in a file without a name: nothing is left of it.
    with tempfile.TemporaryFile(dir=audio_path.parent) as spool:
        try:
            total, peak = spool_speech(
                recording, spool, settings, outline, meter, finder.add
            )
            stretches = kept_stretches(total, finder, peak, settings, recording)
            kind = audio_format(recording.path)
        except (Unusable, DecodingError) as error:
            audio_path.unlink(missing_ok=True)
            return {"rejected": str(error), "raw_duration": total / rate}
        with whole_file(audio_path) as partial:
            write_wav(partial, _parts(spool, stretches, peak), rate)
            claim.check()
    first, last = between_cuts(total, settings)
    return {
        "duration": sum(stop - start for start, stop in stretches) / rate,
        "raw_duration": total / rate,
        "kept": [[start / rate, stop / rate] for start, stop in stretches],
        "bytes": audio_path.stat().st_size,
        "quality": asdict(meter.quality((last - first) / rate)),
        "outline": outline.points(POINTS),
        "audio_format": kind,
    }


def _parts(
    spool: BinaryIO, stretches: list[tuple[int, int]], peak: float
) -> Iterator[np.ndarray]:
    """The stretches in 16 bits, in pieces that fit in memory.

    Scaled down only if they would clip.
    """
    size = np.dtype(np.float32).itemsize
    scale = 32768 / max(1.0, peak)
    for start, stop in stretches:
        spool.seek(start * size)
        for first in range(start, stop, CHUNK):
            count = min(stop - first, CHUNK)
            part = np.frombuffer(spool.read(count * size), dtype=np.float32)
            whole = np.rint(part * scale).clip(-32768, 32767)
            yield whole.astype(np.int16)


def _same_size(note: dict, audio_path: Path) -> bool:
    """Whether the audio is the one that the note speaks of."""
    if "rejected" in note:
        return True
    return audio_path.is_file() and audio_path.stat().st_size == note["bytes"]
