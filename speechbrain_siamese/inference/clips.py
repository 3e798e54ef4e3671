"""Clips that are enrolled or asked about: read, measured, embedded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import soxr
import torch

from speechbrain_siamese.dataio.decoding import (
    RATES,
    decode,
    decode_blocks,
)
from speechbrain_siamese.dataio.quality import ClipQuality, QualityMeter
from speechbrain_siamese.inference.enrolled import EnrolledClip
from speechbrain_siamese.inference.long_files import (
    SpeechFrames,
    batches_exactly,
    embed_in_blocks,
)
from speechbrain_siamese.utils.sound_bytes import opened_sound, sound_bytes

if TYPE_CHECKING:
    from speechbrain_siamese.inference.speaker import SiameseRecognition

#: A file, or a mono waveform at the model's rate, (time,).
Clip = str | Path | torch.Tensor | np.ndarray

#: Seconds of speech below which a clip is doubtful.
SHORT = 3.0

#: Seconds of a waveform that are looked at together.
BLOCK = 60.0

#: Samples of a clip that was kept: more than two hours.
MOST_SAMPLES = 1 << 27

#: Share of clipped samples, and dB over the noise, that make a clip doubtful.
CLIPPED, NOISY = 0.01, 8.0


def embed_clip(model: SiameseRecognition, clip: Clip) -> torch.Tensor:
    """Embed a file or a waveform.

    Arguments
    ---------
    model : SiameseRecognition
    clip : Clip

    Returns
    -------
    torch.Tensor
        As of ``SiameseRecognition.encode_voices``, (dim,), on the CPU.

    Raises
    ------
    ValueError
        If it is no audio, silent, or too short.
    """
    check_clip(clip)
    if is_waveform(clip):
        embedding = _embed_samples(model, mono_samples(clip))
    else:
        embedding = model.voice_of_file(clip)
    embedding = embedding.flatten().cpu()
    if not embedding.isfinite().all():
        raise ValueError("its embedding is not finite")
    return embedding


def _embed_samples(
    model: SiameseRecognition, samples: np.ndarray
) -> torch.Tensor:
    """Embed a waveform; hours of it, where it can be, block by block."""
    block = round(BLOCK * model.audio_normalizer.sample_rate)
    if len(samples) <= block or not batches_exactly(model):
        wave = torch.from_numpy(samples)
        return model.encode_voices(wave[None].to(model.device))
    model.mods.eval()
    starts = range(0, len(samples), block)
    with model.inference_ctx:
        speech = SpeechFrames(
            lambda: (samples[start : start + block] for start in starts),
            model.mods.compute_features,
            model.mods.embedding_model,
            model.device,
        )
        mean, count = embed_in_blocks(speech, model.mods.embedding_model)
        return model.as_voices(mean, torch.tensor([count]).to(mean))


def clip_to_enroll(
    model: SiameseRecognition, clip: Clip, keep_audio: bool
) -> tuple[EnrolledClip, ClipQuality]:
    """Measure and embed one clip.

    Arguments
    ---------
    model : SiameseRecognition
    clip : Clip
    keep_audio : bool
        Whether its samples go along, as FLAC.

    Returns
    -------
    EnrolledClip
    ClipQuality

    Raises
    ------
    ValueError
        If it is no audio, silent, or too short, its path is no text, or there
        is more of it than can be kept.
    """
    source = None if is_waveform(clip) else _path_text(clip)
    rate, digest = model.audio_normalizer.sample_rate, hashlib.sha256()

    meter, samples = QualityMeter(rate), 0
    for block in (
        [mono_samples(clip)]
        if is_waveform(clip)
        else decode_blocks(
            clip, rate, hear_channels=lambda own, _: meter.add_channels(own)
        )
    ):
        samples += len(block)
        if keep_audio and samples > MOST_SAMPLES:
            raise ValueError(
                f"it lasts more than {MOST_SAMPLES / rate / 3600:.1f} h, which "
                "are the most that is kept: cut it, or enroll it without "
                "keep_audio"
            )
        digest.update(np.ascontiguousarray(block))
        meter.add(block)
    quality = meter.quality()
    if not quality.speech:
        raise ValueError("it is silent: there is no voice to know")
    return EnrolledClip(
        digest=digest.hexdigest(),
        source=source,
        seconds=quality.seconds,
        weight=quality.weight,
        embedding=embed_clip(model, clip).numpy(),
        audio=_flac(clip, rate) if keep_audio else None,
    ), quality


def doubts_of(quality: ClipQuality) -> list[str]:
    """What is doubtful about a clip, in words.

    Arguments
    ---------
    quality : ClipQuality

    Returns
    -------
    list of str

    Example
    -------
    >>> doubts_of(ClipQuality(2.0, 1.5, -20.0, 30.0, 0.0))
    ['holds 1.5 s of speech: 5 s or more are safer']
    """
    doubts = []
    if quality.speech < SHORT:
        doubts.append(
            f"holds {quality.speech:.1f} s of speech: 5 s or more are safer"
        )
    if quality.clipped > CLIPPED:
        doubts.append(
            f"is clipped ({100 * quality.clipped:.0f} % of its samples): "
            "record it with less gain"
        )
    if quality.snr < NOISY:
        doubts.append(
            f"is noisy (about {quality.snr:.0f} dB between voice and noise)"
        )
    return doubts


def is_waveform(clip: Clip) -> bool:
    """Whether a clip is sound, and no file.

    Arguments
    ---------
    clip : Clip

    Returns
    -------
    bool
    """
    return isinstance(clip, (torch.Tensor, np.ndarray))


def several_clips(clips: Clip | Iterable[Clip]) -> Sequence[Clip]:
    """The clips, also of one that was given alone.

    Arguments
    ---------
    clips : Clip or Iterable[Clip]

    Returns
    -------
    Sequence[Clip]

    Raises
    ------
    ValueError
        If one is neither a file nor sound.
    """
    if isinstance(clips, (str, Path)) or is_waveform(clips):
        return [clips]
    clips = [*clips]
    for clip in clips:
        check_clip(clip)
    return clips


def check_clip(clip: object) -> None:
    """Refuse what is neither a file nor sound.

    Arguments
    ---------
    clip : object

    Raises
    ------
    ValueError
        If it is of another type than ``Clip``.

    Example
    -------
    >>> check_clip("a.wav")
    """
    if not isinstance(clip, (str, Path)) and not is_waveform(clip):
        raise ValueError(
            f"a clip is {clip!r}, expected the path of a file, or a waveform"
        )


def mono_samples(clip: torch.Tensor | np.ndarray) -> np.ndarray:
    """Samples of a waveform.

    Arguments
    ---------
    clip : torch.Tensor or np.ndarray
        (time,), or with dimensions of one besides.

    Returns
    -------
    np.ndarray
        float32, (time,).

    Raises
    ------
    ValueError
        If it is not mono, no floats, or not finite.
    """
    wave = torch.as_tensor(clip).detach().cpu().squeeze()
    if clip.ndim and not wave.ndim:
        wave = wave[None]  # a single sample
    if wave.ndim != 1 or not wave.is_floating_point():
        raise ValueError(
            f"a waveform is {wave.dtype} of shape {tuple(clip.shape)}, "
            "expected mono samples as floats, (time,)"
        )
    if not wave.isfinite().all():
        raise ValueError("a waveform holds NaN or infinite samples")
    return wave.float().numpy()


def from_flac(audio: bytes, sample_rate: int) -> np.ndarray:
    """Samples of a clip that was kept.

    Arguments
    ---------
    audio : bytes
        A FLAC file.
    sample_rate : int
        Hz, of what is wanted.

    Returns
    -------
    np.ndarray
        float32, (time,).

    Raises
    ------
    ValueError
        If it is none, or holds more than any clip that was kept.
    """
    try:
        with opened_sound(audio) as file:
            rate, size = file.samplerate, file.frames * file.channels
            if not RATES[0] <= rate <= RATES[1] or size > MOST_SAMPLES:
                raise ValueError(
                    f"the audio that was kept tells of {size} samples at "
                    f"{rate} Hz, expected at most {MOST_SAMPLES} at "
                    f"{RATES[0]} to {RATES[1]} Hz"
                )
            sound = file.read(dtype="float32", always_2d=True).mean(axis=1)
    except soundfile.LibsndfileError as error:
        raise ValueError(
            f"the audio that was kept is damaged: {error}"
        ) from error
    if rate == sample_rate:
        return sound
    return soxr.resample(sound, rate, sample_rate)


def _path_text(clip: str | Path) -> str:
    """Absolute path of a file, as a gallery keeps it."""
    path = str(Path(clip).absolute())
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"its path is {path!r}, which a gallery cannot keep: expected "
            "UTF-8, so rename the file or folder"
        ) from error
    return path


def _flac(clip: Clip, rate: int) -> bytes:
    sound = mono_samples(clip) if is_waveform(clip) else decode(clip, rate)
    return sound_bytes(sound.clip(-1, 1), rate, "FLAC")
