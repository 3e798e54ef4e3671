"""What of a recording is kept: its voiced stretches, without what is cut."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from speechbrain_siamese.dataio.cleaning import (
    CleaningSettings,
    between_cuts,
)
from speechbrain_siamese.dataio.decoding import DecodingError, decode_blocks
from speechbrain_siamese.dataio.quality import Outline, QualityMeter
from speechbrain_siamese.dataio.recordings import Recording
from speechbrain_siamese.dataio.vocals import separate_vocals
from speechbrain_siamese.dataio.voice_activity import VoiceFinder

#: Seconds below which what a cut leaves of a stretch is dropped.
SHORTEST = 0.3


class Unusable(Exception):
    """Says why a recording cannot be used, for people to read."""


def spool_speech(
    recording: Recording,
    spool: BinaryIO,
    settings: CleaningSettings,
    outline: Outline,
    meter: QualityMeter,
    find_voice: Callable[[np.ndarray], None],
) -> tuple[int, float]:
    """Decode a recording into a file, and hear how loud it is and where.

    All but the outline are of what lies behind ``trim_start``, silence in
    place of the recording's cuts: a loud jingle says nothing of how loud voices
    are. Where ``trim_end`` begins is known at the end only: finder and meter
    are told then.

    Arguments
    ---------
    recording : Recording
    spool : BinaryIO
        Is given all samples, float32.
    settings : CleaningSettings
    outline : Outline
        Of the whole recording.
    meter : QualityMeter
    find_voice : Callable
        Takes a block of samples (float32) after the other.

    Returns
    -------
    total : int
        Number of samples.
    peak : float
        Highest of them.

    Raises
    ------
    Unusable
        If the recording cannot be read, or its samples are not all finite.
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
    trim_start: float,
    recording: Recording,
    hear: Callable[[np.ndarray, float], None],
) -> Callable[[np.ndarray, int], None]:
    """Lets through what is neither cut at the start nor elsewhere.

    Pieces that begin there, as a whole, since they last a fraction of a second,
    and with the seconds from the cut start to their end.
    """
    seconds = 0.0

    def hear_channels(channels: np.ndarray, rate: int) -> None:
        nonlocal seconds
        begin, seconds = seconds, seconds + channels.shape[1] / rate
        cut = any(one.start <= begin < one.stop for one in recording.cut)
        if begin >= trim_start and not cut:
            hear(channels, seconds - trim_start)

    return hear_channels


def _finite_blocks(
    path: Path,
    sample_rate: int,
    hear_channels: Callable[[np.ndarray, int], None],
) -> Iterator[np.ndarray]:
    """Blocks of a file; what is wrong with it is told as Unusable."""
    total = 0
    blocks = decode_blocks(path, sample_rate, hear_channels=hear_channels)
    while True:
        try:
            block = next(blocks, None)
        except DecodingError as error:
            # The note outlives a move of the corpus.
            reason = str(error).removeprefix(f"{path}: ")
            raise Unusable(f"unreadable: {reason}") from error
        if block is None:
            return
        if not np.isfinite(block).all():
            raise Unusable(
                f"NaN or infinite samples near {total / sample_rate:.0f} s: "
                "export it again from its source"
            )
        yield block
        total += len(block)


def kept_stretches(
    total: int,
    finder: VoiceFinder,
    peak: float,
    settings: CleaningSettings,
    recording: Recording,
) -> list[tuple[int, int]]:
    """Sample ranges of a recording that are kept.

    Arguments
    ---------
    total : int
        Samples of the recording.
    finder : VoiceFinder
        Has heard it, from behind ``trim_start``.
    peak : float
        As ``spool_speech`` gives it.
    settings : CleaningSettings
    recording : Recording
        Whose cuts are left out.

    Returns
    -------
    list[tuple[int, int]]
        Start and stop of each, in order.

    Raises
    ------
    Unusable
        If nothing, or too little, is left.
    """
    rate = settings.sample_rate
    seconds = total / rate
    first, last = between_cuts(total, settings)
    if last == first:
        raise Unusable(
            f"shorter than the cuts: {seconds:.1f} s long, trim_start "
            f"{settings.trim_start:g} s and trim_end {settings.trim_end:g} s "
            "leave nothing"
        )
    found = finder.voiced(last - first)
    why = ", ".join(sorted({cut.why for cut in recording.cut}))
    if not found:
        level = f"{20 * math.log10(peak):.1f} dBFS" if peak else "zero"
        # The file may be in order: what it said is not wanted.
        what = f"nothing is left of it ({why})" if why else "silent"
        raise Unusable(
            f"{what}: no sound in {(last - first) / rate:.1f} s between the "
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
        raise Unusable(f"nothing is left of it ({why})")
    left = sum(stop - start for start, stop in found) / rate
    if left < settings.min_duration:
        raise Unusable(
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
