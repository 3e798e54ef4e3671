"""Whose a gallery is, and its transactions.

Every change is one transaction: after a kill at any moment there is all of it
or nothing, and processes that write at the same time wait for each other. A
connection is opened for each call, so that threads and forked processes may
share a gallery.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from speechbrain_siamese.inference.gallery_file import (
    APPLICATION,
    FORMAT,
    TABLES,
    GalleryError,
    check_gallery,
    is_empty,
    model_of,
    opened,
)

#: A state that no gallery was in before: of a counter, two copies of a file
#: that went different ways would have the same. Half of the range of SQLite,
#: as older versions of this package add one.
ANY_STATE = "random() / 2"


class GalleryAccess:
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
    """

    def __init__(self, path: str | Path, fingerprint: str, dim: int):
        self.path = Path(path).absolute()
        self.fingerprint, self.dim = fingerprint, dim
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with opened(self.path) as database:
            # After a kill in the middle of _create(), too.
            missing = is_empty(database)
        if missing:
            self._create()
        # Another process may have made it for another model meanwhile.
        with self._reading():
            pass

    @classmethod
    def any_model(cls, path: str | Path) -> GalleryAccess:
        """Open a gallery, whichever model made it.

        Arguments
        ---------
        path : str or Path

        Returns
        -------
        GalleryAccess
            Of the class that was asked.

        Raises
        ------
        GalleryError
            If the file is missing or no gallery.
        """
        path = Path(path)
        if not path.is_file():
            raise GalleryError(f"{path} is not there: expected a gallery")
        with opened(path) as database:
            if is_empty(database):
                raise GalleryError(
                    f"{path} is empty, expected a gallery: enroll someone first"
                )
            check_gallery(database, path)
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
            check_gallery(database, self.path)
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
