"""The file of a gallery: SQLite, with embeddings as blobs.

Every change is one transaction: after a kill at any moment there is all of it
or nothing, and processes that write at the same time wait for each other. A
connection is opened for each call, so that threads and forked processes may
share a store.
"""

from __future__ import annotations

import math
import re
import sqlite3
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import NoneType

import numpy as np

from speechbrain_siamese.inference.gallery_file import (
    APPLICATION,
    FORMAT,
    TABLES,
    GalleryError,
    check_gallery,
    model_of,
    opened,
)

#: Letters of a name.
LONGEST_NAME = 200

#: A state that no gallery was in before: of a counter, two copies of a file
#: that went different ways would have the same. Half of the range of SQLite,
#: as older versions of this package add one.
ANY_STATE = "random() / 2"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


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
        (dim,), float32, of length 1.
    audio : bytes or None
        A FLAC file, where it was kept and is asked for.
    """

    digest: str
    source: str | None
    seconds: float
    weight: float
    embedding: np.ndarray
    audio: bytes | None = None


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


@dataclass(frozen=True)
class Change:
    """What became of a gallery's file by one call.

    Arguments
    ---------
    before, after : int
        Its state; equal where nothing was changed.
    clips : int
        How many were new.
    voice : np.ndarray or None
        Of the person who has new clips, by now, (dim,).
    """

    before: int
    after: int
    clips: int = 0
    voice: np.ndarray | None = None


def weighted_voice(clips: Sequence[EnrolledClip]) -> np.ndarray:
    """Mean direction of a person's clips.

    Arguments
    ---------
    clips : Sequence[EnrolledClip]
        At least one.

    Returns
    -------
    np.ndarray
        (dim,), float32, of length 1.

    Example
    -------
    >>> east, north = np.eye(2, dtype=np.float32)
    >>> clips = [
    ...     EnrolledClip("1", None, 9.0, 3.0, east),
    ...     EnrolledClip("2", None, 9.0, 4.0, north),
    ... ]
    >>> weighted_voice(clips)
    array([0.6, 0.8], dtype=float32)
    """
    total = sum(clip.weight * clip.embedding.astype(float) for clip in clips)
    return (total / max(np.linalg.norm(total), 1e-12)).astype(np.float32)


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
        If it is empty, too long, or holds control characters.

    Example
    -------
    >>> checked_name(" सीता ")
    'सीता'
    """
    if not isinstance(name, str):
        raise ValueError(f"a name is {name!r}, expected text")
    name = unicodedata.normalize("NFC", name).strip()
    # Formatting characters (Cf) are part of many scripts.
    bad = any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)
    if not 0 < len(name) <= LONGEST_NAME or bad:
        raise ValueError(
            f"a name is {name[:50]!r}, expected 1 to {LONGEST_NAME} letters "
            "without control characters"
        )
    return name


class GalleryStore:
    """Open a gallery's file, or make it.

    Arguments
    ---------
    path : str or Path
        The file; its folder is made.
    fingerprint : str
        Of the model whose embeddings it holds.
    dim : int
        Size of an embedding.

    Raises
    ------
    GalleryError
        If the file is no gallery, damaged, newer than this package, or holds
        another model's embeddings; of each method, too, as somebody may
        replace the file.

    Example
    -------
    >>> store = GalleryStore(getfixture("tmp_path") / "people.sqlite", "12", 2)
    >>> east = np.array([1.0, 0.0], dtype=np.float32)
    >>> store.add("sita", [EnrolledClip("a1", None, 5.0, 4.0, east)]).clips
    1
    >>> store.people()
    [Person(name='sita', clips=1, seconds=5.0)]
    """

    def __init__(self, path: str | Path, fingerprint: str, dim: int):
        self.path = Path(path).absolute()
        self.fingerprint, self.dim = fingerprint, dim
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.is_file() and self.path.stat().st_size:
            self._check()
        else:
            self._create()
            # Another process may have made it for another model meanwhile.
            self._check()

    @classmethod
    def any_model(cls, path: str | Path) -> GalleryStore:
        """Open a gallery, whichever model made it.

        Arguments
        ---------
        path : str or Path

        Returns
        -------
        GalleryStore

        Raises
        ------
        GalleryError
            If the file is missing or no gallery.
        """
        path = Path(path)
        if not path.is_file():
            raise GalleryError(f"{path} is not there: expected a gallery")
        check_gallery(path)
        with opened(path) as database:
            found = model_of(database, path)
        return cls(path, *found)

    def _create(self):
        with self._open("BEGIN IMMEDIATE") as database:
            for statement in filter(str.strip, TABLES.split(";")):
                database.execute(statement)
            if not database.execute("SELECT count(*) FROM model").fetchone()[0]:
                database.execute(
                    f"INSERT INTO model VALUES (?, ?, {ANY_STATE})",
                    (self.fingerprint, self.dim),
                )
                # No parameters are taken here; both are our own numbers.
                database.execute(f"PRAGMA application_id = {APPLICATION}")
                database.execute(f"PRAGMA user_version = {FORMAT}")

    def _check(self):
        """Refuse a file that is no gallery of this model."""
        check_gallery(self.path)
        with self._reading():
            pass

    @contextmanager
    def _open(self, begin: str) -> Iterator[sqlite3.Connection]:
        with opened(self.path) as database:
            database.execute("PRAGMA foreign_keys = ON")
            # What is deleted is overwritten: a voice is personal data.
            database.execute("PRAGMA secure_delete = ON")
            database.execute(begin)
            yield database
            database.execute("COMMIT")

    @contextmanager
    def _open_ours(self, begin: str) -> Iterator[sqlite3.Connection]:
        """The same of this model: the file may be replaced at any time."""
        with self._open(begin) as database:
            found = model_of(database, self.path)
            if found != (self.fingerprint, self.dim):
                raise GalleryError(
                    f"{self.path} was made by another model ({found[0]}, "
                    f"{found[1]} numbers each; this one is "
                    f"{self.fingerprint}, {self.dim}): open it with that "
                    "model's export, or make a new one from its clips with "
                    "re_enroll"
                )
            yield database

    def _reading(self):
        return self._open_ours("BEGIN")

    def _writing(self):
        # Asking for the lock at once cannot end in a deadlock of two readers.
        return self._open_ours("BEGIN IMMEDIATE")

    def state(self) -> int:
        """A number that is another one after each change, by anybody.

        Returns
        -------
        int
        """
        with self._reading() as database:
            return self._state(database)

    def _state(self, database):
        ((state,),) = self._rows(database, (int,), "SELECT changes FROM model")
        return state

    def people(self) -> list[Person]:
        """Who is enrolled, by name.

        Returns
        -------
        list of Person
        """
        with self._reading() as database:
            return [
                Person(*row)
                for row in self._rows(
                    database,
                    (str, int, float),
                    "SELECT name, count(*), sum(seconds) FROM people JOIN "
                    "clips ON person = id GROUP BY id ORDER BY name",
                )
            ]

    def voices(self) -> tuple[list[str], np.ndarray, int]:
        """Everybody's voice.

        Returns
        -------
        names : list of str
            In the order of the rows.
        voices : np.ndarray
            (people, dim), float32, of length 1 each.
        state : int
            As ``state`` gave it then.
        """
        with self._reading() as database:
            (count,) = database.execute(
                "SELECT count(*) FROM people"
            ).fetchone()
            state = self._state(database)
            if 4 * count * self.dim > self.path.stat().st_size:
                raise self._damaged(f"{count} people have too few bytes")
            voices = np.empty((count, self.dim), dtype=np.float32)
            names = []
            for name, voice in self._rows(
                database,
                (str, bytes),
                "SELECT name, voice FROM people ORDER BY id",
            ):
                voices[len(names)] = self._vector(voice)
                names.append(name)
        return names, voices, state

    def clips(self, name: str, with_audio: bool = False) -> list[EnrolledClip]:
        """The clips of a person, oldest first.

        Arguments
        ---------
        name : str
        with_audio : bool
            Read also the audio that was kept, which may be much.

        Returns
        -------
        list of EnrolledClip
            Empty where nobody has that name.
        """
        with self._reading() as database:
            return self._clips_of(database, name, with_audio)

    def add(self, name: str, clips: Sequence[EnrolledClip]) -> Change:
        """Enrol someone, or add clips to someone who is enrolled.

        Arguments
        ---------
        name : str
        clips : Sequence[EnrolledClip]
            Of those that the person has already, only a new path and audio
            are taken.

        Returns
        -------
        Change
        """
        with self._writing() as database:
            there = self._clips_of(database, name)
            known = {clip.digest for clip in there}
            new = {c.digest: c for c in clips if c.digest not in known}
            database.executemany(
                "UPDATE clips SET source = coalesce(?, source), "
                "audio = coalesce(?, audio) WHERE digest = ? "
                "AND person = (SELECT id FROM people WHERE name = ?)",
                [
                    (clip.source, clip.audio, clip.digest, name)
                    for clip in clips
                    if clip.digest in known
                ],
            )
            before = self._state(database)
            if not new:
                return Change(before, before)
            voice = weighted_voice([*there, *new.values()])
            database.execute(
                "INSERT INTO people (name, voice) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET voice = excluded.voice",
                (name, _blob(voice)),
            )
            (person,) = database.execute(
                "SELECT id FROM people WHERE name = ?", (name,)
            ).fetchone()
            database.executemany(
                "INSERT INTO clips VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        person,
                        clip.digest,
                        clip.source,
                        clip.seconds,
                        clip.weight,
                        _blob(clip.embedding),
                        clip.audio,
                        time.time(),
                    )
                    for clip in new.values()
                ],
            )
            after = self._changed(database)
        return Change(before, after, len(new), voice)

    def remove(self, name: str) -> Change:
        """Delete a person with every trace in the file.

        Arguments
        ---------
        name : str

        Returns
        -------
        Change

        Raises
        ------
        ValueError
            If nobody has that name.
        """
        with self._writing() as database:
            before = self._state(database)
            done = database.execute(
                "DELETE FROM people WHERE name = ?", (name,)
            )
            if not done.rowcount:
                raise self._nobody(name)
            after = self._changed(database)
        return Change(before, after)

    def rename(self, old: str, new: str) -> Change:
        """Give a person another name.

        Arguments
        ---------
        old, new : str

        Returns
        -------
        Change

        Raises
        ------
        ValueError
            If nobody is called ``old``, or someone is called ``new``.
        """
        with self._writing() as database:
            before = self._state(database)
            try:
                done = database.execute(
                    "UPDATE people SET name = ? WHERE name = ?", (new, old)
                )
            except sqlite3.IntegrityError as error:
                raise ValueError(
                    f"{new!r} is enrolled already: remove one of them, or "
                    "choose another name"
                ) from error
            if not done.rowcount:
                raise self._nobody(old)
            after = self._changed(database)
        return Change(before, after)

    def _changed(self, database):
        database.execute(f"UPDATE model SET changes = {ANY_STATE}")
        return self._state(database)

    def _nobody(self, name):
        return ValueError(f"nobody called {name!r} is enrolled in {self.path}")

    def _clips_of(self, database, name, with_audio=False):
        return [
            EnrolledClip(*row[:4], self._vector(row[4]), row[5])
            for row in self._rows(
                database,
                (str, (str, NoneType), float, float, bytes, (bytes, NoneType)),
                "SELECT digest, source, seconds, weight, embedding, "
                "CASE WHEN ? THEN audio END "
                "FROM clips JOIN people ON person = id WHERE name = ? "
                "ORDER BY clips.rowid",
                with_audio,
                name,
            )
        ]

    def _rows(self, database, types, question, *values):
        """Rows of a question: SQLite lets a column hold any type."""
        for row in database.execute(question, values):
            for cell, expected in zip(row, types, strict=True):
                bad = isinstance(cell, float) and not math.isfinite(cell)
                if bad or not isinstance(cell, expected):
                    raise self._damaged(f"it holds {str(cell)[:50]!r}")
            # A name that is told in a terminal must not command it.
            if isinstance(row[0], str) and _CONTROL.search(row[0]):
                raise self._damaged(f"it holds {row[0][:50]!r}")
            yield row

    def _vector(self, blob: bytes) -> np.ndarray:
        """An embedding as it is stored, (dim,)."""
        if len(blob) != 4 * self.dim:
            raise self._damaged(f"an embedding has {len(blob)} bytes")
        vector = np.frombuffer(blob, dtype="<f4").copy()
        if not np.isfinite(vector).all():
            raise self._damaged("an embedding is not finite")
        return vector

    def _damaged(self, reason):
        return GalleryError(
            f"{self.path} is damaged ({reason}): take an earlier copy, or make "
            "a new one"
        )


def _blob(vector):
    return vector.astype("<f4", copy=False).tobytes()
