"""Features of the older designs, by librosa.

The 2019 design describes a frame by 40 MFCC, its zero-crossing rate, its
level and its spectral roll-off, and a clip by their mean. GMM-UBM takes
fewer MFCC of shorter frames and their slopes.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from speechbrain_siamese.dataio.cleaning import (
    CleaningSettings,
    StepSums,
    voiced_stretches,
)

#: Samples of a frame and between frames: librosa's own, as in 2019.
FRAME, HOP = 2048, 512

#: Seconds of a frame and between frames for GMM-UBM, as is usual there.
SHORT_FRAME, SHORT_HOP = 0.025, 0.01

#: Frames over which a slope is taken.
SLOPE = 9


def frame_features(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """What the 2019 design knows of each frame.

    Arguments
    ---------
    samples : np.ndarray
        (samples,), full scale is 1; zeros fill up less than a frame.
    sample_rate : int
        Hz.

    Returns
    -------
    np.ndarray
        float32, (frames, 43): 40 MFCC, zero crossings per sample, root mean
        square level, and the frequency in Hz below which 85 % of the
        spectrum lie.

    Raises
    ------
    ImportError
        If librosa is not installed; the message names the extra.
    ValueError
        If the samples are no finite mono signal.

    Example
    -------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    >>> frame_features(tone, 16000).shape
    (32, 43)
    """
    librosa = _librosa()
    samples = _checked(samples, FRAME)
    spectrum = np.abs(librosa.stft(samples, n_fft=FRAME, hop_length=HOP))
    mel = librosa.feature.melspectrogram(S=spectrum**2, sr=sample_rate)
    parts = [
        librosa.feature.mfcc(
            S=librosa.power_to_db(mel), sr=sample_rate, n_mfcc=40
        ),
        librosa.feature.zero_crossing_rate(
            samples, frame_length=FRAME, hop_length=HOP
        ),
        librosa.feature.rms(y=samples, frame_length=FRAME, hop_length=HOP),
        librosa.feature.spectral_rolloff(S=spectrum, sr=sample_rate),
    ]
    return np.concatenate(parts).T.astype(np.float32)


def average_features(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mean of ``frame_features`` over a clip.

    Arguments
    ---------
    samples : np.ndarray
        (samples,), full scale is 1.
    sample_rate : int
        Hz.

    Returns
    -------
    np.ndarray
        float32, (43,).

    Raises
    ------
    ImportError, ValueError
        As ``frame_features``.
    """
    return frame_features(samples, sample_rate).mean(axis=0)


def cepstra_with_slopes(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """What GMM-UBM knows of each frame.

    The mean over the clip is taken off, which takes off what a microphone
    adds to every frame (Furui 1981, "Cepstral analysis technique for
    automatic speaker verification").

    Arguments
    ---------
    samples : np.ndarray
        (samples,), without its silence (``without_silence``), since silence
        sounds alike for everybody.
    sample_rate : int
        Hz.

    Returns
    -------
    np.ndarray
        float32, (frames, 40): 20 MFCC less their mean, and their slopes.

    Raises
    ------
    ImportError
        If librosa is not installed; the message names the extra.
    ValueError
        If the samples are no finite mono signal.
    """
    librosa = _librosa()
    frame = round(SHORT_FRAME * sample_rate)
    cepstra = librosa.feature.mfcc(
        y=_checked(samples, frame),
        sr=sample_rate,
        n_mfcc=20,
        n_fft=frame,
        hop_length=round(SHORT_HOP * sample_rate),
        # More bands than that would be narrower than a bin of the spectrum.
        n_mels=40,
    )
    # The edges are repeated, or clips below 9 frames would have no slope.
    slopes = librosa.feature.delta(cepstra, width=SLOPE, mode="nearest")
    cepstra -= cepstra.mean(axis=1, keepdims=True)
    return np.concatenate([cepstra, slopes]).T.astype(np.float32)


def without_silence(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """The voiced stretches of a clip by the corpus's own rule, put together.

    Arguments
    ---------
    samples : np.ndarray
        (samples,), full scale is 1.
    sample_rate : int
        Hz, 8000 to 48000.

    Returns
    -------
    np.ndarray
        (voiced samples,); all of them if none is voiced.

    Raises
    ------
    ValueError
        If the rate is out of range.

    Example
    -------
    >>> voice = np.sin(np.arange(8000))
    >>> samples = np.concatenate([np.zeros(8000), voice, np.zeros(8000)])
    >>> without_silence(samples, 8000).shape  # with 0.09 s at both sides
    (9440,)
    """
    settings = CleaningSettings(sample_rate=sample_rate)
    sums = StepSums(settings.seek_samples)
    sums.add(samples)
    stretches = voiced_stretches(sums.whole(), len(samples), settings)
    if not stretches:
        return samples
    return np.concatenate([samples[start:stop] for start, stop in stretches])


def _checked(samples: np.ndarray, least: int) -> np.ndarray:
    """The samples as float32, at least so many."""
    samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
        raise ValueError(
            f"samples have shape {samples.shape}, expected (samples,), not "
            "empty, mono and without NaN: look for a damaged file"
        )
    return np.pad(samples, (0, max(0, least - len(samples))))


def _librosa() -> ModuleType:
    """The package, which only the baselines and vocal separation need."""
    try:
        import librosa
    except ImportError as error:
        raise ImportError(
            "the baselines need librosa, which is not installed: "
            'pip install "speechbrain-siamese[baselines]"'
        ) from error
    return librosa
