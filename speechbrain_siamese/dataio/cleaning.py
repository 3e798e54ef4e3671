"""Cuts the ends of a recording and drops its silence.

The rule is that of pydub's ``split_on_silence``: silence is every window of a
given length whose level is below a threshold, and a little of it is kept at
each side. The threshold may follow the recording's own level and noise, since
people record at levels that differ by tens of dB.

The rule needs two sums for each seek step (``StepSums``), which are gathered
while the recording is decoded: one of hours never sits in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speechbrain_siamese.utils.ranges import check_range

FRAME = 0.02
"""Seconds of a level frame: about two periods of a deep voice."""

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
    seek_step : float
        Seconds between the windows that are looked at.
    separate_vocals : bool
        Whether music is taken off the voice first.
    vad : str | None
        ``silero`` finds speech by Silero's network in place of the level;
        then the threshold does not count.
    cut_recurring : bool
        Whether sound that recurs in other recordings is cut: jingles, adverts.
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
    silence_threshold: float = -30.0
    silence_relative: bool = True
    min_silence: float = 0.2
    keep_silence: float = 0.1
    seek_step: float = 0.01
    separate_vocals: bool = False
    vad: str | None = None
    cut_recurring: bool = False
    min_duration: float = 1.0

    def __post_init__(self):
        for key in ("silence_relative", "separate_vocals", "cut_recurring"):
            if not isinstance(getattr(self, key), bool):
                raise ValueError(
                    f"{key} is {getattr(self, key)!r}, expected True or False"
                )
        if self.vad not in (None, "silero"):
            raise ValueError(
                f"vad is {self.vad!r}, expected null (by level) or silero"
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
            ("seek_step", 0.001, FRAME, "s"),
            ("min_duration", 0.1, 3600, "s"),
        ):
            check_range(key, getattr(self, key), low, high, unit)

    @property
    def seek_samples(self) -> int:
        """Samples of a seek step."""
        return round(self.seek_step * self.sample_rate)


def between_cuts(samples: int, settings: CleaningSettings) -> tuple[int, int]:
    """First sample behind the cut start, and the one where the cut end begins.

    Arguments
    ---------
    samples : int
        Length of the recording.
    settings : CleaningSettings
        With ``trim_start``, ``trim_end`` and ``sample_rate``.

    Returns
    -------
    tuple[int, int]
        Both are the same if the cuts take all.

    Example
    -------
    >>> settings = CleaningSettings(
    ...     sample_rate=8000, trim_start=1.0, trim_end=1.5
    ... )
    >>> between_cuts(24000, settings)
    (8000, 12000)
    """
    first = round(settings.trim_start * settings.sample_rate)
    last = samples - round(settings.trim_end * settings.sample_rate)
    return first, max(first, last)


class StepSums:
    """Sum and sum of squares of every seek step, gathered block by block.

    Arguments
    ---------
    step : int
        Samples per step.

    Example
    -------
    >>> sums = StepSums(2)
    >>> sums.add(np.array([1.0, 2.0, 3.0]))
    >>> sums.add(np.array([4.0, 5.0]))
    >>> sums.whole().tolist()
    [[3.0, 5.0], [7.0, 25.0]]
    """

    def __init__(self, step: int):
        self.step = step
        self._rest = np.zeros(0)
        self._parts = [np.zeros((0, 2))]

    def add(self, samples: np.ndarray) -> None:
        """Take the next block.

        Arguments
        ---------
        samples : np.ndarray
            (samples,), full scale is 1.
        """
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) - len(samples) % self.step
        steps = samples[:whole].reshape(-1, self.step)
        squares = np.einsum("ij,ij->i", steps, steps)
        self._parts.append(np.stack([steps.sum(axis=1), squares], axis=1))
        self._rest = samples[whole:]

    def whole(self) -> np.ndarray:
        """Sums of the steps that are complete.

        Returns
        -------
        np.ndarray
            float64, (steps, 2): of the samples, and of their squares.
        """
        self._parts = [np.concatenate(self._parts)]
        return self._parts[0]


def frame_levels(sums: np.ndarray, step: int, steps: int) -> np.ndarray:
    """Root mean square level of each frame, without its mean.

    The frame's mean is taken off, since cheap sound cards add an offset that
    would hide silence.

    Arguments
    ---------
    sums : np.ndarray
        (all steps, 2), as ``StepSums`` gives them.
    step : int
        Samples per step.
    steps : int
        Steps per frame; what is left at the end makes no frame.

    Returns
    -------
    np.ndarray
        float64, (frames,), dBFS; ``-inf`` for digital silence.

    Example
    -------
    >>> sums = StepSums(2)
    >>> sums.add(np.array([0.1, -0.1, 0.0, 0.0]))
    >>> frame_levels(sums.whole(), step=2, steps=1).round().tolist()
    [-20.0, -inf]
    """
    frames = len(sums) // steps
    own = sums[: frames * steps].reshape(frames, steps, 2).sum(axis=1)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(_variance(own, step * steps))


def _variance(sums: np.ndarray, count: int) -> np.ndarray:
    """Variance of ``count`` samples each; never below 0 by rounding."""
    mean, square = sums[:, 0] / count, sums[:, 1] / count
    variance = square - mean**2
    # What rounding leaves of a constant offset is silence.
    return np.where(variance > 1e-12 * square, variance, 0.0)


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
    sums: np.ndarray, samples: int, settings: CleaningSettings
) -> list[tuple[int, int]]:
    """Where a recording is not silent.

    Equal to pydub's ``split_on_silence`` (its pieces put together) at an
    absolute threshold, but for a constant offset of the sound card, which
    counts as sound there.

    Arguments
    ---------
    sums : np.ndarray
        (steps, 2), as ``StepSums`` gives them for steps of
        ``settings.seek_samples``.
    samples : int
        Length of the recording; what follows the last whole step shares its
        fate.
    settings : CleaningSettings
        Threshold, lengths and rate.

    Returns
    -------
    list[tuple[int, int]]
        First sample and the one behind the last of each stretch, in order,
        without overlap; empty if all is silent.

    Example
    -------
    >>> settings = CleaningSettings(sample_rate=8000)
    >>> sums = StepSums(settings.seek_samples)
    >>> for part in (np.zeros(8000), np.sin(np.arange(8000)), np.zeros(8000)):
    ...     sums.add(part)
    >>> voiced_stretches(sums.whole(), 24000, settings)
    [(7280, 16720)]
    """
    step = settings.seek_samples
    frame = max(1, round(FRAME * settings.sample_rate / step))
    threshold = silence_level(
        frame_levels(sums, step, frame),
        settings.silence_threshold,
        settings.silence_relative,
    )
    window = max(1, round(settings.min_silence * settings.sample_rate / step))
    silent = _silent_steps(sums, step, min(window, len(sums)), threshold)
    edges = np.flatnonzero(np.diff(np.r_[True, silent, True].astype(np.int8)))
    keep = round(settings.keep_silence * settings.sample_rate)
    stretches: list[tuple[int, int]] = []
    for first, end in edges.reshape(-1, 2):
        start = max(0, int(first) * step - keep)
        stop = min(samples, int(end) * step + keep)
        if end == len(silent):
            stop = samples
        # Gaps that kept silence fills are bridged.
        if stretches and start <= stretches[-1][1]:
            start = stretches.pop()[0]
        stretches.append((start, stop))
    return stretches


def _silent_steps(
    sums: np.ndarray, step: int, window: int, threshold: float
) -> np.ndarray:
    """Steps inside any window whose level is not above the threshold."""
    if not len(sums):
        return np.zeros(0, dtype=bool)
    running = np.concatenate([np.zeros((1, 2)), sums.cumsum(axis=0)])
    power = _variance(running[window:] - running[:-window], step * window)
    starts = power <= 10 ** (threshold / 10)
    # Each such window covers its steps: count those that are open.
    opened = np.zeros(len(sums) + 1, dtype=np.int64)
    opened[: len(starts)] += starts
    opened[window : window + len(starts)] -= starts
    return opened[:-1].cumsum() > 0
