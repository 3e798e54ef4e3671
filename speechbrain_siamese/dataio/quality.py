"""How good a clip is to know a voice from: its speech, level, noise, clipping.

All follows from levels of short frames and one count, gathered block by block.
"""

from __future__ import annotations

from collections.abc import Iterable
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
        Share of its samples at full scale, 0 to 1.
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


def clip_quality(blocks: Iterable[np.ndarray], sample_rate: int) -> ClipQuality:
    """Measure a clip, in memory that hardly grows with its length.

    Arguments
    ---------
    blocks : Iterable[np.ndarray]
        Consecutive mono samples, (samples,) each, full scale is 1.
    sample_rate : int
        Hz.

    Returns
    -------
    ClipQuality

    Example
    -------
    >>> tone = 0.1 * np.sin(np.arange(16000))
    >>> hush = 0.001 * np.sin(np.arange(4000))
    >>> found = clip_quality([tone, hush], 16000)
    >>> round(found.seconds, 2), round(found.speech, 2), round(found.snr)
    (1.25, 1.0, 40)
    >>> round(found.level), found.clipped
    (-23, 0.0)
    """
    sums = StepSums(max(1, round(FRAME * sample_rate)))
    samples = clipped = 0
    for block in blocks:
        sums.add(block)
        samples += len(block)
        clipped += int((np.abs(block) >= FULL_SCALE).sum())
    levels = frame_levels(sums.whole(), sums.step, 1)
    heard = levels[levels > LOWEST]
    level, noise = -np.inf, 0.0
    if len(heard):
        noise, level = np.percentile(heard, [NOISE_FLOOR, OWN_LEVEL]).tolist()
    speech = levels > silence_level(levels, SPEECH_RANGE, relative=True)
    return ClipQuality(
        seconds=samples / sample_rate,
        speech=float(speech.sum()) * sums.step / sample_rate,
        level=level,
        snr=max(0.0, level - noise),
        clipped=clipped / max(1, samples),
    )
