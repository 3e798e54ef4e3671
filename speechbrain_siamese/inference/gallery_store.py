"""What a gallery is asked, and how it is changed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType

import numpy as np

from speechbrain_siamese.inference.enrolled import (
    EnrolledClip,
    Person,
    weighted_voice,
)
from speechbrain_siamese.inference.gallery_access import (
    ANY_STATE,
    GalleryAccess,
)
from speechbrain_siamese.inference.gallery_rows import (
    damaged,
    from_blob,
    rows,
    to_blob,
)


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


class GalleryStore(GalleryAccess):
    """A gallery's file: people, clips, voices.

    Example
    -------
    >>> store = GalleryStore(getfixture("tmp_path") / "people.sqlite", "12", 2)
    >>> east = np.array([1.0, 0.0], dtype=np.float32)
    >>> store.add("sita", [EnrolledClip("a1", None, 5.0, 4.0, east)]).clips
    1
    >>> store.people()
    [Person(name='sita', clips=1, seconds=5.0)]
    """

    def state(self) -> int:
        """A number that is another one after each change, by anybody.

        Returns
        -------
        int
        """
        with self._reading() as database:
            return self._state(database)

    def _state(self, database):
        question = "SELECT changes FROM model"
        ((state,),) = rows(database, self.path, (int,), question)
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
                for row in rows(
                    database,
                    self.path,
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
                raise damaged(self.path, f"{count} people have too few bytes")
            voices = np.empty((count, self.dim), dtype=np.float32)
            names = []
            for name, blob in rows(
                database,
                self.path,
                (str, bytes),
                "SELECT name, voice FROM people ORDER BY id",
            ):
                voices[len(names)] = from_blob(blob, self.dim, self.path)
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
                (name, to_blob(voice)),
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
                        to_blob(clip.embedding),
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
            EnrolledClip(
                *row[:4], from_blob(row[4], self.dim, self.path), *row[5:]
            )
            for row in rows(
                database,
                self.path,
                (
                    str,
                    (str, NoneType),
                    float,
                    float,
                    bytes,
                    (bytes, NoneType),
                    float,
                ),
                "SELECT digest, source, seconds, weight, embedding, "
                "CASE WHEN ? THEN audio END, added "
                "FROM clips JOIN people ON person = id WHERE name = ? "
                "ORDER BY clips.rowid",
                with_audio,
                name,
            )
        ]
