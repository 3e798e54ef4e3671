"""Cuts the ends of a recording and drops its silence.

The rule is that of pydub's ``split_on_silence``: silence is what stays below
a threshold for some time, and a little of it is kept at each side. The
threshold may follow the recording's own level and noise, since people record
at levels that differ by tens of dB. ``benchmarks/cleaning.py`` measures it.

All functions take sample arrays and look at them in chunks, so that they
also serve a memory-mapped recording of hours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from speechbrain_siamese.utils.ranges import check_range

FRAME = 0.02
"""Seconds of a level frame."""

OWN_LEVEL = 95
"""Percentile of the frame levels that stands for a recording's own level."""

NOISE_FLOOR = 10
"""Percentile of the frame levels that stands for a recording's noise."""

ABOVE_NOISE = 6.0
"""dB by which a frame must stand out of the noise."""

BELOW_VOICE = 12.0
"""dB below the own level where a frame counts as voice in any noise."""

LOWEST = -70.0
"""dBFS below which all is silence, whatever the recording's own level."""


@dataclass(frozen=True)
class CleaningSettings:
    """How recordings are cleaned; the fields are keys of the YAML file.

    Arguments
    ---------
    sample_rate : int
        Rate of the cleaned audio in Hz, 8000 to 48000.
    trim_start, trim_end : float
        Seconds cut from the start and the end (adverts, jingles).
    silence_threshold : float
        Level in dB, at most 0, below which a frame is silent: relative to
        the recording's own level or to full scale.
    silence_relative : bool
        Whether the threshold is relative to the recording's own level.
    min_silence : float
        Seconds below the threshold that make a silence.
    keep_silence : float
        Seconds of silence kept before and after each voiced stretch.
    min_duration : float
        Seconds that must remain, or the recording is rejected.

    Raises
    ------
    ValueError
        If a value is out of its range.
    """

    sample_rate: int = 16000
    trim_start: float = 0.0
    trim_end: float = 0.0
    silence_threshold: float = -25.0
    silence_relative: bool = True
    min_silence: float = 0.2
    keep_silence: float = 0.1
    min_duration: float = 1.0

    def __post_init__(self):
        if not isinstance(self.silence_relative, bool):
            raise ValueError(
                f"silence_relative is {self.silence_relative!r}, expected "
                "True or False"
            )
        rate = self.sample_rate
        if isinstance(rate, bool) or not isinstance(rate, int):
            raise ValueError(
                f"sample_rate is {rate!r}, expected a whole number of Hz "
                "from 8000 to 48000"
            )
        for key, low, high, unit in (
            ("sample_rate", 8000, 48000, "Hz"),
            ("trim_start", 0, 3600, "s"),
            ("trim_end", 0, 3600, "s"),
            ("silence_threshold", -100, 0, "dB"),
            ("min_silence", FRAME, 60, "s"),
            ("keep_silence", 0, 60, "s"),
            ("min_duration", 0.1, 3600, "s"),
        ):
            check_range(key, getattr(self, key), low, high, unit)


def trim(
    samples: np.ndarray, sample_rate: int, start: float, end: float
) -> np.ndarray:
    """Cuts both ends; a view, empty if the cuts take all.

    Arguments
    ---------
    samples : np.ndarray
        (samples,)
    sample_rate : int
        Hz.
    start, end : float
        Seconds to cut from either end.

    Returns
    -------
    np.ndarray
        (samples,)

    Example
    -------
    >>> trim(np.arange(10), 2, start=1.0, end=1.5).tolist()
    [2, 3, 4, 5, 6]
    """
    first = round(start * sample_rate)
    last = len(samples) - round(end * sample_rate)
    return samples[first : max(first, last)]


def frame_levels(
    samples: np.ndarray, sample_rate: int, frame: float = FRAME
) -> np.ndarray:
    """Root mean square level of each frame, without its mean.

    The frame's mean is taken off, since cheap sound cards add an offset that
    would hide silence.

    Arguments
    ---------
    samples : np.ndarray
        (samples,), full scale is 1.
    sample_rate : int
        Hz.
    frame : float
        Seconds per frame; the last one may be shorter.

    Returns
    -------
    np.ndarray
        float64, (frames,), dBFS; ``-inf`` for digital silence.

    Example
    -------
    >>> frame_levels(np.array([0.1, -0.1, 0.0, 0.0]), 100).round().tolist()
    [-20.0, -inf]
    """
    size = max(1, round(frame * sample_rate))
    levels = []
    chunk = size * 4096
    for start in range(0, len(samples), chunk):
        part = np.asarray(samples[start : start + chunk], dtype=np.float64)
        whole = len(part) - len(part) % size
        for frames in (part[:whole].reshape(-1, size), part[None, whole:]):
            if frames.size:
                levels.append(frames.var(axis=1))
    power = np.concatenate(levels) if levels else np.zeros(0)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(power)


def silence_level(
    levels: np.ndarray, silence_threshold: float, relative: bool
) -> float:
    """The level that parts silence from voice in one recording.

    The relative threshold counts from the recording's own level: a high
    percentile of its frames, which no single click moves. Where steady noise
    reaches above that, the threshold rises to stay above the noise (a low
    percentile), but never close to the voice: someone who speaks without any
    pause has no noise floor to be seen. Digital silence counts for neither.

    Arguments
    ---------
    levels : np.ndarray
        (frames,), dBFS.
    silence_threshold : float
        dB, relative to the recording's own level or to full scale.
    relative : bool
        Whether the threshold is relative to the recording's own level.

    Returns
    -------
    float
        dBFS; never below ``LOWEST``.

    Example
    -------
    >>> voice_and_hush = np.repeat([-20.0, -60.0], 50)
    >>> silence_level(voice_and_hush, -25.0, relative=True)
    -45.0
    >>> voice_and_fan = np.repeat([-20.0, -40.0], 50)
    >>> silence_level(voice_and_fan, -25.0, relative=True)
    -34.0
    """
    heard = levels[levels > LOWEST]
    if not relative or not len(heard):
        return max(silence_threshold, LOWEST)
    noise, voice = np.percentile(heard, [NOISE_FLOOR, OWN_LEVEL])
    above_noise = min(noise + ABOVE_NOISE, voice - BELOW_VOICE)
    return float(max(voice + silence_threshold, above_noise, LOWEST))


def voiced_stretches(
    samples: np.ndarray,
    sample_rate: int,
    silence_threshold: float,
    min_silence: float,
    keep_silence: float,
    relative: bool = True,
) -> list[tuple[int, int]]:
    """Where a recording is not silent.

    Arguments
    ---------
    samples : np.ndarray
        (samples,), full scale is 1.
    sample_rate : int
        Hz.
    silence_threshold : float
        dB, relative to the recording's own level or to full scale.
    min_silence : float
        Seconds below the threshold that make a silence.
    keep_silence : float
        Seconds of silence kept before and after each stretch.
    relative : bool
        Whether the threshold is relative to the recording's own level.

    Returns
    -------
    list[tuple[int, int]]
        First sample and the one behind the last of each stretch, in order,
        without overlap; empty if all is silent.

    Example
    -------
    >>> tone = np.sin(np.arange(8000))
    >>> hush = np.zeros(8000)
    >>> voiced_stretches(
    ...     np.concatenate([hush, tone, hush]), 8000, -30.0, 0.2, 0.1
    ... )
    [(7200, 16800)]
    """
    levels = frame_levels(samples, sample_rate)
    loud = levels > silence_level(levels, silence_threshold, relative)
    size = max(1, round(FRAME * sample_rate))
    edges = np.flatnonzero(np.diff(np.r_[False, loud, False].astype(np.int8)))
    keep = round(keep_silence * sample_rate)
    shortest = round(min_silence * sample_rate)
    stretches: list[tuple[int, int]] = []
    last = -math.inf
    for first, end in edges.reshape(-1, 2) * size:
        start, stop = max(0, first - keep), min(len(samples), end + keep)
        # Gaps that are no silence, or that keep_silence fills, are bridged.
        if stretches and (first - last < shortest or start <= stretches[-1][1]):
            start = stretches.pop()[0]
        stretches.append((int(start), int(stop)))
        last = end
    return stretches


def join(samples: np.ndarray, stretches: list[tuple[int, int]]) -> np.ndarray:
    """The given stretches one after the other.

    Arguments
    ---------
    samples : np.ndarray
        (samples,)
    stretches : list[tuple[int, int]]
        First sample and the one behind the last of each.

    Returns
    -------
    np.ndarray
        (samples,)
    """
    if not stretches:
        return samples[:0]
    return np.concatenate([samples[start:stop] for start, stop in stretches])
