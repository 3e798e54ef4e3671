"""The task of the 2019 design: does a clip hold one voice or two.

Both kinds of clips are two stretches joined in the same way, so that nothing
but the voices tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

#: Seconds over which one stretch fades into the other.
FADE = 0.02

#: Root mean square level of both stretches, full scale is 1.
LEVEL = 0.05

#: Seconds of a window, and between windows, that is encoded.
WINDOW, HOP = 1.0, 0.5


@dataclass(frozen=True)
class JoinedClip:
    """Two stretches of speech, one after the other.

    Arguments
    ---------
    samples : np.ndarray
        float32, (samples,).
    label : int
        0 if one voice speaks, 1 if two do.
    speakers : tuple[str, ...]
        Who speaks, in order.
    join : int
        The sample in the middle of the cross-fade.
    """

    samples: np.ndarray
    label: int
    speakers: tuple[str, ...]
    join: int


def make_clips(
    waves_of_speaker: Mapping[str, Sequence[np.ndarray]],
    sample_rate: int,
    count: int,
    seed: int,
    seconds: float = 4.0,
) -> list[JoinedClip]:
    """Join stretches of speech, half of them of two speakers.

    The join lies anywhere between the first and the last quarter. Both
    stretches are brought to the same level, and cross-faded at equal power.
    One voice comes from two waves of its speaker, or, if there is one only,
    from two places of it that don't overlap. A change of the recording
    conditions is no cue if the waves of a speaker are of several recordings.

    Arguments
    ---------
    waves_of_speaker : Mapping[str, Sequence[np.ndarray]]
        Speech of each speaker without silence, (samples,) each. Waves
        shorter than the longest stretch (three quarters of a clip) are not
        used; speakers are left out who have neither two others nor one
        longer than a clip.
    sample_rate : int
        Hz.
    count : int
        Clips.
    seed : int
        The same seed gives the same clips.
    seconds : float
        Length of a clip.

    Returns
    -------
    list[JoinedClip]
        In random order.

    Raises
    ------
    ValueError
        If fewer than two speakers have enough speech, or if a stretch is
        digital silence.

    Example
    -------
    >>> noise = np.random.default_rng(0).standard_normal((4, 40000))
    >>> waves = {"a": noise[:2], "b": noise[2:]}
    >>> clips = make_clips(waves, 8000, count=2, seed=0)
    >>> sorted((clip.label, len(clip.speakers)) for clip in clips)
    [(0, 1), (1, 2)]
    >>> clips[0].samples.shape
    (32000,)
    """
    length = round(seconds * sample_rate)
    fade = 2 * round(FADE * sample_rate / 2)
    usable = _usable(waves_of_speaker, length, fade)
    if len(usable) < 2:
        raise ValueError(
            f"{len(usable)} of {len(waves_of_speaker)} speakers have enough "
            f"speech for clips of {seconds:g} s, expected at least 2: each "
            f"needs two clips of {0.75 * seconds + FADE:g} s or one of "
            f"{seconds + FADE:g} s; give more speech or shorter clips"
        )
    generator = np.random.default_rng(seed)
    names = sorted(usable)
    clips = []
    for label in generator.permutation(np.arange(count) % 2).tolist():
        chosen = generator.choice(len(names), size=1 + label, replace=False)
        speakers = tuple(names[i] for i in chosen)
        join = int(generator.integers(length // 4, 3 * length // 4 + 1))
        sides = join + fade // 2, length - join + fade // 2
        if label:
            left, right = (
                _stretch(_any_of(usable[name], generator), size, generator)
                for name, size in zip(speakers, sides, strict=True)
            )
        else:
            left, right = _apart(usable[speakers[0]], sides, generator)
        samples = _joined(
            _levelled(left, speakers[0]), _levelled(right, speakers[-1]), fade
        )
        clips.append(JoinedClip(samples, label, speakers, join))
    return clips


def embedding_score(
    encode: Callable[[torch.Tensor], torch.Tensor],
    samples: np.ndarray,
    sample_rate: int,
) -> float:
    """How much a clip sounds like two voices, by speaker embeddings.

    At each split between windows of 1 s, the mean embeddings of what is
    before and behind it are compared; the split that parts them best counts.

    Arguments
    ---------
    encode : Callable
        Embeds waveforms: (windows, time) to (windows, dim).
    samples : np.ndarray
        (samples,)
    sample_rate : int
        Hz.

    Returns
    -------
    float
        Least cosine of both sides, negated: -1 to 1, higher is two voices.

    Raises
    ------
    ValueError
        If the clip is too short for two windows, or an embedding is not
        finite.

    Example
    -------
    >>> def encode(waves):
    ...     return torch.stack([waves.mean(dim=1), torch.ones(3)], dim=1)
    >>> step = np.repeat([1.0, -1.0], 8000)
    >>> round(embedding_score(encode, step, 8000), 3)
    -0.383
    """
    window, hop = round(WINDOW * sample_rate), round(HOP * sample_rate)
    wave = torch.as_tensor(np.asarray(samples, dtype=np.float32))
    if len(wave) < window + hop:
        raise ValueError(
            f"the clip has {len(wave) / sample_rate:g} s, expected at least "
            f"{WINDOW + HOP:g} s, which make two windows: give longer clips"
        )
    with torch.no_grad():
        embeddings = encode(wave.unfold(0, window, hop).contiguous())
    if not embeddings.isfinite().all():
        raise ValueError(
            "an embedding is NaN or infinite: look for a silent file or a "
            "diverged model"
        )
    unit = torch.nn.functional.normalize(embeddings.double(), dim=1)
    # A sum points where the mean does.
    before = unit.cumsum(dim=0)
    cosines = torch.cosine_similarity(before[:-1], before[-1] - before[:-1])
    return -cosines.min().item()


def _usable(
    waves_of_speaker: Mapping[str, Sequence[np.ndarray]], length: int, fade: int
) -> dict[str, list[np.ndarray]]:
    """Waves that hold any stretch, of speakers who have enough of them."""
    longest = length - length // 4 + fade // 2
    usable = {}
    for name, waves in waves_of_speaker.items():
        enough = [wave for wave in waves if len(wave) >= longest]
        if len(enough) > 1 or any(len(w) >= length + fade for w in enough):
            usable[name] = enough
    return usable


def _any_of(
    waves: list[np.ndarray], generator: np.random.Generator
) -> np.ndarray:
    return waves[generator.integers(len(waves))]


def _stretch(
    wave: np.ndarray, size: int, generator: np.random.Generator
) -> np.ndarray:
    start = generator.integers(len(wave) - size + 1)
    return wave[start : start + size]


def _apart(
    waves: list[np.ndarray],
    sides: tuple[int, int],
    generator: np.random.Generator,
) -> list[np.ndarray]:
    """Two stretches of one speaker that share no sample, in any order."""
    if len(waves) > 1:
        chosen = generator.choice(len(waves), size=2, replace=False)
        return [
            _stretch(waves[i], size, generator)
            for i, size in zip(chosen, sides, strict=True)
        ]
    # What both leave over is shared out before, between and behind them;
    # else the right one would always follow the left one closely.
    spare = len(waves[0]) - sum(sides)
    before, until = np.sort(generator.integers(spare + 1, size=2))
    order = generator.permutation(2)
    middle = before + sides[order[0]]
    second = until + sides[order[0]]
    parts = (
        waves[0][before:middle],
        waves[0][second : second + sides[order[1]]],
    )
    return [parts[i] for i in np.argsort(order)]


def _levelled(samples: np.ndarray, speaker: str) -> np.ndarray:
    samples = np.asarray(samples, dtype=np.float64)
    level = np.sqrt(np.mean(samples**2))
    if not level > 0:
        raise ValueError(
            f"a stretch of {len(samples)} samples of {speaker} is digital "
            "silence or NaN, expected speech: drop its silence first"
        )
    return LEVEL / level * samples


def _joined(left: np.ndarray, right: np.ndarray, fade: int) -> np.ndarray:
    """Cross-fade at equal power: different speech doesn't add up in phase."""
    rise = np.sin(0.5 * np.pi * (np.arange(fade) + 0.5) / fade)
    middle = rise[::-1] * left[len(left) - fade :] + rise * right[:fade]
    parts = [left[: len(left) - fade], middle, right[fade:]]
    return np.concatenate(parts).astype(np.float32)
