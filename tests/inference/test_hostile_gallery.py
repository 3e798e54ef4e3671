"""Galleries of strangers: damaged or programmed, they are refused."""

from __future__ import annotations

import sqlite3
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speechbrain_siamese.inference.enrolled import EnrolledClip
from speechbrain_siamese.inference.gallery_file import GalleryError
from speechbrain_siamese.inference.gallery_store import GalleryStore

pytestmark = pytest.mark.fault(
    "galleries of strangers: damaged, or with code in them",
    "refused",
)

EAST = np.array([1.0, 0.0], dtype=np.float32)


@pytest.fixture
def spoilt(tmp_path):
    """``spoilt(*statements)``: a gallery on which they were run."""

    def spoil(*statements):
        store = GalleryStore(tmp_path / "people.sqlite", "f1", 2)
        store.add("sita", [EnrolledClip("1", "/a.wav", 5.0, 1.0, EAST)])
        with sqlite3.connect(store.path) as database:
            database.execute("PRAGMA writable_schema = ON")
            for statement in statements:
                database.execute(statement)
        database.close()
        return store.path

    return spoil


def use(path):
    """Everything that a gallery does."""
    store = GalleryStore.any_model(path)
    store.voices()
    store.people()
    store.clips("sita", with_audio=True)
    store.add("sita", [EnrolledClip("2", None, 5.0, 1.0, EAST)])


def test_the_same_gallery_unspoilt_is_used(spoilt):
    use(spoilt())


def test_a_gallery_that_is_replaced_while_it_is_open_is_looked_at(spoilt):
    """Before a trigger in it runs, or what a newer version keeps is lost."""
    store = GalleryStore.any_model(spoilt())
    for statement, message in (
        (
            "CREATE TRIGGER gone AFTER INSERT ON people "
            "BEGIN DELETE FROM people; END",
            "it differs in gone",
        ),
        ("PRAGMA user_version = 99", "a gallery of format 99"),
    ):
        with sqlite3.connect(store.path) as database:
            database.execute(statement)
        database.close()
        with pytest.raises(GalleryError, match=message):
            store.add("ram", [EnrolledClip("2", None, 5.0, 1.0, EAST)])
    with sqlite3.connect(store.path) as database:
        names = database.execute("SELECT name FROM people").fetchall()
    assert names == [("sita",)]


@pytest.mark.parametrize(
    "statement, message",
    [
        ("DELETE FROM model", "does not tell its model"),
        ("INSERT INTO model VALUES ('f2', 2, 0)", "does not tell its model"),
        ("UPDATE model SET dim = 1000000000000", "does not tell its model"),
        ("UPDATE model SET dim = 'x'", "does not tell its model"),
        ("UPDATE model SET dim = 50000", "too few bytes"),
        ("UPDATE model SET changes = 'x'", "it holds 'x'"),
        ("UPDATE people SET voice = 'abcdefgh'", "it holds 'abcdefgh'"),
        ("UPDATE people SET voice = x'00'", "an embedding has 1 bytes"),
        ("UPDATE people SET voice = x'0000c07f0000c07f'", "is not finite"),
        ("UPDATE people SET name = x'ff'", "it holds"),
        ("UPDATE people SET name = char(27) || '[2J'", r"\\x1b"),
        ("UPDATE clips SET weight = 9e999", "it holds 'inf'"),
        ("UPDATE clips SET seconds = 'x'", "it holds 'x'"),
        ("UPDATE clips SET audio = 'x'", "it holds 'x'"),
        ("CREATE VIEW v AS SELECT 1", "it differs in v"),
        ("CREATE TABLE t (a)", "it differs in t"),
        (
            "CREATE TRIGGER t AFTER INSERT ON clips BEGIN DELETE FROM people; "
            "END",
            "it differs in t",
        ),
        (
            "UPDATE sqlite_master SET sql = 'CREATE TABLE model (x)' "
            "WHERE name = 'model'",
            "model",
        ),
    ],
)
def test_what_no_gallery_holds_is_refused(spoilt, statement, message):
    path = spoilt(statement)
    with pytest.raises(GalleryError, match=message) as raised:
        use(path)
    assert str(path) in str(raised.value)


def test_a_view_that_counts_for_ever_is_not_asked(spoilt):
    path = spoilt(
        "DROP TABLE model",
        "CREATE VIEW model AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL "
        "SELECT x + 1 FROM c) SELECT 'f1' AS fingerprint, max(x) AS dim, 0 AS "
        "changes FROM c",
    )
    started = time.monotonic()
    for opening in (GalleryStore.any_model, lambda p: GalleryStore(p, "f1", 2)):
        with pytest.raises(GalleryError, match="it differs in model"):
            opening(path)
    assert time.monotonic() - started < 5


@pytest.fixture
def whole(spoilt):
    """Bytes of a gallery that is good."""
    return spoilt().read_bytes()


def test_a_message_of_sqlite_that_is_no_text_is_told(tmp_path, whole):
    path, file = tmp_path / "people.sqlite", bytearray(whole)
    # Inside the table's text, which the error quotes.
    place = file.rindex(b"CREATE TABLE model")
    for byte in (b"TABLE", b"(", b"NOT"):
        found = bytearray(file)
        found[file.index(byte, place)] = 0x80
        path.write_bytes(found)
        with pytest.raises(GalleryError, match=r"people\.sqlite"):
            use(path)


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 40_000), st.integers(0, 255)),
        min_size=1,
        max_size=30,
    )
)
def test_any_changed_bytes_are_used_or_told(tmp_path, whole, changes):
    for old in tmp_path.glob("people.sqlite*"):
        old.unlink()
    path, file = tmp_path / "people.sqlite", bytearray(whole)
    for place, value in changes:
        file[place % len(file)] = value
    path.write_bytes(file)
    try:
        use(path)
    except GalleryError as error:
        assert str(path) in str(error)
