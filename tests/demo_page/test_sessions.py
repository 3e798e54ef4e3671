"""Files of a session are there while it lasts, and not a moment longer."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import threading
import time

import pytest

from speechbrain_siamese.demo_page import sessions as module
from speechbrain_siamese.demo_page.sessions import Sessions, own_folder


@pytest.fixture
def sessions(tmp_path):
    return Sessions(tmp_path)


@pytest.fixture
def uploaded(sessions):
    """A file as Gradio puts it, in a folder of its own."""

    def put(name="a.wav", folder="1f"):
        path = sessions.uploads / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("voice")
        return path

    return put


def left(sessions):
    """Every file below the folder of all sessions."""
    root = sessions.uploads.parent
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def test_all_of_a_session_goes_and_nothing_else(sessions, uploaded):
    with sessions.use("mine") as mine, sessions.use("yours") as yours:
        (mine.private / "mine.sqlite").write_text("voices")
        (mine.served / "mine.flac").write_text("voices")
        (yours.private / "yours.sqlite").write_text("voices")
        sessions.claim(mine, uploaded("mine.wav", "1f"))
        sessions.claim(yours, uploaded("yours.wav", "2f"))
    sessions.end("mine")
    assert left(sessions) == ["yours.sqlite", "yours.wav"]
    assert not (sessions.uploads / "1f").exists()
    sessions.end("mine")  # again: no mistake
    sessions.end(None)
    assert len(left(sessions)) == 2


def test_a_session_keeps_its_folders_from_use_to_use(sessions):
    with sessions.use("key") as first, sessions.use("key") as second:
        assert first is second
    with sessions.use("key") as third:
        assert third is first
    sessions.end("key")
    with sessions.use("key") as fourth:
        assert fourth.private != first.private


def test_what_is_being_used_goes_after_its_use(sessions):
    with sessions.use("key") as session:
        sessions.end("key")
        assert session.private.is_dir()
        with sessions.use("key"):
            pass
        assert session.private.is_dir()
    assert not session.private.exists()


def test_one_upload_of_two_sessions_goes_with_the_last(sessions, uploaded):
    path = uploaded()
    for key in ("mine", "yours"):
        with sessions.use(key) as session:
            sessions.claim(session, path)
    sessions.end("mine")
    assert path.exists()
    sessions.end("yours")
    assert not path.exists()


def test_without_a_key_a_session_ends_with_its_use(sessions, uploaded):
    with sessions.use(None) as session:
        (session.private / "people.sqlite").write_text("voices")
        sessions.claim(session, uploaded())
    assert left(sessions) == []


def test_only_uploads_can_be_claimed(sessions, tmp_path):
    """Else whoever asks could have any file deleted."""
    other = tmp_path / "other.wav"
    other.write_text("dear")
    with sessions.use("key") as session:
        for path in (other, sessions.uploads / ".." / "other.wav"):
            with pytest.raises(ValueError, match="not given to this page"):
                sessions.claim(session, path)
    sessions.end("key")
    assert other.exists()


def test_the_folder_of_all_uploads_cannot_be_claimed(sessions, uploaded):
    """Nor any other: the sweep would end the page when it deletes one."""
    path = uploaded()
    with sessions.use("mine") as session:
        for folder in (sessions.uploads, path.parent):
            with pytest.raises(ValueError, match="was not given to this page"):
                sessions.claim(session, folder)
    sessions.end("mine")
    assert left(sessions) == ["a.wav"]


@pytest.mark.parametrize("name", ["a.wav\0", "a" * 5000])
def test_a_name_that_no_file_can_have_is_no_upload(sessions, name):
    with sessions.use("mine") as session:
        with pytest.raises(ValueError, match="was not given to this page"):
            sessions.claim(session, sessions.uploads / name)
        assert session.uploads == set()


def test_idle_sessions_and_forgotten_uploads_are_swept(
    sessions, uploaded, monkeypatch
):
    with sessions.use("idle") as idle:
        sessions.claim(idle, uploaded("claimed.wav", "1f"))
    forgotten, fresh = uploaded("old.wav", "2f"), uploaded("new.wav", "3f")
    long_ago = time.time() - module.UNCLAIMED - 9
    for path in (forgotten, sessions.uploads / "1f" / "claimed.wav"):
        os.utime(path, (long_ago, long_ago))
    sessions.sweep()
    assert left(sessions) == ["claimed.wav", "new.wav"]
    monkeypatch.setattr(module, "IDLE", -1.0)
    with sessions.use("busy") as busy:
        sessions.sweep()
        assert busy.private.is_dir()
    assert left(sessions) == ["new.wav"]
    assert fresh.exists()


def test_the_end_waits_for_answers(sessions):
    begun, ended = threading.Event(), []

    def answer():
        with sessions.use("key") as session:
            begun.set()
            time.sleep(0.3)
            (session.private / "late.txt").write_text("late")
            ended.append(True)

    thread = threading.Thread(target=answer)
    thread.start()
    begun.wait()
    sessions.end_all()
    assert ended == [True]
    assert left(sessions) == []
    thread.join()


def test_a_run_leaves_nothing_and_takes_what_killed_ones_left(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    minutes_ago = time.time() - 300
    for name in ("siamese-demo-killed", "siamese-demo-alive", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lock").write_text("")
        os.utime(tmp_path / name, (minutes_ago, minutes_ago))
    # Killed before it had a lock.
    (tmp_path / "siamese-demo-killed" / "lock").rename(
        tmp_path / "siamese-demo-killed" / "voice.wav"
    )
    (tmp_path / "siamese-demo-ended").mkdir()
    (tmp_path / "siamese-demo-ended" / "lock").write_text("")
    for name in ("siamese-demo-killed", "siamese-demo-ended"):
        os.utime(tmp_path / name, (minutes_ago, minutes_ago))
    with open(tmp_path / "siamese-demo-alive" / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with own_folder() as folder, own_folder() as second:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert folder.is_dir() and second.is_dir()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["other", "siamese-demo-alive"]


def test_the_folder_of_all_uploads_outlives_the_last_of_them(sessions):
    # Gradio writes there first, and then moves what it has into a folder.
    half = sessions.uploads / "half.wav"
    half.write_text("voice")
    long_ago = time.time() - module.UNCLAIMED - 9
    os.utime(half, (long_ago, long_ago))
    sessions.sweep()
    assert left(sessions) == []
    assert sessions.uploads.is_dir()
    with sessions.use("next") as session:
        assert session.served.is_dir()


def test_a_folder_into_which_a_file_comes_meanwhile_stays(
    sessions, uploaded, monkeypatch
):
    path = uploaded()
    rmdir = os.rmdir

    def late(folder, **settings):
        if str(folder) == str(path.parent):
            (path.parent / "late.wav").write_text("voice")
        rmdir(folder, **settings)

    monkeypatch.setattr(os, "rmdir", late)
    with sessions.use("key") as session:
        sessions.claim(session, path)
    sessions.end("key")
    assert left(sessions) == ["late.wav"]
