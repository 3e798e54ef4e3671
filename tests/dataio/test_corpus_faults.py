"""Cleaning that is killed, frozen or out of room heals with the next run."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from speechbrain_siamese.dataio import clean_recording
from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.corpus import clean_corpus
from speechbrain_siamese.dataio.recordings import find_recordings

pytestmark = pytest.mark.fault(
    "preparation killed, frozen, or out of room",
    "the next run heals it",
    kept=True,
)

SETTINGS = CleaningSettings()
OTHER = CleaningSettings(silence_threshold=-20.0, keep_silence=0.2)
SERVER = multiprocessing.get_context("forkserver")


@pytest.fixture(scope="module")
def source(tmp_path_factory, write_audio, speech_like) -> Path:
    """Two speakers with six recordings; one file can't be decoded."""
    root = tmp_path_factory.mktemp("source")
    sound = speech_like(".##.#..###.#" * 5)
    for name in ("a/1.mp3", "a/2.m4a", "a/3.wav", "b/1.webm", "b/2.mp3"):
        write_audio(root / name, sound, 16000)
    (root / "b" / "3.mp3").write_bytes(b"no audio" * 1000)
    return root


@pytest.fixture(scope="module")
def undisturbed(source, tmp_path_factory, contents) -> dict[str, str]:
    """What a run leaves that nobody disturbs."""
    output = tmp_path_factory.mktemp("undisturbed")
    clean(source, output)
    return contents(output)


def clean(
    source, output, settings=SETTINGS, n_jobs=1, largest_file=None, log=None
):
    """The job; in a process of its own, its errors go to ``log``."""
    if log:
        sys.stderr = log.open("w")
    if largest_file:
        limits = (largest_file, resource.RLIM_INFINITY)
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    recordings = find_recordings(source)
    clean_corpus(recordings, output, settings, n_jobs, progressbar=False)


def start(*arguments, **options) -> multiprocessing.Process:
    """Start ``clean`` in a process that has all its imports already."""
    SERVER.set_forkserver_preload([clean_corpus.__module__])
    process = SERVER.Process(target=clean, args=arguments, kwargs=options)
    process.start()
    return process


def wait_until(condition) -> None:
    """Wait for something that another process does."""
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.001)


def test_killed_at_any_moment_the_next_run_heals(
    source, undisturbed, tmp_path, contents
):
    start(source, tmp_path / "imports").join()
    longest, chance, killed = 60.0, random.Random(0), 0
    for number in range(100):
        output = tmp_path / str(number)
        begun = time.monotonic()
        process = start(source, output)
        process.join(chance.uniform(0, longest) if number else None)
        took = time.monotonic() - begun
        process.kill()
        process.join()
        if process.exitcode == 0:
            longest = min(longest, took)
        else:
            assert process.exitcode == -signal.SIGKILL
            killed += 1
            clean(source, output)
        assert contents(output) == undisturbed
        if killed == 20:
            return
    pytest.fail(f"only {killed} of 100 runs were killed before their end")


def test_workers_that_outlive_a_killed_run_spoil_nothing(
    source, undisturbed, tmp_path, contents
):
    output = tmp_path / "out"
    process = start(source, output, OTHER, n_jobs=2)
    wait_until(lambda: list(output.glob("*/.*.partial")) or not_alive(process))
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    clean(source, output)
    # What the workers have left to do; a busy machine takes them longer.
    time.sleep(2)
    wait_until(lambda: not list(output.rglob("*.partial")))
    assert contents(output) == undisturbed


def not_alive(process) -> bool:
    """Whether it has ended."""
    return not process.is_alive()


def test_frozen_run_that_wakes_up_leaves_the_next_ones_result(
    source, undisturbed, tmp_path, contents
):
    output, log = tmp_path / "out", tmp_path / "log"
    process = start(source, output, OTHER, log=log)
    wait_until(lambda: list(output.glob("*/.*.partial")) or not_alive(process))
    os.kill(process.pid, signal.SIGSTOP)
    clean(source, output)
    os.kill(process.pid, signal.SIGCONT)
    process.join()
    assert process.exitcode == 1
    assert contents(output) == undisturbed
    assert "another run has begun to write into this folder" in log.read_text()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_without_room_it_ends_with_a_message_and_goes_on_later(
    source, undisturbed, tmp_path, n_jobs, contents
):
    """A limit on the size of a file stands for a disk that is full."""
    output, log = tmp_path / "out", tmp_path / "log"
    limit = 300_000
    process = start(source, output, n_jobs=n_jobs, largest_file=limit, log=log)
    process.join()
    assert process.exitcode == 1
    told = log.read_text()
    assert "cannot write the cleaned audio (File too large)" in told
    assert "goes on with what is missing" in told
    assert not list(output.rglob("*.partial"))
    clean(source, output)
    assert contents(output) == undisturbed


def test_folder_that_cannot_be_written_is_told(source, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    output.chmod(0o500)
    if os.access(output, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(PermissionError, match="Permission denied"):
        clean(source, output)


def test_recording_that_grows_while_it_is_read_is_done_again(
    tmp_path, write_audio, contents
):
    """As of a download that has not ended."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 16000 * 120)
    path = write_audio(tmp_path / "in" / "a" / "a.wav", noise, 16000)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    output = tmp_path / "out"
    process = start(tmp_path / "in", output)
    wait_until(lambda: list(output.glob("*/.*.partial")) or not_alive(process))
    path.write_bytes(whole)
    process.join()
    assert process.exitcode == 0
    clean(tmp_path / "in", output)
    clean(tmp_path / "in", tmp_path / "fresh")
    assert contents(output) == contents(tmp_path / "fresh")


@pytest.mark.parametrize("change", ["grows", "vanishes"])
def test_recording_that_changes_while_it_is_read_is_told(
    tmp_path, write_audio, speech_like, contents, monkeypatch, change
):
    sound = speech_like(".##.#..###.#" * 5)
    path = write_audio(tmp_path / "in" / "a" / "a.wav", sound, 16000)
    whole, build = path.read_bytes(), clean_recording._build

    def changing(*arguments):
        note = build(*arguments)
        if change == "grows":
            path.write_bytes(whole + bytes(2000))
        else:
            path.unlink()
        return note

    monkeypatch.setattr(clean_recording, "_build", changing)
    output = tmp_path / "out"
    good, (rejected,) = clean_corpus(
        find_recordings(tmp_path / "in"), output, SETTINGS, progressbar=False
    )
    assert not good
    assert "changed while it was read" in rejected.reason
    monkeypatch.undo()
    path.write_bytes(whole)
    clean(tmp_path / "in", output)
    clean(tmp_path / "in", tmp_path / "fresh")
    assert contents(output) == contents(tmp_path / "fresh")
