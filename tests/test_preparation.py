"""Preparation as a user runs it: what it follows, and what it leaves alone."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "recipes" / "YouTubeSpeakers" / "SpeakerRec"


@pytest.fixture(scope="module")
def prepare(by_path, tiny_data):
    """``prepare(save, **settings)`` as the recipe calls it."""
    from speechbrain_siamese.dataio.cleaning import CleaningSettings
    from speechbrain_siamese.dataio.splits import SplitSettings

    module = by_path(RECIPE.parent / "youtube_prepare.py")

    def run(save: Path, trim: float = 1.0, **splits) -> None:
        module.prepare_youtube(
            data_folder=str(tiny_data),
            save_folder=str(save),
            cleaning=CleaningSettings(trim_start=trim, trim_end=trim),
            splits=SplitSettings(**splits),
            seed=1986,
        )

    return run


def test_preparation_follows_changed_settings(prepare, tiny, tmp_path):
    prepare(tmp_path)
    first = tiny.snapshot(tmp_path)
    prepare(tmp_path, utterance_len=5.0)
    second = tiny.snapshot(tmp_path)
    audio = [name for name in first if name.startswith("clean/")]
    assert all(first[name] == second[name] for name in audio)
    assert first["trials_valid.txt"] != second["trials_valid.txt"]
    held = {name for name in second if name.startswith("held_out/")}
    assert held != {n for n in first if n.startswith("held_out/")}
    prepare(tmp_path, trim=2.0, utterance_len=5.0)
    third = tiny.snapshot(tmp_path)
    wavs = [name for name in audio if name.endswith(".wav")]
    assert all(second[name] != third[name] for name in wavs)
    assert not tiny.leftovers(tmp_path)


def test_what_was_prepared_at_another_rate_is_not_taken(
    by_path, prepare, tiny, tiny_data, tmp_path
):
    from speechbrain_siamese.dataio.cleaning import CleaningSettings
    from speechbrain_siamese.dataio.splits import SplitSettings

    prepare(tmp_path)
    before = tiny.snapshot(tmp_path)
    prepare_youtube = by_path(RECIPE.parent / "youtube_prepare.py")
    settings = {
        "data_folder": str(tiny_data),
        "save_folder": str(tmp_path),
        "splits": SplitSettings(),
        "seed": 1986,
        "skip_prep": True,
    }
    prepare_youtube.prepare_youtube(cleaning=CleaningSettings(), **settings)
    with pytest.raises(ValueError, match="holds audio of 16000 Hz"):
        prepare_youtube.prepare_youtube(
            cleaning=CleaningSettings(sample_rate=22050), **settings
        )
    assert tiny.snapshot(tmp_path) == before


def test_no_file_of_the_users_is_replaced(by_path, tiny, tiny_data, tmp_path):
    from speechbrain_siamese.dataio.cleaning import CleaningSettings
    from speechbrain_siamese.dataio.splits import SplitSettings

    module = by_path(RECIPE.parent / "youtube_prepare.py")
    data, other = tmp_path / "recordings", tmp_path / "other"
    shutil.copytree(tiny_data, data)
    shutil.copytree(tiny_data, other / "held_out" / "valid")
    noisy = tmp_path / "noisy"
    shutil.copytree(tiny_data, noisy / "clean")
    (noisy / "train.csv").write_text("mine")
    before = tiny.snapshot(tmp_path)
    for save, words in (
        (data, "where the recordings are"),
        (tmp_path / "x" / ".." / "recordings", "where the recordings are"),
        (other, "holds held_out, which would be replaced"),
        (noisy, "holds train.csv, clean, which would be replaced"),
    ):
        with pytest.raises(ValueError, match=words):
            module.prepare_youtube(
                data_folder=str(data),
                save_folder=str(save),
                cleaning=CleaningSettings(trim_start=1.0, trim_end=1.0),
                splits=SplitSettings(),
                seed=1986,
            )
    assert tiny.snapshot(tmp_path) == before


def test_preparation_replaces_a_held_out_file_that_was_deleted(
    prepare, tmp_path
):
    prepare(tmp_path)
    victim = next((tmp_path / "held_out").rglob("*.wav"))
    content = victim.read_bytes()
    victim.unlink()
    prepare(tmp_path)
    assert victim.read_bytes() == content


def test_audio_of_a_training_is_not_cleaned_otherwise(
    trained, tiny, tiny_data, tmp_path
):
    output = tmp_path / "output"
    shutil.copytree(trained, output)
    before = tiny.snapshot(output / "prepared")
    _, _, *arguments = tiny.command(output, tiny_data, trim_start=2.0)
    script = RECIPE.parent / "youtube_prepare.py"
    for code, program in ((2, script), (1, "train.py")):
        done = subprocess.run(
            [sys.executable, program, *arguments],
            cwd=ROOT,
            env=tiny.environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == code
        assert "started with other data or split" in done.stdout + done.stderr
        assert tiny.snapshot(output / "prepared") == before


def test_preparation_builds_no_model(tiny, tiny_data, tmp_path):
    """Two towers begin with weights that have to be fetched."""
    _, _, _, *arguments = tiny.command(tmp_path / "output", tiny_data)
    kept = [one for one in arguments if "folder" in one or "trim" in one]
    done = subprocess.run(
        [
            sys.executable,
            RECIPE.parent / "youtube_prepare.py",
            "hparams/siamese_two_tower.yaml",
            *kept,
            "--window_len=1",
            "--test_time=0.5",
        ],
        cwd=ROOT,
        env={**tiny.environment(), "TORCH_HOME": str(tmp_path / "empty")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "output" / "prepared" / "train.csv").is_file()
    assert not (tmp_path / "output" / "save").exists()


def test_recordings_are_prepared_without_training(tiny, tiny_data, tmp_path):
    # The same people, and one more of whom there are clips only.
    clips = tmp_path / "clips"
    for number in (1, 2):
        tiny.write(clips / "गीता" / f"{number}.wav", tiny.voice(9, number, 4.0))
    (clips / "गीता" / "empty.wav").touch()

    def prepare(*arguments):
        return subprocess.run(
            [sys.executable, RECIPE.parent / "youtube_prepare.py", *arguments],
            cwd=ROOT,
            env=tiny.environment(),
            capture_output=True,
            text=True,
        )

    output = tmp_path / "output"
    _, _, *arguments = tiny.command(output, tiny_data, clips_folder=clips)
    done = prepare(*arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    prepared = output / "prepared"
    assert str(prepared / "report.html") in done.stdout
    assert not list(output.glob("save/*"))
    assert not (output / "export").exists()
    with open(prepared / "report.csv", encoding="utf-8", newline="") as file:
        rows = {row["recording"]: row for row in csv.DictReader(file)}
    assert float(rows["गीता/1.wav"]["raw_seconds"]) == pytest.approx(4, abs=0.1)
    assert "unreadable" in rows["गीता/empty.wav"]["doubts"]
    manifest = (prepared / "train.csv").read_text("utf-8")
    assert rows["गीता/1.wav"]["session"].endswith("-1-clip")
    assert f"\n{rows['गीता/1.wav']['session']}," in manifest
    assert "9 speakers" in (prepared / "report.html").read_text("utf-8")
    assert "9 speakers" in (prepared / "README.md").read_text("utf-8")
    before = tiny.snapshot(prepared)
    assert prepare(*arguments).returncode == 0
    assert tiny.snapshot(prepared) == before

    # Without the clips nothing stays of them, for an audit to find.
    _, _, *without = tiny.command(output, tiny_data)
    done = prepare(*without)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not list(prepared.glob("clean_clips/*/*"))
    assert "-clip" not in (prepared / "train.csv").read_text("utf-8")


def test_mistakes_are_told_in_one_line(tiny, tmp_path):
    for arguments, message in (
        ([], "give --data_folder=<folder>"),
        ([f"--data_folder={tmp_path / 'nowhere'}"], "nowhere is not a folder"),
    ):
        done = subprocess.run(
            [
                sys.executable,
                RECIPE.parent / "youtube_prepare.py",
                "hparams/siamese.yaml",
                f"--output_folder={tmp_path / 'output'}",
                *arguments,
            ],
            cwd=ROOT,
            env=tiny.environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        last = done.stderr.splitlines()[-1]
        assert last.startswith("error: ")
        assert message in last
