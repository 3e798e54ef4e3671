"""Takes music and steady noise off a voice, chunk by chunk.

A frame of accompaniment has neighbours elsewhere that look like it, a frame of
voice has not (Rafii and Pardo 2012, "Music/voice separation using the
similarity matrix"). librosa has the parts and an example that puts them
together; this does it in chunks, so that time and memory grow with the length
of the recording and not with its square.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

#: Seconds among which a frame looks for its neighbours.
CHUNK_SECONDS = 30.0

#: Seconds over which one chunk fades into the next.
FADE_SECONDS = 0.5

# The settings of the 2019 design.
_WIDTH_SECONDS = 0.5
_MARGIN = 10
_POWER = 2


def separate_vocals(
    blocks: Iterable[np.ndarray], sample_rate: int
) -> Iterator[np.ndarray]:
    """Keep the voice of a recording that comes block by block.

    Arguments
    ---------
    blocks : Iterable of np.ndarray
        (samples,) each, finite.
    sample_rate : int
        Hz.

    Yields
    ------
    np.ndarray
        float32; as many samples in all as came in.

    Raises
    ------
    ImportError
        If librosa is not installed; the message names the extra.
    """
    chunk = round(CHUNK_SECONDS * sample_rate)
    fade = round(FADE_SECONDS * sample_rate)
    rise = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    waiting = np.zeros(0, dtype=np.float32)
    tail = None

    def voice(samples: np.ndarray) -> np.ndarray:
        found = foreground(samples, sample_rate)
        if tail is not None:
            found[:fade] = rise * found[:fade] + tail
        return found

    for block in blocks:
        waiting = np.concatenate([waiting, block])
        # The last one gets what is left over, so that none is short.
        while len(waiting) >= 2 * chunk:
            found = voice(waiting[: chunk + fade])
            tail = found[chunk:] * rise[::-1]
            yield found[:chunk]
            waiting = waiting[chunk:]
    if len(waiting):
        yield voice(waiting)


def foreground(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """What of a stretch of sound does not recur in it.

    Arguments
    ---------
    samples : np.ndarray
        (samples,), finite.
    sample_rate : int
        Hz.

    Returns
    -------
    np.ndarray
        (samples,), float32.
    """
    try:
        import librosa
    except ImportError as error:
        raise ImportError(
            "separate_vocals is True, but librosa is not installed: "
            'pip install "speechbrain-siamese[vocals]"'
        ) from error
    samples = np.array(samples, dtype=np.float32)
    width = int(librosa.time_to_frames(_WIDTH_SECONDS, sr=sample_rate))
    # A frame needs others that are further away than the width.
    too_short = len(samples) < librosa.frames_to_samples(2 * width + 4)
    if too_short or not samples.any():
        return samples
    spectrum = librosa.stft(samples)
    loudness = np.abs(spectrum)
    recurring = librosa.decompose.nn_filter(
        loudness, aggregate=np.median, metric="cosine", width=width
    )
    # A frame cannot hold more accompaniment than there is sound.
    recurring = np.minimum(loudness, recurring)
    mask = librosa.util.softmask(
        loudness - recurring, _MARGIN * recurring, power=_POWER
    )
    return librosa.istft(mask * spectrum, length=len(samples))
