"""A gallery's file: whole after every call, and nothing left of the deleted."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest

from speechbrain_siamese.inference.enrolled import EnrolledClip, Person
from speechbrain_siamese.inference.gallery_file import GalleryError
from speechbrain_siamese.inference.gallery_store import GalleryStore

EAST, NORTH = np.eye(2, dtype=np.float32)


def clip(digest, embedding=EAST, weight=1.0, **changes):
    values = {"source": None, "seconds": 5.0, "audio": None, **changes}
    return EnrolledClip(
        digest=digest, weight=weight, embedding=embedding, **values
    )


@pytest.fixture
def store(tmp_path):
    return GalleryStore(tmp_path / "new" / "people.sqlite", "f1", 2)


def test_a_voice_is_the_weighted_mean_over_all_calls(store):
    store.add("sita", [clip("1", EAST, 3.0)])
    store.add("sita", [clip("2", NORTH, 4.0)])
    names, voices, _ = store.voices()
    assert names == ["sita"]
    assert voices == pytest.approx(np.array([[3 / 7, 4 / 7]]))


def test_a_gallery_whose_making_was_killed_is_made(tmp_path):
    """Half of it is in the file, and a journal that takes it back."""
    path = tmp_path / "people.sqlite"
    script = (
        "import os, sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "database.execute('PRAGMA cache_size = 1')\n"
        "database.execute('BEGIN IMMEDIATE')\n"
        "database.execute('CREATE TABLE model (fingerprint)')\n"
        "database.execute('INSERT INTO model VALUES (zeroblob(100000))')\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, path], check=True)
    assert path.stat().st_size
    assert (tmp_path / "people.sqlite-journal").stat().st_size
    store = GalleryStore(path, "f1", 2)
    store.add("sita", [clip("1")])
    assert GalleryStore.any_model(path).people() == [Person("sita", 1, 5.0)]


def test_an_empty_file_is_no_gallery_yet(tmp_path):
    path = tmp_path / "people.sqlite"
    path.touch()
    with pytest.raises(GalleryError, match="is empty, expected a gallery"):
        GalleryStore.any_model(path)
    assert GalleryStore(path, "f1", 2).people() == []


def test_a_clip_counts_once(store):
    assert store.add("sita", [clip("1"), clip("1")]).clips == 1
    assert store.add("sita", [clip("1"), clip("2")]).clips == 1
    assert store.people() == [Person("sita", 2, 10.0)]


def test_what_is_new_of_a_known_clip_is_kept(store):
    store.add("sita", [clip("1", source="/old.wav")])
    assert store.add("sita", [clip("1", source="/new.wav")]).clips == 0
    assert store.add("sita", [clip("1", audio=b"flac")]).clips == 0
    (found,) = store.clips("sita", with_audio=True)
    assert (found.source, found.audio) == ("/new.wav", b"flac")


def test_people_are_listed_by_name_and_clips_by_age(store):
    store.add("b", [clip("1", source="/x.wav", audio=b"flac"), clip("2")])
    store.add("a", [clip("1")])
    assert [person.name for person in store.people()] == ["a", "b"]
    first, second = store.clips("b", with_audio=True)
    assert (first.source, first.audio) == ("/x.wav", b"flac")
    assert second.digest == "2"
    assert store.clips("nobody") == []


def test_audio_is_read_only_where_asked_for(store):
    store.add("sita", [clip("1", audio=b"flac")])
    # Whoever reads it is told.
    with sqlite3.connect(store.path) as database:
        database.execute("UPDATE clips SET audio = 'spoilt'")
    with pytest.raises(GalleryError, match="spoilt"):
        store.clips("sita", with_audio=True)
    assert store.add("sita", [clip("2")]).clips == 1
    assert [one.audio for one in store.clips("sita")] == [None, None]


def test_each_change_leads_to_a_state_of_its_own(store):
    seen = [store.state()]
    for change in (
        store.add("a", [clip("1")]),
        store.rename("a", "b"),
        store.remove("b"),
    ):
        assert change.before == seen[-1]
        seen.append(change.after)
    assert store.state() == seen[-1]
    assert len(set(seen)) == 4
    store.add("a", [clip("1")])
    change = store.add("a", [clip("1")])
    assert change.before == change.after == store.state()


def test_files_that_went_different_ways_differ_in_their_state(store):
    store.add("a", [clip("1")])
    other = store.path.with_name("copy.sqlite")
    other.write_bytes(store.path.read_bytes())
    other = GalleryStore(other, "f1", 2)
    assert other.state() == store.state()
    store.add("b", [clip("1")])
    other.remove("a")
    assert other.state() != store.state()


def test_of_a_removed_person_no_byte_stays(store):
    secret = np.array([0.123456, 0.992351], dtype=np.float32)
    store.add("Sītā Devī", [clip("0123abcd", secret, source="/home/x/y.wav")])
    store.add("other", [clip("1")])
    traces = (secret.tobytes(), "Sītā Devī".encode(), b"y.wav", b"0123abcd")
    before = store.path.read_bytes()
    assert all(trace in before for trace in traces)
    store.remove("Sītā Devī")
    left = b"".join(p.read_bytes() for p in store.path.parent.iterdir())
    assert not [trace for trace in traces if trace in left]


def test_the_old_name_of_a_renamed_person_is_gone(store):
    store.add("before", [clip("1")])
    store.rename("before", "after")
    assert b"before" not in store.path.read_bytes()


def test_names_that_are_not_there_or_taken(store):
    store.add("a", [clip("1")])
    store.add("b", [clip("1")])
    with pytest.raises(ValueError, match="nobody called 'c'"):
        store.remove("c")
    with pytest.raises(ValueError, match="nobody called 'c'"):
        store.rename("c", "d")
    with pytest.raises(ValueError, match="'b' is enrolled already"):
        store.rename("a", "b")
    assert [person.name for person in store.people()] == ["a", "b"]


def test_another_models_gallery_is_refused(store):
    for other in (("f2", 2), ("f1", 3)):
        with pytest.raises(GalleryError, match="made by another model"):
            GalleryStore(store.path, *other)
    assert GalleryStore.any_model(store.path).fingerprint == "f1"


@pytest.mark.parametrize("other", [("f2", 2), ("f1", 3)])
@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.state(),
        lambda store: store.people(),
        lambda store: store.voices(),
        lambda store: store.clips("sita"),
        lambda store: store.add("sita", [clip("2")]),
        lambda store: store.rename("sita", "anna"),
        lambda store: store.remove("sita"),
    ],
)
def test_a_file_that_another_models_has_replaced_is_refused(store, other, ask):
    store.add("sita", [clip("1")])
    new = GalleryStore(store.path.with_name("new.sqlite"), *other)
    new.add("sita", [clip("1", np.ones(other[1], dtype=np.float32))])
    new.path.replace(store.path)
    kept = store.path.read_bytes()
    with pytest.raises(GalleryError, match="made by another model"):
        ask(store)
    assert store.path.read_bytes() == kept


def test_files_that_are_no_gallery(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("x" * 5000)
    with pytest.raises(GalleryError, match="not a database"):
        GalleryStore(text, "f1", 2)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE model (a)")
    for opening in (
        lambda: GalleryStore(other, "f1", 2),
        lambda: GalleryStore.any_model(other),
    ):
        with pytest.raises(GalleryError, match="another program's database"):
            opening()
    with pytest.raises(GalleryError, match="is not there"):
        GalleryStore.any_model(tmp_path / "nothing.sqlite")
    assert not (tmp_path / "nothing.sqlite").exists()


def test_a_newer_format_is_refused(store):
    with sqlite3.connect(store.path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(GalleryError, match="of format 99"):
        GalleryStore(store.path, "f1", 2)


def test_a_damaged_file_is_told(store):
    for number in range(200):
        store.add(f"person {number}", [clip(str(number))])
    whole = store.path.read_bytes()
    store.path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    with pytest.raises(GalleryError, match=r"people\.sqlite cannot be used"):
        store.voices()


def test_threads_share_a_store(store):
    def enrol(thread):
        for number in range(20):
            store.add(f"{thread}-{number}", [clip("1")])

    threads = [threading.Thread(target=enrol, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.people()) == 80
