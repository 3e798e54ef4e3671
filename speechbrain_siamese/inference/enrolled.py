"""Who is enrolled: people, their clips, and their voices."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Letters of a name.
LONGEST_NAME = 200


@dataclass(frozen=True)
class EnrolledClip:
    """One clip of a person.

    Arguments
    ---------
    digest : str
        Of its samples: the same clip counts once.
    source : str or None
        Absolute path of its file; None for a waveform.
    seconds : float
        Of the clip.
    weight : float
        What it counts in the person's mean.
    embedding : np.ndarray
        (dim,), float32; as ``encode_voices`` gives it.
    audio : bytes or None
        A FLAC file, where it was kept and is asked for.
    added : float or None
        When it was enrolled, in seconds since 1970; None before.
    """

    digest: str
    source: str | None
    seconds: float
    weight: float
    embedding: np.ndarray
    audio: bytes | None = None
    added: float | None = None


@dataclass(frozen=True)
class Person:
    """Someone who is enrolled.

    Arguments
    ---------
    name : str
    clips : int
        How many the voice is the mean of.
    seconds : float
        Of all clips.
    """

    name: str
    clips: int
    seconds: float


def weighted_voice(clips: Sequence[EnrolledClip]) -> np.ndarray:
    """Weighted mean of a person's clips.

    Arguments
    ---------
    clips : Sequence[EnrolledClip]
        At least one.

    Returns
    -------
    np.ndarray
        (dim,), float32.

    Example
    -------
    >>> east, north = np.eye(2, dtype=np.float32)
    >>> clips = [
    ...     EnrolledClip("1", None, 9.0, 3.0, east),
    ...     EnrolledClip("2", None, 9.0, 4.0, north),
    ... ]
    >>> weighted_voice(clips)
    array([0.42857143, 0.5714286 ], dtype=float32)
    """
    return np.average(
        [clip.embedding for clip in clips],
        axis=0,
        weights=[clip.weight for clip in clips],
    ).astype(np.float32)


def checked_name(name: str) -> str:
    """A person's name as it is stored.

    Arguments
    ---------
    name : str

    Returns
    -------
    str
        Normalised (NFC), without space at its ends.

    Raises
    ------
    ValueError
        If it is empty, too long, or holds control characters or separators of
        lines.

    Example
    -------
    >>> checked_name(" सीता ")
    'सीता'
    """
    if not isinstance(name, str):
        raise ValueError(f"a name is {name!r}, expected text")
    name = unicodedata.normalize("NFC", name).strip()
    # Formatting characters (Cf) are part of many scripts.
    # Separators of lines (Zl, Zp) would break what is read line by line.
    bad = {*map(unicodedata.category, name)} & {"Cc", "Cs", "Zl", "Zp"}
    if not 0 < len(name) <= LONGEST_NAME or bad:
        raise ValueError(
            f"a name is {name[:50]!r}, expected 1 to {LONGEST_NAME} letters "
            "without control characters"
        )
    return name


def looked_up_name(name: str) -> str:
    """A person's name as it is looked for among those that are stored.

    Earlier versions took names that no longer can be given: who has one can
    still be renamed and removed.

    Arguments
    ---------
    name : str

    Returns
    -------
    str
        As ``checked_name`` gives it; as it is where that refuses it.

    Example
    -------
    >>> looked_up_name(" sita "), len(looked_up_name("x" * 300))
    ('sita', 300)
    """
    try:
        return checked_name(name)
    except ValueError:
        return str(name)
