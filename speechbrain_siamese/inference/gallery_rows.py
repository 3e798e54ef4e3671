"""What is read from a gallery's tables, and checked.

SQLite lets a column hold any type, and the file may be a stranger's.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from speechbrain_siamese.inference.gallery_file import GalleryError

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def rows(
    database: sqlite3.Connection,
    path: Path,
    types: tuple,
    question: str,
    *values: object,
) -> Iterator[tuple]:
    """Rows of a question, whose cells have these types.

    Arguments
    ---------
    database : sqlite3.Connection
    path : Path
        The gallery's file, for the error.
    types : tuple
        A type of each cell, or a tuple of several; floats are finite.
    question : str
        In SQL.
    *values
        Of its parameters.

    Yields
    ------
    tuple

    Raises
    ------
    GalleryError
        If a cell is another one.
    """
    for row in database.execute(question, values):
        for cell, expected in zip(row, types, strict=True):
            bad = isinstance(cell, float) and not math.isfinite(cell)
            if bad or not isinstance(cell, expected):
                raise damaged(path, f"it holds {str(cell)[:50]!r}")
        # A name that is told in a terminal must not command it.
        if isinstance(row[0], str) and _CONTROL.search(row[0]):
            raise damaged(path, f"it holds {row[0][:50]!r}")
        yield row


def from_blob(blob: bytes, dim: int, path: Path) -> np.ndarray:
    """An embedding as it is stored.

    Arguments
    ---------
    blob : bytes
    dim : int
        Numbers that are expected.
    path : Path
        The gallery's file, for the error.

    Returns
    -------
    np.ndarray
        (dim,), float32.

    Raises
    ------
    GalleryError
        If it has another size, or is not finite.
    """
    if len(blob) != 4 * dim:
        raise damaged(path, f"an embedding has {len(blob)} bytes")
    vector = np.frombuffer(blob, dtype="<f4").copy()
    if not np.isfinite(vector).all():
        raise damaged(path, "an embedding is not finite")
    return vector


def to_blob(vector: np.ndarray) -> bytes:
    """An embedding, (dim,), as ``from_blob`` takes it.

    Arguments
    ---------
    vector : np.ndarray

    Returns
    -------
    bytes

    Example
    -------
    >>> from_blob(to_blob(np.array([0.6, 0.8])), 2, Path("people.sqlite"))
    array([0.6, 0.8], dtype=float32)
    """
    return vector.astype("<f4", copy=False).tobytes()


def damaged(path: Path, reason: str) -> GalleryError:
    """The error that tells so.

    Arguments
    ---------
    path : Path
    reason : str

    Returns
    -------
    GalleryError
    """
    return GalleryError(
        f"{path} is damaged ({reason}): take an earlier copy, or make a new one"
    )
