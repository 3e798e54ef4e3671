"""Two processes enrol into one gallery and are killed at random moments."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from speechbrain_siamese.inference.enrolled import weighted_voice
from speechbrain_siamese.inference.gallery_store import GalleryStore

pytestmark = pytest.mark.fault(
    "two processes enrol into one gallery, killed at random",
    "all that was confirmed is there, whole",
    kept=True,
)

SCRIPT = Path(__file__).with_name("enrol_many.py")
PEOPLE, KILLS, SEED = 500, 10, 1986


@pytest.mark.slow
def test_what_was_confirmed_is_there_and_nothing_is_half(
    trained, tiny, tmp_path, record_property
):
    path = tmp_path / "people.sqlite"
    logs = {letter: tmp_path / f"{letter}.txt" for letter in "ab"}

    def start(letter):
        logs[letter].touch()
        return subprocess.Popen(
            [
                sys.executable,
                str(SCRIPT),
                *map(str, (trained / "export", path, logs[letter])),
                letter,
                str(PEOPLE),
            ],
            env=tiny.environment(),
            stderr=subprocess.PIPE,
            text=True,
        )

    def confirmed_by(letter):
        return logs[letter].read_text().split()

    def confirmed():
        return sum(len(confirmed_by(letter)) for letter in logs)

    rng = random.Random(SEED)
    running = {letter: start(letter) for letter in logs}
    # Kills are spread over the work, whatever the machine's speed.
    for kill in range(1, KILLS + 1):
        deadline = time.monotonic() + 300
        while confirmed() < kill * 2 * PEOPLE // (KILLS + 2):
            assert time.monotonic() < deadline, "no progress"
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.05))
        # The one that is ahead, or it might be done before the last kill.
        letter = max(logs, key=lambda one: len(confirmed_by(one)))
        running[letter].kill()
        running[letter].communicate()
        assert running[letter].returncode == -9, "it had ended before"
        running[letter] = start(letter)
    record_property("times", KILLS)
    for process in running.values():
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors[-2000:]

    store = GalleryStore.any_model(path)
    names, voices, _ = store.voices()
    expected = {f"{letter}{n}" for letter in logs for n in range(PEOPLE)}
    assert set(names) == expected
    for name, voice in zip(names, voices, strict=True):
        clips = store.clips(name)
        # Both clips of a call, or none of them.
        assert len(clips) == 2
        assert voice == pytest.approx(weighted_voice(clips), abs=1e-6)
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert [found.name for found in tmp_path.glob("people*")] == [path.name]
