"""Recordings with known changes: turns of several speakers, joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

#: Seconds of a turn.
SHORTEST, LONGEST = 2.0, 10.0


def joined_turns(
    stretches: Mapping[str, Sequence[int]],
    read: Callable[[str, int, int, int], np.ndarray],
    seconds: float,
    sample_rate: int,
    seed: int,
) -> tuple[np.ndarray, list[tuple[float, float, str]]]:
    """Join parts of stretches of changing speakers, without overlap.

    Arguments
    ---------
    stretches : Mapping of str : Sequence of int
        Samples of each speaker's stretches; those below ``SHORTEST`` make no
        turn.
    read : Callable
        Called with speaker, number of the stretch, first sample and the one
        behind the last; gives the samples, (time,).
    seconds : float
        Of the recording, or a turn more.
    sample_rate : int
        Hz.
    seed : int
        The same seed gives the same turns.

    Returns
    -------
    samples : np.ndarray
        (time,), float32.
    turns : list of (float, float, str)
        Start and end in seconds, and the speaker; neighbours are different.

    Raises
    ------
    ValueError
        If fewer than two speakers have a stretch that is long enough.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> samples, turns = joined_turns(
    ...     {"a": [80000], "b": [40000, 90000]},
    ...     lambda speaker, number, start, stop: rng.normal(size=stop - start),
    ...     seconds=20,
    ...     sample_rate=8000,
    ...     seed=0,
    ... )
    >>> sorted({speaker for _, _, speaker in turns})
    ['a', 'b']
    """
    least, most = (round(own * sample_rate) for own in (SHORTEST, LONGEST))
    usable = {
        speaker: [n for n, length in enumerate(own) if length >= least]
        for speaker, own in sorted(stretches.items())
    }
    speakers = [speaker for speaker, own in usable.items() if own]
    if len(speakers) < 2:
        raise ValueError(
            f"{len(speakers)} speakers have a stretch of {SHORTEST:g} s or "
            "more, expected two at least to join turns of them"
        )
    generator = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    turns: list[tuple[float, float, str]] = []
    at = 0
    while at < seconds * sample_rate:
        others = [own for own in speakers if not turns or own != turns[-1][2]]
        speaker = others[generator.integers(len(others))]
        number = usable[speaker][generator.integers(len(usable[speaker]))]
        whole = stretches[speaker][number]
        length = min(int(generator.integers(least, most + 1)), whole)
        start = int(generator.integers(whole - length + 1))
        parts.append(read(speaker, number, start, start + length))
        turns.append((at / sample_rate, (at + length) / sample_rate, speaker))
        at += length
    return np.concatenate(parts).astype(np.float32), turns
