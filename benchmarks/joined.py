"""Recordings of turns, joined from clips, for the benchmarks of who speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from speechbrain_siamese.dataio.cleaning import (
    CleaningSettings,
    StepSums,
    voiced_stretches,
)
from speechbrain_siamese.dataio.decoding import decode
from speechbrain_siamese.dataio.turns import LONGEST, SHORTEST, joined_turns

Turns = list[tuple[float, float, str]]


def unseen_people(data: Path) -> list[str]:
    """Those who never train."""
    return (data / "protocol" / "unseen_speakers.txt").read_text().split()


def heard_people(data: Path) -> list[str]:
    """The other speakers in ``clips/``."""
    everybody = [path.name for path in (data / "clips").iterdir()]
    folders = [one for one in everybody if (data / "clips" / one).is_dir()]
    return sorted(set(folders) - set(unseen_people(data)))


def clip_paths(data: Path, speaker: str) -> list[Path]:
    """A speaker's clips, by name."""
    return sorted((data / "clips" / speaker).iterdir())


def trimmed(path: Path, rate: int) -> np.ndarray:
    """A clip without the silence at its ends, but for 0.1 s."""
    sound = decode(path, rate)
    settings = CleaningSettings(sample_rate=rate)
    sums = StepSums(settings.seek_samples)
    sums.add(sound)
    found = voiced_stretches(sums.whole(), len(sound), settings)
    return sound[found[0][0] : found[-1][1]] if found else sound[:0]


def clip_a_turn(
    clips: Mapping[str, Sequence[np.ndarray]],
    seconds: float,
    rate: int,
    seed: int,
) -> tuple[np.ndarray, Turns]:
    """Turns of 2 to 10 s, each a part of one clip."""
    return joined_turns(
        {name: [len(clip) for clip in own] for name, own in clips.items()},
        lambda name, number, start, stop: clips[name][number][start:stop],
        seconds,
        rate,
        seed,
    )


def clips_a_turn(
    clips: Mapping[str, Sequence[np.ndarray]],
    seconds: float,
    rate: int,
    seed: int,
) -> tuple[np.ndarray, Turns]:
    """Turns of 2 to 10 s, each of as many clips of one person as that takes.

    A new clip may be of another day or room: who takes that for another
    speaker finds changes that are none.
    """
    generator = np.random.default_rng(seed)
    least, most = round(SHORTEST * rate), round(LONGEST * rate)
    parts: list[np.ndarray] = []
    turns: Turns = []
    at = 0
    while at < seconds * rate:
        others = [name for name in clips if not turns or name != turns[-1][2]]
        speaker = others[generator.integers(len(others))]
        length, turn = int(generator.integers(least, most + 1)), []
        for number in generator.permutation(len(clips[speaker])):
            turn.append(clips[speaker][number])
            if sum(map(len, turn)) >= length:
                break
        sound = np.concatenate(turn)[:length]
        parts.append(sound)
        turns.append((at / rate, (at + len(sound)) / rate, speaker))
        at += len(sound)
    return np.concatenate(parts).astype(np.float32), turns
