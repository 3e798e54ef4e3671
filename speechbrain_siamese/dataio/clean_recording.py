"""Cleans one recording: decode, cut, drop silence, write, remember.

The cleaned audio is ``<output>/<speaker>/<session>.wav`` (mono, 16 bit); a
small JSON file beside it says what it was made from.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from speechbrain_siamese.dataio.cleaning import (
    CleaningSettings,
    between_cuts,
)
from speechbrain_siamese.dataio.decoding import (
    DecodingError,
    audio_format,
    decode_blocks,
)
from speechbrain_siamese.dataio.quality import (
    ClipQuality,
    Outline,
    QualityMeter,
)
from speechbrain_siamese.dataio.recordings import Recording
from speechbrain_siamese.dataio.vocals import separate_vocals
from speechbrain_siamese.dataio.voice_activity import VoiceFinder, voice_finder
from speechbrain_siamese.utils.folder_claim import FolderClaim
from speechbrain_siamese.utils.whole_file import (
    file_digest,
    whole_file,
    write_wav,
)

# Part of every key: a change of method here rebuilds what older code made.
MADE_BY = "speechbrain_siamese.dataio.corpus 4"
CHUNK = 1 << 20

#: Seconds below which what a cut leaves of a stretch is dropped.
SHORTEST = 0.3

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
        Of the recording behind the cut start.
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


class _Unusable(Exception):
    """Says why a recording is rejected."""


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
            total, peak = _spool(
                recording, spool, settings, outline, meter, finder.add
            )
            stretches = _stretches(total, finder, peak, settings, recording)
            kind = audio_format(recording.path)
        except (_Unusable, DecodingError) as error:
            audio_path.unlink(missing_ok=True)
            return {"rejected": str(error), "raw_duration": total / rate}
        with whole_file(audio_path) as partial:
            write_wav(partial, _parts(spool, stretches, peak), rate)
            claim.check()
    return {
        "duration": sum(stop - start for start, stop in stretches) / rate,
        "raw_duration": total / rate,
        "kept": [[start / rate, stop / rate] for start, stop in stretches],
        "bytes": audio_path.stat().st_size,
        "quality": asdict(meter.quality()),
        "outline": outline.points(POINTS),
        "audio_format": kind,
    }


def _spool(
    recording: Recording,
    spool: BinaryIO,
    settings: CleaningSettings,
    outline: Outline,
    meter: QualityMeter,
    find_voice: Callable[[np.ndarray], None],
) -> tuple[int, float]:
    """Decodes into a file of float32: number of samples, and their peak.

    All but the outline are of what lies behind ``trim_start``, silence in
    place of the recording's cuts: a loud jingle says nothing of how loud voices
    are. Where ``trim_end`` begins is known at the end only.
    """
    total, peak = 0, 0.0
    first, _ = between_cuts(0, settings)
    blocks = _finite_blocks(
        recording.path,
        settings.sample_rate,
        _behind(settings.trim_start, recording, meter.add_channels),
    )
    if settings.separate_vocals:
        blocks = separate_vocals(blocks, settings.sample_rate)
    for block in blocks:
        spool.write(block.astype(np.float32, copy=False).data)
        outline.add(block)
        heard = _without_cuts(block, total, recording, settings.sample_rate)
        behind = heard[max(0, first - total) :]
        find_voice(behind)
        meter.add(behind)
        peak = max(peak, float(np.abs(behind).max(initial=0.0)))
        total += len(block)
    return total, peak


def _without_cuts(
    block: np.ndarray, first: int, recording: Recording, rate: int
) -> np.ndarray:
    """A block that begins with sample ``first``, zero where it is cut."""
    for cut in recording.cut:
        begin = max(0, round(cut.start * rate) - first)
        # An end that is not told is infinite.
        end = min(cut.stop * rate - first, len(block))
        if begin < end:
            block = block.copy()
            block[begin : round(end)] = 0
    return block


def _behind(
    trim_start: float, recording: Recording, hear: Callable[[np.ndarray], None]
) -> Callable[[np.ndarray, int], None]:
    """Lets through what is neither cut at the start nor elsewhere.

    Pieces that begin there, as a whole: they last a fraction of a second.
    """
    seconds = 0.0

    def hear_channels(channels: np.ndarray, rate: int) -> None:
        nonlocal seconds
        begin, seconds = seconds, seconds + channels.shape[1] / rate
        cut = any(one.start <= begin < one.stop for one in recording.cut)
        if begin >= trim_start and not cut:
            hear(channels)

    return hear_channels


def _finite_blocks(
    path: Path,
    sample_rate: int,
    hear_channels: Callable[[np.ndarray, int], None],
) -> Iterator[np.ndarray]:
    """Blocks of a file; what is wrong with it is told as _Unusable."""
    total = 0
    blocks = decode_blocks(path, sample_rate, hear_channels=hear_channels)
    while True:
        try:
            block = next(blocks, None)
        except DecodingError as error:
            # The note outlives a move of the corpus.
            reason = str(error).removeprefix(f"{path}: ")
            raise _Unusable(f"unreadable: {reason}") from error
        if block is None:
            return
        if not np.isfinite(block).all():
            raise _Unusable(
                f"NaN or infinite samples near {total / sample_rate:.0f} s: "
                "export it again from its source"
            )
        yield block
        total += len(block)


def _stretches(
    total: int,
    finder: VoiceFinder,
    peak: float,
    settings: CleaningSettings,
    recording: Recording,
) -> list[tuple[int, int]]:
    """Sample ranges of the original to keep."""
    rate = settings.sample_rate
    seconds = total / rate
    first, last = between_cuts(total, settings)
    if last == first:
        raise _Unusable(
            f"shorter than the cuts: {seconds:.1f} s long, trim_start "
            f"{settings.trim_start:g} s and trim_end {settings.trim_end:g} s "
            "leave nothing"
        )
    found = finder.voiced(last - first)
    why = ", ".join(sorted({cut.why for cut in recording.cut}))
    if not found and why and not peak:
        raise _Unusable(f"nothing is left of it ({why})")
    if not found:
        level = f"{20 * math.log10(peak):.1f} dBFS" if peak else "zero"
        raise _Unusable(
            f"silent: no sound in {(last - first) / rate:.1f} s between the "
            f"cuts, the peak behind trim_start is {level}"
        )
    found = without(
        [(start + first, stop + first) for start, stop in found],
        [
            # An end that is not told is infinite; no recording lasts longer.
            (round(cut.start * rate), round(min(cut.stop, seconds) * rate))
            for cut in recording.cut
        ],
        round(SHORTEST * rate),
    )
    if not found:
        raise _Unusable(f"nothing is left of it ({why})")
    left = sum(stop - start for start, stop in found) / rate
    if left < settings.min_duration:
        raise _Unusable(
            f"too short: {left:.2f} s left of {seconds:.1f} s, min_duration "
            f"is {settings.min_duration:g} s"
        )
    return found


def without(
    stretches: Sequence[tuple[float, float]],
    cuts: Sequence[tuple[float, float]],
    shortest: float,
) -> list[tuple[float, float]]:
    """Take cuts out of stretches.

    Arguments
    ---------
    stretches : Sequence[tuple[float, float]]
        Start and stop of each, in order; samples or seconds.
    cuts : Sequence[tuple[float, float]]
        The same of what is not wanted, in any order; may be infinite.
    shortest : float
        Length below which what a cut leaves is dropped, too.

    Returns
    -------
    list[tuple[float, float]]

    Example
    -------
    >>> without([(0, 10), (20, 30)], [(5, 7), (25, float("inf"))], 4)
    [(0, 5), (20, 25)]
    """
    left = list(stretches)
    for begin, end in cuts:
        parts = []
        for start, stop in left:
            if end <= start or begin >= stop:
                parts.append((start, stop))
                continue
            around = ((start, begin), (end, stop))
            parts += [(a, b) for a, b in around if b - a >= max(shortest, 0)]
        left = parts
    return left


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
