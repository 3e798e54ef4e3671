"""Sound of the demo corpus: sentences become a recording as found online.

Pure functions on arrays, but for the last, which writes a file.

Authors
 * The speechbrain-siamese contributors
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import soundfile
from scipy.signal import butter, fftconvolve, resample_poly, sosfilt

PAUSE_SECONDS = (0.6, 2.0)
"""Shortest and longest pause between two sentences."""

_PEAK = 0.9
# libsndfile's Vorbis encoder puts a whole write on the stack.
_BLOCK = 65_536
# Encoder, and bit rate in bits per second, of what PyAV writes.
_ENCODERS = {
    ".mp3": ("libmp3lame", 96_000),
    ".m4a": ("aac", 96_000),
    ".webm": ("libopus", 64_000),
}


def jingle(
    seconds: float, rate: int, generator: np.random.Generator
) -> np.ndarray:
    """Compose an advert's music: plucked notes over a beat, no voice.

    Arguments
    ---------
    seconds : float
        Length.
    rate : int
        Samples per second.
    generator : np.random.Generator
        Draws key, tempo, tune and place in the stereo image.

    Returns
    -------
    music : np.ndarray
        (time, 2) float32, peak 0.5.

    Example
    -------
    >>> jingle(0.5, 8000, np.random.default_rng(0)).shape
    (4000, 2)
    """
    length = round(seconds * rate)
    step = int(rate * generator.uniform(0.18, 0.3))
    tonic = generator.uniform(200, 330)
    pentatonic = np.array([0, 2, 4, 7, 9, 12, 14, 16])
    time = np.arange(2 * step) / rate
    beat = generator.standard_normal(2 * step) * np.exp(-time * 60) * 0.5
    music = np.zeros((length + 2 * step, 2))
    for count, start in enumerate(range(0, length, step)):
        pitch = tonic * 2 ** (generator.choice(pentatonic) / 12)
        note = sum(
            np.sin(2 * np.pi * pitch * harmonic * time) / harmonic
            for harmonic in (1, 2, 3, 5)
        ) * np.exp(-time * 5)
        left = generator.uniform(0.2, 0.8)
        place = np.array([left, 1 - left])
        music[start : start + 2 * step] += note[:, None] * place
        if count % 2 == 0:
            music[start : start + 2 * step] += beat[:, None]
    music = music[:length]
    return (0.5 * music / np.abs(music).max()).astype(np.float32)


def join_with_pauses(
    sentences: list[np.ndarray], rate: int, generator: np.random.Generator
) -> np.ndarray:
    """Put a pause of random length after each sentence.

    Arguments
    ---------
    sentences : list of np.ndarray
        (time,) samples each.
    rate : int
        Samples per second.
    generator : np.random.Generator
        Draws the pauses within `PAUSE_SECONDS`.

    Returns
    -------
    speech : np.ndarray
        (time,) samples.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> speech = join_with_pauses([np.ones(800)] * 2, 8000, rng)
    >>> bool(0.6 * 16000 < (speech == 0).sum() < 2.0 * 16000)
    True
    """
    parts = []
    for sentence in sentences:
        pause = round(generator.uniform(*PAUSE_SECONDS) * rate)
        parts += [sentence, np.zeros(pause, sentence.dtype)]
    return np.concatenate(parts)


def place_in_room(
    speech: np.ndarray, rate: int, generator: np.random.Generator
) -> np.ndarray:
    """Give dry speech a room, a microphone, a level and some noise.

    Arguments
    ---------
    speech : np.ndarray
        (time,) samples, not silent.
    rate : int
        Samples per second.
    generator : np.random.Generator
        Draws the room's decay (0.1 to 0.3 s), the microphone's band and
        tilt, the level (-26 to -18 dBFS while speaking) and the noise (32 to
        42 dB below it).

    Returns
    -------
    stereo : np.ndarray
        (time, 2) float32; echoes and noise differ between the channels.
        Peaks are at most 0.9: a recording that would pass it is turned down.
    """
    decay = generator.uniform(0.1, 0.3)
    time = np.arange(round(decay * rate)) / rate
    # 60 dB down at the end of `decay`.
    envelope = 10 ** (-3 * time / decay)
    echoes = generator.standard_normal((2, len(time))) * envelope
    echoes *= generator.uniform(0.15, 0.4) / np.linalg.norm(
        echoes, axis=1, keepdims=True
    )
    echoes[:, 0] += 1
    stereo = fftconvolve(speech[None], echoes, axes=1)[:, : len(speech)]
    stereo = _through_microphone(stereo, rate, generator)

    loud = np.abs(stereo) > 0.05 * np.abs(stereo).max()
    level = 10 ** (generator.uniform(-26, -18) / 20)
    stereo *= level / np.sqrt((stereo[loud] ** 2).mean())
    noise = _through_microphone(
        generator.standard_normal(stereo.shape), rate, generator
    )
    noise *= level * 10 ** (-generator.uniform(32, 42) / 20) / noise.std()
    stereo += noise
    stereo *= min(1.0, _PEAK / np.abs(stereo).max())
    return stereo.T.astype(np.float32)


def assemble_recording(
    sentences: list[np.ndarray],
    advert_seconds: float,
    rate: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Make a recording: advert, spoken sentences with pauses, advert.

    Arguments
    ---------
    sentences : list of np.ndarray
        (time,) dry samples each.
    advert_seconds : float
        Length of the advert at the start and of that at the end.
    rate : int
        Samples per second of the sentences and of the result.
    generator : np.random.Generator
        Draws everything else.

    Returns
    -------
    recording : np.ndarray
        (time, 2) float32 within -0.9 to 0.9.
    """
    speech = join_with_pauses(sentences, rate, generator)
    return np.concatenate(
        [
            jingle(advert_seconds, rate, generator),
            place_in_room(speech, rate, generator),
            jingle(advert_seconds, rate, generator),
        ]
    )


def write_recording(
    path: Path, samples: np.ndarray, rate: int, new_rate: int
) -> None:
    """Write a recording in the format of its name.

    Arguments
    ---------
    path : Path
        File that ends in .wav, .flac, .ogg (Vorbis), .mp3, .m4a (AAC) or
        .webm (Opus, which takes 48,000 Hz only).
    samples : np.ndarray
        (time, 2) float32 within -1 to 1.
    rate : int
        Samples per second of `samples`.
    new_rate : int
        Samples per second of the file.
    """
    divisor = np.gcd(rate, new_rate)
    samples = resample_poly(
        samples, new_rate // divisor, rate // divisor, axis=0
    )
    samples = np.clip(samples, -1, 1).astype(np.float32)
    if path.suffix not in _ENCODERS:
        with soundfile.SoundFile(path, "w", new_rate, 2) as file:
            for start in range(0, len(samples), _BLOCK):
                file.write(samples[start : start + _BLOCK])
        return
    codec, bits = _ENCODERS[path.suffix]
    # Without bitexact the muxer writes a random number into a webm.
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(codec, rate=new_rate, layout="stereo")
        stream.bit_rate = bits
        if codec == "aac":
            # FFmpeg's intensity stereo overshoots to twice a plucked note.
            stream.options = {"aac_is": "0"}
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.T), format="fltp", layout="stereo"
        )
        frame.sample_rate = new_rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _through_microphone(
    sound: np.ndarray, rate: int, generator: np.random.Generator
) -> np.ndarray:
    """Colour (channels, time) by a random band and a random presence."""
    band = (generator.uniform(60, 150), generator.uniform(0.3, 0.46) * rate)
    sound = sosfilt(butter(1, band, "bandpass", fs=rate, output="sos"), sound)
    centre = generator.uniform(800, min(4000, rate / 4))
    presence = butter(
        1, (centre / 1.5, centre * 1.5), "bandpass", fs=rate, output="sos"
    )
    return sound + generator.uniform(-0.5, 1.0) * sosfilt(presence, sound)
