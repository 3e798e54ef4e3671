"""How good a clip is to know a voice from: its speech, level, noise, clipping.

All follows from levels of short frames and one count, gathered block by block.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np

from speechbrain_siamese.dataio.cleaning import (
    FRAME,
    LOWEST,
    NOISE_FLOOR,
    OWN_LEVEL,
    StepSums,
    frame_levels,
    silence_level,
)

#: Share of full scale from which a sample counts as clipped: lossy codecs and
#: resampling move it a little.
FULL_SCALE = 0.99

#: dB below a clip's own level where speech ends.
SPEECH_RANGE = -30.0

#: Seconds of which the waveform's outline keeps the highest sample.
PEAK_SECONDS = 0.05


@dataclass(frozen=True)
class ClipQuality:
    """What a clip is worth.

    Arguments
    ---------
    seconds : float
        Of the clip.
    speech : float
        Seconds of it that are not silent.
    level : float
        Of its speech (the 95th percentile of its frames), dBFS; ``-inf`` for
        digital silence.
    snr : float
        Its speech against its noise floor (the 10th percentile of its
        frames), dB: an estimate, too low for a clip without any pause.
    clipped : float
        Share of its samples at full scale, 0 to 1; in any channel, where the
        channels were heard.
    """

    seconds: float
    speech: float
    level: float
    snr: float
    clipped: float

    @property
    def weight(self) -> float:
        """What it counts in a mean over clips: seconds of speech, fewer if bad.

        Half of them at 5 dB of noise, and half where 1 % is clipped.
        """
        noisy = 1 / (1 + 10 ** ((5.0 - self.snr) / 10))
        return self.speech * noisy / (1 + 100 * self.clipped)


class QualityMeter:
    """Measures sound block by block, in memory that hardly grows with it.

    Arguments
    ---------
    sample_rate : int
        Hz.

    Example
    -------
    >>> meter = QualityMeter(16000)
    >>> meter.add(0.1 * np.sin(np.arange(16000)))
    >>> meter.add(0.001 * np.sin(np.arange(4000)))
    >>> found = meter.quality()
    >>> round(found.seconds, 2), round(found.speech, 2), round(found.snr)
    (1.25, 1.0, 40)
    >>> round(found.level), found.clipped
    (-23, 0.0)
    """

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        step = max(1, round(FRAME * sample_rate))
        self._sums, self._full_scale = StepSums(step), StepSums(step)
        self._samples = 0
        # Of each piece: where it ends, its samples, those at full scale.
        self._pieces = array("d")

    def add(self, block: np.ndarray) -> None:
        """Take the next block.

        Arguments
        ---------
        block : np.ndarray
            Mono samples, (samples,), full scale is 1.
        """
        self._sums.add(block)
        self._samples += len(block)
        self._full_scale.add(np.abs(block) >= FULL_SCALE)

    def add_channels(self, channels: np.ndarray, end: float = 0.0) -> None:
        """Take sound as it is in the file, for its clipping alone.

        Arguments
        ---------
        channels : np.ndarray
            (channels, samples), full scale is 1, at any rate.
        end : float
            Second of what is heard where it ends.
        """
        full = (np.abs(channels) >= FULL_SCALE).any(axis=0)
        self._pieces.extend((end, channels.shape[1], full.sum()))

    def quality(self, seconds: float = np.inf) -> ClipQuality:
        """What it is worth.

        Arguments
        ---------
        seconds : float
            What was heard behind them does not count.

        Returns
        -------
        ClipQuality
        """
        sums = self._sums
        # No recording lasts longer than all of it.
        samples = round(min(self._samples, seconds * self.sample_rate))
        steps = samples // sums.step
        levels = frame_levels(sums.whole()[:steps], sums.step, 1)
        heard = levels[levels > LOWEST]
        level, noise = -np.inf, 0.0
        if len(heard):
            level = float(np.percentile(heard, OWN_LEVEL))
            # Zeros are padding; what is nearly silent is a very low noise.
            sound = levels[np.isfinite(levels)].clip(min=LOWEST)
            noise = float(np.percentile(sound, NOISE_FLOOR))
        speech = levels > silence_level(levels, SPEECH_RANGE, relative=True)
        pieces = np.array(self._pieces).reshape(-1, 3)
        if len(pieces):
            counted = pieces[pieces[:, 0] <= seconds, 1:].sum(axis=0)
        else:
            full_scale = self._full_scale.whole()[:steps, 0]
            counted = steps * sums.step, full_scale.sum()
        return ClipQuality(
            seconds=samples / self.sample_rate,
            speech=float(speech.sum()) * sums.step / self.sample_rate,
            level=level,
            snr=max(0.0, level - noise),
            clipped=float(counted[1] / max(1, counted[0])),
        )


class Outline:
    """Outline of a waveform, for a picture, gathered block by block.

    Arguments
    ---------
    sample_rate : int
        Hz.

    Example
    -------
    >>> outline = Outline(16000)
    >>> for level in (0.5, 0.25):
    ...     outline.add(np.full(8000, level))
    >>> outline.points(4)
    [50, 50, 25, 25]
    """

    def __init__(self, sample_rate: int):
        self._size = round(PEAK_SECONDS * sample_rate)
        self._rest = np.zeros(0)
        self._peaks: list[np.ndarray] = []

    def add(self, block: np.ndarray) -> None:
        """Take the next block.

        Arguments
        ---------
        block : np.ndarray
            Mono samples, (samples,), full scale is 1.
        """
        loud = np.concatenate([self._rest, np.abs(block)])
        whole = len(loud) - len(loud) % self._size
        self._peaks.append(loud[:whole].reshape(-1, self._size).max(axis=1))
        self._rest = loud[whole:]

    def points(self, count: int) -> list[int]:
        """Outline all that was heard.

        Arguments
        ---------
        count : int
            Parts of the time, equal but for ``PEAK_SECONDS``.

        Returns
        -------
        list of int
            Highest absolute sample of each part, in percent of full scale, 0
            to 100; fewer than ``count`` where the sound is short.
        """
        peaks = np.concatenate([np.zeros(0), *self._peaks])
        if len(self._rest):
            peaks = np.append(peaks, self._rest.max())
        if not len(peaks):
            return []
        count = min(count, len(peaks))
        # Spread evenly: array_split would put all the longer parts first.
        starts = np.arange(count) * len(peaks) // count
        highest = np.maximum.reduceat(peaks, starts).clip(max=1.0)
        return (100 * highest).round().astype(int).tolist()
