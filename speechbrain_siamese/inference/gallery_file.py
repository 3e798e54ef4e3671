"""What a gallery's file is, and what is refused as one.

The file may come from somebody else: a damaged one is told, and one that holds
more than tables, such as a view, which runs when it is asked, is not opened.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

#: Marks SQLite files as galleries: "SIAM" in ASCII.
APPLICATION = 0x5349414D

#: Of the tables below; grows with them.
FORMAT = 1

#: Seconds that a writer waits for the others.
PATIENCE = 60.0

TABLES = """
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


#: Numbers of an embedding: more than any encoder gives.
MOST_NUMBERS = 100_000


class GalleryError(ValueError):
    """A gallery's file cannot be used; the message names it and the reason."""


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
        # What stands in a file of somebody else's is not trusted.
        database.execute("PRAGMA trusted_schema = OFF")
        database.execute("PRAGMA cell_size_check = ON")
        yield database
    except (sqlite3.Error, UnicodeDecodeError) as error:
        # Its messages quote the file, which need not be text.
        raise GalleryError(
            f"{path} cannot be used as a gallery: {error}"
        ) from error
    finally:
        if database is not None:
            # A transaction that was not committed is rolled back.
            database.close()


def is_empty(database: sqlite3.Connection) -> bool:
    """Whether nothing is in a file, not even a half that SQLite takes back.

    Arguments
    ---------
    database : sqlite3.Connection

    Returns
    -------
    bool
    """
    return _told(database, "page_count") == 0


def check_gallery(database: sqlite3.Connection, path: str | Path) -> None:
    """Refuse a file that is no gallery, or has more in it than galleries have.

    A view or a trigger is a program that runs when a table is asked.

    Arguments
    ---------
    database : sqlite3.Connection
    path : str or Path
        Its file, for the error.

    Raises
    ------
    GalleryError
        If it is no gallery, or a newer one.
    """
    application = _told(database, "application_id")
    version = _told(database, "user_version")
    if application != APPLICATION:
        raise GalleryError(
            f"{path} is another program's database, not a gallery: name "
            "another file"
        )
    if version > FORMAT:
        raise GalleryError(
            f"{path} is a gallery of format {version}, this package knows up "
            f"to {FORMAT}: install a newer one"
        )
    found, expected = _schema(database), _own_schema()
    if found != expected:
        differ = sorted(name for _, name, _ in {*found} ^ {*expected})
        raise GalleryError(
            f"{path} is no gallery as we make them, it differs in "
            f"{', '.join(differ)[:200]}: name another file"
        )


@functools.cache
def _own_schema():
    """As ``_schema``, of a gallery as we make it."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(TABLES)
        return _schema(database)


def _told(database, name):
    """A number that an SQLite file tells of itself."""
    return database.execute(f"PRAGMA {name}").fetchone()[0]


def _schema(database):
    """What a file consists of, and how each part was made."""
    return database.execute(
        "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
    ).fetchall()


def model_of(database: sqlite3.Connection, path: str | Path) -> tuple[str, int]:
    """The model whose embeddings a gallery holds.

    Arguments
    ---------
    database : sqlite3.Connection
    path : str or Path
        Its file, for the error.

    Returns
    -------
    fingerprint : str
    dim : int
        Numbers of an embedding.

    Raises
    ------
    GalleryError
        If it does not tell.
    """
    rows = database.execute("SELECT fingerprint, dim FROM model").fetchmany(2)
    if (
        len(rows) != 1
        or not isinstance(rows[0][0], str)
        or not isinstance(rows[0][1], int)
        or not 0 < rows[0][1] <= MOST_NUMBERS
    ):
        raise GalleryError(
            f"{path} is damaged: it does not tell its model. Take an earlier "
            "copy, or make a new one"
        )
    return rows[0]
