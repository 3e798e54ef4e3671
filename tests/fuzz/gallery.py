"""Fuzz target: a gallery whose bytes or contents somebody changed."""

from __future__ import annotations

import functools
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

import numpy as np

from speechbrain_siamese.inference.enrolled import EnrolledClip
from speechbrain_siamese.inference.gallery_store import GalleryStore

#: What may not run while a gallery is spoilt by statements: it is the
#: harness that would write other files, not the package.
FORBIDDEN = (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH)


def ask(data: bytes, folder: Path) -> None:
    """Spoil a good gallery, then use it in every way that there is.

    The first byte tells how: 0 statements run on it, 1 the bytes are the
    file, others change bytes (two tell where, the third what).
    """
    path = folder / "people.sqlite"
    for old in folder.glob("people.sqlite*"):
        old.unlink()
    how, rest = (data[0] if data else 2), data[1:]
    if how == 1:
        path.write_bytes(rest)
    else:
        path.write_bytes(good_gallery() if how == 0 else _changed(rest))
    if how == 0:
        _run(path, rest.decode("utf-8", "replace").replace("\0", " "))
    with suppress(ValueError):
        store = GalleryStore.any_model(path)
        with suppress(ValueError):
            _use(store)
        with suppress(ValueError):
            _use(GalleryStore(path, "f1", 2))


def _use(store):
    with suppress(ValueError):
        _, voices, _ = store.voices()
        assert np.isfinite(voices).all()
    for person in store.people():
        with suppress(ValueError):
            store.clips(person.name, with_audio=True)
        with suppress(ValueError):
            store.add(person.name, [_clip(store.dim)])
        with suppress(ValueError):
            store.rename(person.name, "another")
            store.remove("another")
    store.state()


def _clip(dim):
    embedding = np.ones(dim, dtype=np.float32) / np.sqrt(dim)
    return EnrolledClip("ff", None, 1.0, 1.0, embedding.astype(np.float32))


def _changed(data):
    file = bytearray(good_gallery())
    for place in range(0, len(data) - 2, 3):
        where = int.from_bytes(data[place : place + 2], "little") % len(file)
        file[where] = data[place + 2]
    return bytes(file)


def _run(path, statements):
    with closing(sqlite3.connect(path)) as database:
        database.set_authorizer(
            lambda action, *_: (
                sqlite3.SQLITE_DENY
                if action in FORBIDDEN
                else sqlite3.SQLITE_OK
            )
        )
        # Statements may go on for ever.
        database.set_progress_handler(lambda: 1, 100_000)
        with suppress(sqlite3.Error, sqlite3.Warning):
            database.execute("PRAGMA writable_schema = ON")
            database.executescript(statements)
            database.commit()


@functools.cache
def good_gallery() -> bytes:
    """Bytes of a gallery with two people."""
    with tempfile.TemporaryDirectory() as folder:
        store = GalleryStore(Path(folder) / "good.sqlite", "f1", 2)
        for name in ("anna", "sita"):
            store.add(name, [_clip(2)])
        return store.path.read_bytes()
