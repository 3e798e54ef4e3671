"""Sound files in memory that Ctrl-C cannot damage.

soundfile writes to and reads from a ``BytesIO`` by callbacks out of C, in
which Python prints exceptions and forgets them. A ``KeyboardInterrupt`` that
arrives there leaves half of the sound, and the command goes on with it. A file
without a name is read and written by its number, without callbacks.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soundfile


def sound_bytes(
    samples: np.ndarray, sample_rate: int, kind: str, **options
) -> bytes:
    """Encode sound.

    Arguments
    ---------
    samples : np.ndarray
        (samples,), full scale 1.
    sample_rate : int
        Hz.
    kind : str
        As soundfile calls formats: ``FLAC``, ``MP3``.
    **options
        As for ``soundfile.write``.

    Returns
    -------
    bytes
        What a file would hold.

    Example
    -------
    >>> sound_bytes(np.zeros(100), 16000, "FLAC")[:4]
    b'fLaC'
    """
    with tempfile.TemporaryFile() as file:
        # soundfile closes the number that it is given.
        soundfile.write(
            os.dup(file.fileno()), samples, sample_rate, format=kind, **options
        )
        file.seek(0)
        return file.read()


@contextmanager
def opened_sound(sound: bytes) -> Iterator[soundfile.SoundFile]:
    """Open what ``sound_bytes`` made.

    Arguments
    ---------
    sound : bytes

    Yields
    ------
    soundfile.SoundFile
        To read from.

    Raises
    ------
    soundfile.LibsndfileError
        If it is no sound.

    Example
    -------
    >>> with opened_sound(sound_bytes(np.zeros(2), 16000, "FLAC")) as file:
    ...     file.read(), file.samplerate
    (array([0., 0.]), 16000)
    """
    with tempfile.TemporaryFile() as file:
        file.write(sound)
        file.seek(0)
        with soundfile.SoundFile(os.dup(file.fileno())) as opened:
            yield opened
