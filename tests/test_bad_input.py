"""Users' mistakes: each is told in words that help, and nothing half is left.

Files that cannot be used among good ones are in ``test_recipe.py``: there the
job goes on.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("run_attempts.py")

#: Mistakes in the data: name and words that the message must hold.
DATA = {
    "missing_folder": ["nowhere is not a folder", "<speaker>/<recording>"],
    "empty_folder": ["no recordings", "nothing at all"],
    "no_speaker_folders": ["no recordings", "loose.wav", "one folder per"],
    "one_speaker": ["found 1 usable speaker(s) (voice0)", "at least 2"],
    "shorter_than_cuts": ["shorter than the cuts", "trim_start 60 s"],
    "all_silent": ["silent: no sound", "found 0 usable speaker(s)"],
    "all_broken": ["unreadable", "found 0 usable speaker(s)", "rejected.csv"],
    "too_little": ["too few or too short for validation"],
}
#: Values out of range: key, value, words that the message must hold.
VALUES = [
    ("trim_start", -1, "trim_start is -1"),
    ("margin", 3, "margin is 3"),
    ("window_len", 0.1, "window_len 0.1 s"),
    ("n_mels", 20, "n_mels is 20"),
    ("clips_per_speaker", 1, "clips_per_speaker is 1"),
    ("speakers_per_batch", 1, "speakers_per_batch is 1"),
    ("number_of_epochs", 0, "number_of_epochs is 0"),
    ("steps_per_epoch", 1.5, "is 1.5, expected a whole number from 1"),
    ("threshold_target", "fpr=2", "target is 'fpr 2'"),
    ("max_minutes", -1, "max_minutes is -1"),
    ("lr", -1, "lr is -1"),
    ("sample_rate", 100, "sample_rate is 100"),
    ("valid_speakers", 0.9, "valid_speakers is 0.9"),
    ("hop_length", 0, "hop_length is 0"),
    ("imagenet_weights", "no.pth", "imagenet_weights names no.pth"),
    ("exclude_speakers", "no.txt", "exclude_speakers names no.txt"),
    ("clips_folder", "no_clips", "clips_folder: no_clips is not a folder"),
    ("skip_prep", True, "skip_prep is True"),
    ("trim_strat", 5, "'trim_strat' not found"),
]


@pytest.fixture(scope="module")
def attempts(tiny, tiny_data, tmp_path_factory):
    """Exit code, log and output folder of every mistake."""
    folder = tmp_path_factory.mktemp("mistakes")
    data = {name: folder / name for name in DATA}
    data["missing_folder"] = folder / "nowhere"
    data["empty_folder"].mkdir()
    tiny.write(data["no_speaker_folders"] / "loose.wav", tiny.voice(0, 1, 3))
    tiny.build(data["one_speaker"], speakers=1, seconds=5.0)
    tiny.build(data["shorter_than_cuts"], speakers=2, seconds=3.0)
    tiny.build(data["too_little"], speakers=2, seconds=5.0)
    for speaker in ("anna", "bert"):
        hush = np.zeros(5 * tiny.RATE, np.float32)
        tiny.write(data["all_silent"] / speaker / "a.wav", hush)
        broken = data["all_broken"] / speaker / "a.wav"
        broken.parent.mkdir(parents=True)
        broken.write_text("no sound")
    wrong = {
        name: {"data_folder": path, "demo_folder": folder / "demo"}
        for name, path in data.items()
    }
    wrong["shorter_than_cuts"] |= {"trim_start": 60, "trim_end": 60}
    for key, value, _ in VALUES:
        wrong[key] = {"data_folder": tiny_data, key: value}
    commands = {}
    for name, settings in wrong.items():
        settings = {key: str(value) for key, value in settings.items()}
        recordings = settings.pop("data_folder")
        commands[name] = tiny.command(
            folder / "outputs" / name, recordings, **settings
        )[1:]
    (folder / "attempts.json").write_text(json.dumps(commands))
    logs = folder / "logs"
    logs.mkdir()
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder / "attempts.json"), str(logs)],
        cwd=tiny.ROOT,
        env=tiny.environment(),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {
        name: (
            code,
            (logs / f"{name}.txt").read_text(errors="replace"),
            folder / "outputs" / name,
        )
        for name, code in json.loads(done.stdout.splitlines()[-1]).items()
    }


@pytest.mark.parametrize("name", DATA)
def test_unusable_data_are_told_and_end_the_job(attempts, name):
    code, log, output = attempts[name]
    assert code == 1, log[-1000:]
    assert "ValueError: " in log
    for words in DATA[name]:
        assert words in log, log[-1000:]
    assert_nothing_half(output)


@pytest.mark.parametrize(
    "key, words", [(key, words) for key, _, words in VALUES]
)
def test_value_out_of_range_is_named(attempts, key, words):
    code, log, output = attempts[key]
    assert code == 1, log[-1000:]
    assert words in log, log[-1000:]
    assert_nothing_half(output)


@pytest.mark.parametrize("key", [key for key, *_ in VALUES])
def test_value_out_of_range_is_found_before_the_long_preparation(attempts, key):
    assert not list(attempts[key][2].glob("prepared/clean/*"))


def assert_nothing_half(output: Path) -> None:
    """No partial file, and nothing that looks like a result."""
    assert not [p for p in output.rglob("*") if p.suffix == ".partial"]
    assert not (output / "metrics.json").exists()
    assert not (output / "export").exists()
    assert not list(output.glob("save/CKPT*"))
