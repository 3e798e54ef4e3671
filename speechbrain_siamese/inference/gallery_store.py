"""The file of a gallery: SQLite, with embeddings as blobs.

Every change is one transaction: after a kill at any moment there is all of it
or nothing, and processes that write at the same time wait for each other. A
connection is opened for each call, so that threads and forked processes may
share a store.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: Marks SQLite files as galleries: "SIAM" in ASCII.
APPLICATION = 0x5349414D

#: Of the tables below; grows with them.
FORMAT = 1

#: Seconds that a writer waits for the others.
PATIENCE = 60.0

_TABLES = """
CREATE TABLE IF NOT EXISTS model (
    fingerprint TEXT NOT NULL,
    dim INTEGER NOT NULL,
    changes INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS people (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    voice BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS clips (
    person INTEGER NOT NULL REFERENCES people ON DELETE CASCADE,
    digest TEXT NOT NULL,
    source TEXT,
    seconds REAL NOT NULL,
    weight REAL NOT NULL,
    embedding BLOB NOT NULL,
    audio BLOB,
    added REAL NOT NULL,
    PRIMARY KEY (person, digest)
);
"""


class GalleryError(ValueError):
    """A gallery's file cannot be used; the message names it and the reason."""


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
        A FLAC file, where keeping it was asked for.
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
        another model's embeddings.

    Example
    -------
    >>> store = GalleryStore(getfixture("tmp_path") / "people.sqlite", "12", 2)
    >>> east = np.array([1.0, 0.0], dtype=np.float32)
    >>> store.add("sita", [EnrolledClip("a1", None, 5.0, 4.0, east)])
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
        with opened(path) as database:
            try:
                found = database.execute(
                    "SELECT fingerprint, dim FROM model"
                ).fetchone()
            except sqlite3.OperationalError:
                found = None
        # What is missing is told by the check of its kind.
        return cls(path, *(found or ("", 0)))

    def _create(self):
        with self._writing() as database:
            for statement in filter(str.strip, _TABLES.split(";")):
                database.execute(statement)
            if not database.execute("SELECT count(*) FROM model").fetchone()[0]:
                database.execute(
                    "INSERT INTO model VALUES (?, ?, 0)",
                    (self.fingerprint, self.dim),
                )
                # No parameters are taken here; both are our own numbers.
                database.execute(f"PRAGMA application_id = {APPLICATION}")
                database.execute(f"PRAGMA user_version = {FORMAT}")

    def _check(self):
        """Refuse a file that is no gallery of this model."""
        application, version = file_kind(self.path)
        if application != APPLICATION:
            raise GalleryError(
                f"{self.path} is another program's database, not a gallery: "
                "name another file"
            )
        if version > FORMAT:
            raise GalleryError(
                f"{self.path} is a gallery of format {version}, this package "
                f"knows up to {FORMAT}: install a newer one"
            )
        with self._reading() as database:
            found = database.execute(
                "SELECT fingerprint, dim FROM model"
            ).fetchone()
        if found != (self.fingerprint, self.dim):
            raise GalleryError(
                f"{self.path} was made by another model ({found[0]}, "
                f"{found[1]} numbers each; this one is {self.fingerprint}, "
                f"{self.dim}): open it with that model's export, or make a new "
                "one from its clips with re_enroll"
            )

    @contextmanager
    def _open(self, begin: str) -> Iterator[sqlite3.Connection]:
        with opened(self.path) as database:
            database.execute("PRAGMA foreign_keys = ON")
            # What is deleted is overwritten: a voice is personal data.
            database.execute("PRAGMA secure_delete = ON")
            database.execute(begin)
            yield database
            database.execute("COMMIT")

    def _reading(self):
        return self._open("BEGIN")

    def _writing(self):
        # Asking for the lock at once cannot end in a deadlock of two readers.
        return self._open("BEGIN IMMEDIATE")

    def changes(self) -> int:
        """How often the gallery was changed, by anybody.

        Returns
        -------
        int
        """
        with self._reading() as database:
            return database.execute("SELECT changes FROM model").fetchone()[0]

    def people(self) -> list[Person]:
        """Who is enrolled, by name.

        Returns
        -------
        list of Person
        """
        with self._reading() as database:
            return [
                Person(*row)
                for row in database.execute(
                    "SELECT name, count(*), sum(seconds) FROM people JOIN "
                    "clips ON person = id GROUP BY id ORDER BY name"
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
        changes : int
            As ``changes`` gave it then.
        """
        with self._reading() as database:
            changes, count = database.execute(
                "SELECT changes, (SELECT count(*) FROM people) FROM model"
            ).fetchone()
            voices = np.empty((count, self.dim), dtype=np.float32)
            names = []
            for name, voice in database.execute(
                "SELECT name, voice FROM people ORDER BY id"
            ):
                voices[len(names)] = np.frombuffer(voice, dtype="<f4")
                names.append(name)
        return names, voices, changes

    def clips(self, name: str) -> list[EnrolledClip]:
        """The clips of a person, oldest first.

        Arguments
        ---------
        name : str

        Returns
        -------
        list of EnrolledClip
            Empty where nobody has that name.
        """
        with self._reading() as database:
            return _clips_of(database, name)

    def add(self, name: str, clips: Sequence[EnrolledClip]) -> int:
        """Enrol someone, or add clips to someone who is enrolled.

        Arguments
        ---------
        name : str
        clips : Sequence[EnrolledClip]
            Those that the person has already are left out.

        Returns
        -------
        int
            How many were new.
        """
        with self._writing() as database:
            there = _clips_of(database, name)
            known = {clip.digest for clip in there}
            new = {c.digest: c for c in clips if c.digest not in known}
            if not new:
                return 0
            voice = _blob(weighted_voice([*there, *new.values()]))
            database.execute(
                "INSERT INTO people (name, voice) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET voice = excluded.voice",
                (name, voice),
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
            _count_change(database)
        return len(new)

    def remove(self, name: str) -> None:
        """Delete a person with every trace in the file.

        Arguments
        ---------
        name : str

        Raises
        ------
        ValueError
            If nobody has that name.
        """
        with self._writing() as database:
            done = database.execute(
                "DELETE FROM people WHERE name = ?", (name,)
            )
            if not done.rowcount:
                raise self._nobody(name)
            _count_change(database)

    def rename(self, old: str, new: str) -> None:
        """Give a person another name.

        Arguments
        ---------
        old, new : str

        Raises
        ------
        ValueError
            If nobody is called ``old``, or someone is called ``new``.
        """
        with self._writing() as database:
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
            _count_change(database)

    def _nobody(self, name):
        return ValueError(f"nobody called {name!r} is enrolled in {self.path}")


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that is closed, and whose errors name the file.

    Arguments
    ---------
    path : Path

    Yields
    ------
    sqlite3.Connection
        Without a transaction of its own.

    Raises
    ------
    GalleryError
        If SQLite cannot use the file.
    """
    database = None
    try:
        database = sqlite3.connect(path, PATIENCE, isolation_level=None)
        yield database
    except sqlite3.Error as error:
        raise GalleryError(
            f"{path} cannot be used as a gallery: {error}"
        ) from error
    finally:
        if database is not None:
            # A transaction that was not committed is rolled back.
            database.close()


def file_kind(path: Path) -> tuple[int, int]:
    """What an SQLite file says that it is.

    Arguments
    ---------
    path : Path

    Returns
    -------
    application : int
        ``APPLICATION`` for a gallery.
    version : int
        Of its tables, see ``FORMAT``.

    Raises
    ------
    GalleryError
        If it is no SQLite file.
    """
    with opened(path) as database:
        return tuple(
            database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version")
        )


def _count_change(database):
    database.execute("UPDATE model SET changes = changes + 1")


def _clips_of(database, name):
    return [
        EnrolledClip(
            *row[:4], np.frombuffer(row[4], dtype="<f4").copy(), row[5]
        )
        for row in database.execute(
            "SELECT digest, source, seconds, weight, embedding, audio FROM "
            "clips JOIN people ON person = id WHERE name = ? "
            "ORDER BY clips.rowid",
            (name,),
        )
    ]


def _blob(vector):
    return vector.astype("<f4", copy=False).tobytes()
