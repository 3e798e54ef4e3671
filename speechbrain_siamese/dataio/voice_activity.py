"""Who finds the voice in a recording: a level, or a voice activity detector.

Both take a recording block by block, while it is decoded, and tell in the end
where it is not silent.
"""

from __future__ import annotations

import functools
import math
from typing import Protocol

import numpy as np
import soxr

from speechbrain_siamese.dataio.cleaning import (
    CleaningSettings,
    StepSums,
    voiced_stretches,
)

#: What Silero's network takes at a time.
_SILERO_RATE = 16000
_SILERO_CHUNK = 512


class VoiceFinder(Protocol):
    """Takes the blocks of one recording, then tells where voice is."""

    def add(self, samples: np.ndarray) -> None:
        """Take the next block, (samples,), full scale is 1."""

    def voiced(self, samples: int) -> list[tuple[int, int]]:
        """First sample and the one behind the last of each voiced stretch.

        Among the first ``samples``: what was added behind them does not count.
        """


def voice_finder(settings: CleaningSettings) -> VoiceFinder:
    """Make the finder that the settings name.

    Arguments
    ---------
    settings : CleaningSettings
        ``vad`` is None for the level, or ``silero``.

    Returns
    -------
    VoiceFinder

    Raises
    ------
    ImportError
        If Silero's package is not installed.

    Example
    -------
    >>> finder = voice_finder(CleaningSettings(sample_rate=8000))
    >>> for part in (np.zeros(8000), np.sin(np.arange(8000)), np.zeros(8000)):
    ...     finder.add(part)
    >>> finder.voiced(24000)
    [(7280, 16720)]
    """
    return (SileroFinder if settings.vad == "silero" else LevelFinder)(settings)


class LevelFinder:
    """Voice is what is louder than the silence of the same recording.

    Arguments
    ---------
    settings : CleaningSettings
    """

    def __init__(self, settings: CleaningSettings):
        self._settings = settings
        self._sums = StepSums(settings.seek_samples)

    def add(self, samples: np.ndarray) -> None:
        """Take the next block."""
        self._sums.add(samples)

    def voiced(self, samples: int) -> list[tuple[int, int]]:
        """Voiced stretches among the first samples."""
        steps = samples // self._settings.seek_samples
        return voiced_stretches(
            self._sums.whole()[:steps], samples, self._settings
        )


class SileroFinder:
    """Voice is what Silero's network takes for speech.

    For noisy recordings, where level tells little. ``min_silence`` and
    ``keep_silence`` count as for the level, the threshold does not.

    Arguments
    ---------
    settings : CleaningSettings

    Raises
    ------
    ImportError
        If the package is not installed.
    """

    def __init__(self, settings: CleaningSettings):
        self._settings = settings
        self._model = load_silero()
        self._model.reset_states()
        self._probabilities: list[float] = []
        self._rest = np.zeros(0, dtype=np.float32)
        self._resampler = None
        if settings.sample_rate != _SILERO_RATE:
            self._resampler = soxr.ResampleStream(
                settings.sample_rate, _SILERO_RATE, 1, dtype="float32"
            )

    def add(self, samples: np.ndarray) -> None:
        """Take the next block."""
        samples = np.asarray(samples, dtype=np.float32)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) - len(samples) % _SILERO_CHUNK
        self._hear(samples[:whole])
        self._rest = samples[whole:]

    def voiced(self, samples: int) -> list[tuple[int, int]]:
        """Voiced stretches among the first samples."""
        from silero_vad.utils_vad import get_speech_timestamps_from_probs

        if len(self._rest):
            # The network takes whole chunks: silence fills the last one.
            missing = _SILERO_CHUNK - len(self._rest)
            self._hear(np.pad(self._rest, (0, missing)))
            self._rest = self._rest[:0]
        rate = self._settings.sample_rate
        length = round(samples * _SILERO_RATE / rate)
        chunks = math.ceil(length / _SILERO_CHUNK)
        found = get_speech_timestamps_from_probs(
            self._probabilities[:chunks],
            sampling_rate=_SILERO_RATE,
            min_silence_duration_ms=round(1000 * self._settings.min_silence),
            speech_pad_ms=round(1000 * self._settings.keep_silence),
            audio_length_samples=length,
        )
        return [
            tuple(
                min(samples, round(stretch[side] * rate / _SILERO_RATE))
                for side in ("start", "end")
            )
            for stretch in found
        ]

    def _hear(self, samples: np.ndarray) -> None:
        """Ask the network about whole chunks."""
        import torch

        # Of no samples split() makes one chunk, which the network refuses.
        if not len(samples):
            return
        threads = torch.get_num_threads()
        # A chunk is so little work that more threads only wait for another.
        torch.set_num_threads(1)
        try:
            with torch.no_grad():
                for chunk in torch.from_numpy(samples).split(_SILERO_CHUNK):
                    heard = self._model(chunk, _SILERO_RATE).item()
                    self._probabilities.append(heard)
        finally:
            torch.set_num_threads(threads)


@functools.cache
def load_silero():
    """Load Silero's network, once per process.

    Returns
    -------
    torch.jit.ScriptModule

    Raises
    ------
    ImportError
        If the package is not installed; the message names the extra.
    """
    import torch

    threads = torch.get_num_threads()
    try:
        from silero_vad import load_silero_vad
    except ImportError as error:
        raise ImportError(
            "vad is 'silero', but the package silero-vad is not installed: "
            'pip install "speechbrain-siamese[silero]"'
        ) from error
    finally:
        # Its import sets one thread for all that the process does.
        torch.set_num_threads(threads)
    return load_silero_vad()
