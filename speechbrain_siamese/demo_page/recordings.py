"""Recordings that people give to the page: read, measured, or refused.

What is wrong is told in words for somebody who has no terminal in front of
them: no paths of this machine, no names of errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from speechbrain_siamese.corpus_report.page import clock
from speechbrain_siamese.dataio.decoding import DecodingError, decode_blocks
from speechbrain_siamese.dataio.quality import QualityMeter
from speechbrain_siamese.utils.whole_file import whole_file

#: Megabytes of a file.
MOST_MEGABYTES = 200


@dataclass(frozen=True)
class Limits:
    """How long a recording may be.

    Arguments
    ---------
    purpose : str
        What it is for, as the message says it.
    least, most : float
        Seconds.
    """

    purpose: str
    least: float
    most: float


#: Of what the page asks for.
CLIP = Limits("to compare a voice", 1, 120)
ENROL = Limits("to enrol somebody", 5, 30)
LONG = Limits("to tell who speaks when", 5, 2 * 3600)


@dataclass(frozen=True)
class Recording:
    """A file that somebody gave.

    Arguments
    ---------
    path : Path
        Where it is now.
    name : str
        How it was called where it came from.
    """

    path: Path
    name: str


def blocks_of(
    recording: Recording | None, rate: int, limits: Limits
) -> Iterator[np.ndarray]:
    """Decode a recording, as long as it keeps to the limits.

    Arguments
    ---------
    recording : Recording or None
    rate : int
        Hz of what is wanted.
    limits : Limits

    Yields
    ------
    np.ndarray
        Mono samples, (samples,), float32, finite.

    Raises
    ------
    ValueError
        If there is none, it is too large, too long, too short or silent, or
        holds no sound.
    """
    if recording is None:
        raise ValueError(
            "There is no recording yet: record one or drop a file."
        )
    name, meter, seconds = recording.name, QualityMeter(rate), 0.0
    size = recording.path.stat().st_size
    if size > MOST_MEGABYTES * 1e6:
        raise ValueError(
            f"{name} has {size / 1e6:.0f} MB, at most {MOST_MEGABYTES} can be "
            "taken. Give it as mp3, m4a or ogg, or a part of it."
        )
    try:
        for block in decode_blocks(
            recording.path,
            rate,
            hear_channels=lambda own, _: meter.add_channels(own),
        ):
            block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
            meter.add(block)
            seconds += len(block) / rate
            if seconds > limits.most:
                raise ValueError(
                    f"{name} is longer than {spoken(limits.most)}, which is "
                    f"the most {limits.purpose}. Give a part of it."
                )
            yield block
    except DecodingError as error:
        raise ValueError(
            f"{name} holds no sound that can be read. Give a recording, such "
            "as wav, flac, mp3, m4a, ogg or webm."
        ) from error
    if seconds < limits.least:
        raise ValueError(
            f"{name} is {seconds:.1f} s long, {spoken(limits.least)} are the "
            f"least {limits.purpose}. Give a longer one."
        )
    if not meter.quality().speech:
        raise ValueError(
            f"{name} is silent: there is no voice to know. Is the microphone "
            "the right one, and switched on?"
        )


def sound_of(
    recording: Recording | None, rate: int, limits: Limits
) -> np.ndarray:
    """A recording's samples.

    Arguments
    ---------
    recording, rate, limits
        As for ``blocks_of``.

    Returns
    -------
    np.ndarray
        Mono, (samples,), float32.

    Raises
    ------
    ValueError
        As ``blocks_of`` does.

    Example
    -------
    >>> path = getfixture("tmp_path") / "upload.wav"
    >>> soundfile.write(path, np.sin(np.arange(800)), 16000)
    >>> sound_of(Recording(path, "hello.wav"), 16000, CLIP)
    Traceback (most recent call last):
        ...
    ValueError: hello.wav is 0.1 s long, 1 s are the least to compare a voice...
    """
    return np.concatenate([*blocks_of(recording, rate, limits)])


def playable_copy(
    recording: Recording | None, path: Path, rate: int, limits: Limits
) -> Recording:
    """Copy a recording as FLAC, which all browsers play and find places in.

    Arguments
    ---------
    recording : Recording or None
    path : Path
        Where it goes; appears whole or not at all.
    rate, limits
        As for ``blocks_of``.

    Returns
    -------
    Recording
        Under the same name.

    Raises
    ------
    ValueError
        As ``blocks_of`` does.
    """
    with (
        whole_file(path) as partial,
        soundfile.SoundFile(partial, "w", rate, 1, format="FLAC") as copy,
    ):
        for block in blocks_of(recording, rate, limits):
            copy.write(block.clip(-1, 1))
    return Recording(path, recording.name)


def spoken(seconds: float) -> str:
    """A limit as people say it.

    Arguments
    ---------
    seconds : float

    Returns
    -------
    str

    Example
    -------
    >>> spoken(30), spoken(120), spoken(7200)
    ('30 s', '2 minutes', '2 hours')
    """
    for unit, name in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit and not seconds % unit:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"


@contextmanager
def told_by_name(*recordings: Recording | None) -> Iterator[None]:
    """Put the names of recordings into errors, in place of their paths.

    Arguments
    ---------
    *recordings : Recording or None

    Example
    -------
    >>> with told_by_name(Recording(Path("/x/1f"), "a.wav")):
    ...     raise ValueError("/x/1f: too short")
    Traceback (most recent call last):
        ...
    ValueError: a.wav: too short
    """
    try:
        yield
    except ValueError as error:
        text = str(error)
        for one in recordings:
            if one is not None:
                text = text.replace(str(one.path), one.name)
        raise ValueError(text) from error


def how_long(samples: np.ndarray, rate: int) -> str:
    """Length of a clip, as its caption says it.

    Arguments
    ---------
    samples : np.ndarray
    rate : int
        Hz.

    Returns
    -------
    str

    Example
    -------
    >>> how_long(np.zeros(72000), 16000), how_long(np.zeros(1200000), 16000)
    ('4.5 s', '1:15')
    """
    seconds = len(samples) / rate
    return clock(seconds) if seconds >= 60 else f"{seconds:.1f} s"
