"""The recipe as a user runs it: what it leaves, and what a rerun does."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "recipes" / "YouTubeSpeakers" / "SpeakerRec"

FIGURES = {
    "eer",
    "min_dcf_0.01",
    "min_dcf_0.05",
    "threshold",
    "accuracy",
    "precision",
    "recall",
    "f1",
    "auc",
    "distance_similar",
    "distance_dissimilar",
}


def metrics(output: Path) -> dict:
    return json.loads((output / "metrics.json").read_text())


def test_metrics_answer_validation_and_the_three_questions(trained):
    report = metrics(trained)
    assert set(report["test"]) == {"time", "session", "speaker"}
    for found in (report["valid"], *report["test"].values()):
        assert set(found) >= FIGURES
        assert all(np.isfinite(found[key]) for key in FIGURES)
        assert found["trials_similar"] > 0
        assert found["trials_dissimilar"] > 0
    for question, found in report["test"].items():
        assert found["threshold"] == report["decision"]["threshold"]
        trials = (trained / "prepared" / f"trials_{question}.txt").read_text()
        speakers = {
            Path(name).parent.name for name in trials.split() if "/" in name
        }
        if len(speakers) < 5:
            assert found["eer_interval"] is None, question
        else:
            low, high = found["eer_interval"]
            assert 0 <= low <= high <= 1


def test_metrics_hold_all_figures_of_every_epoch(trained, tiny):
    epochs = metrics(trained)["epochs"]
    assert [e["epoch"] for e in epochs] == [1, 2, 3]
    assert len(epochs) == tiny.QUICK["number_of_epochs"]
    for epoch in epochs:
        assert {f"valid_{key}" for key in FIGURES} <= set(epoch)
        assert {
            "lr",
            "train_loss",
            "train_distance_similar",
            "train_distance_dissimilar",
            "valid_loss",
        } <= set(epoch)


def test_metrics_of_valid_are_those_of_the_best_epoch(trained):
    report = metrics(trained)
    best = report["epochs"][report["best_epoch"] - 1]
    assert report["valid"]["eer"] == best["valid_eer"]
    assert report["decision"]["threshold"] == best["valid_threshold"]
    assert report["valid"]["eer"] == min(
        epoch["valid_eer"] for epoch in report["epochs"]
    )


def test_figures_open_as_images(trained):
    names = {path.name for path in (trained / "figures").iterdir()}
    assert names == {
        "distances.png",
        "scores_valid.png",
        "scores_time.png",
        "scores_session.png",
        "scores_speaker.png",
    }
    for name in names:
        image = matplotlib.image.imread(trained / "figures" / name)
        assert image.std() > 0, f"{name} is one colour"


def test_train_log_has_a_line_per_epoch(trained):
    lines = (trained / "train_log.txt").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "epoch: 1",
        "epoch: 2",
        "epoch: 3",
    ]
    assert all("valid eer" in line for line in lines)


def test_no_partial_file_is_left(trained, tiny):
    assert not tiny.leftovers(trained)


def test_finished_command_in_the_recipes_folder_changes_nothing(
    trained, tiny, tiny_data, tmp_path
):
    """The command in the other folder, on finished work: no second training,
    the same figures, prepared files untouched."""
    output = tmp_path / "again"
    shutil.copytree(trained, output)
    before = tiny.snapshot(output / "prepared")
    log = (output / "train_log.txt").read_text()

    done = tiny.train(output, tiny_data, cwd=RECIPE)

    assert done.returncode == 0, done.stderr[-3000:]
    assert "Going into epoch" not in done.stdout + done.stderr
    assert (output / "train_log.txt").read_text() == log
    assert metrics(output) == metrics(trained)
    assert tiny.snapshot(output / "prepared") == before
    assert not (RECIPE / "results").exists()


def test_training_from_shards_gives_the_same_results(
    trained, tiny, tiny_data, tmp_path
):
    done = tiny.train(tmp_path / "output", tiny_data, shards=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert list((tmp_path / "output" / "prepared" / "shards").glob("*.tar"))
    found, expected = metrics(tmp_path / "output"), metrics(trained)
    for key in ("epochs", "valid", "test", "decision"):
        assert found[key] == expected[key]


def test_no_file_of_the_users_is_replaced_by_a_training(
    tiny, tiny_data, tmp_path
):
    for name in ("train.py", "metrics.json"):
        (tmp_path / name).write_text("mine")
    done = tiny.train(tmp_path, tiny_data)
    assert done.returncode == 1
    assert "holds train.py, metrics.json, which would be replaced" in (
        done.stdout + done.stderr
    )
    for name in ("train.py", "metrics.json"):
        assert (tmp_path / name).read_text() == "mine"
    assert not (tmp_path / "hyperparams.yaml").exists()


def test_the_root_needs_no_links(tiny, tmp_path):
    """A checkout without them has files that name their goals."""
    shutil.copy(ROOT / "train.py", tmp_path)
    recipes = tmp_path / "recipes"
    shutil.copytree(ROOT / "recipes", recipes)
    link = RECIPE.relative_to(ROOT) / "youtube_prepare.py"
    (tmp_path / link).write_text("../youtube_prepare.py")
    done = subprocess.run(
        [
            sys.executable,
            "train.py",
            ROOT / "hparams" / "siamese.yaml",
            f"--output_folder={tmp_path / 'output'}",
            "--lr=-1",
        ],
        cwd=tmp_path,
        env=tiny.environment(),
        capture_output=True,
        text=True,
    )
    assert "lr is -1" in done.stderr


@pytest.fixture(scope="module")
def timed(tiny, tiny_data, tmp_path_factory):
    """A run that the clock ends, on a corpus with files that are no good."""
    folder = tmp_path_factory.mktemp("timed")
    data = folder / "recordings"
    shutil.copytree(tiny_data, data)
    speaker = data / tiny.SPEAKERS[0]
    (speaker / "notes.wav").write_text("milk, bread, and a longer text\n" * 50)
    (speaker / "empty.wav").touch()
    whole = tiny.write(folder / "whole.mp3", tiny.voice(0, 3, 8.0))
    (speaker / "half.mp3").write_bytes(whole.read_bytes()[:300])
    tiny.write(speaker / "hush.wav", np.zeros(8 * tiny.RATE, np.float32))
    tiny.write(speaker / "brief.wav", tiny.voice(0, 4, 1.5))
    broken = tiny.voice(0, 5, 8.0)
    broken[tiny.RATE] = np.nan
    import soundfile

    soundfile.write(speaker / "nan.wav", broken, tiny.RATE, subtype="FLOAT")
    output = folder / "output"
    settings = {"number_of_epochs": 1000, "max_minutes": 0.15}
    done = tiny.train(output, data, **settings)
    assert done.returncode == 0, done.stderr[-3000:]
    return output, data, settings, done.stdout + done.stderr


def test_unusable_recordings_are_listed_with_their_reason(timed):
    output, *_, log = timed
    with open(output / "prepared" / "rejected.csv", encoding="utf-8") as file:
        reasons = {
            row["recording"]: row["reason"] for row in csv.DictReader(file)
        }
    expected = {
        "notes.wav": "unreadable",
        "empty.wav": "zero bytes",
        "half.mp3": "unreadable",
        "hush.wav": "silent",
        "brief.wav": "shorter than the cuts",
        "nan.wav": "NaN",
    }
    assert {name.split("/")[1] for name in reasons} == set(expected)
    for name, word in expected.items():
        assert word in reasons[f"voice0/{name}"]
    assert "6 recording(s) cannot be used" in log


def test_max_minutes_ends_the_training_in_time(timed):
    output, _, settings, _ = timed
    report = metrics(output)
    limit = settings["max_minutes"]
    # The step and the validation under way may end, on a busy machine too.
    assert limit <= report["training_minutes"] < limit + 1
    assert len(report["epochs"]) < 20


def test_learning_rate_reaches_its_end_with_the_time(timed):
    report = metrics(timed[0])
    assert report["epochs"][-1]["lr"] < 0.1 * report["settings"]["lr"]


def test_run_that_the_clock_ended_is_not_continued(timed, tiny):
    output, data, settings, _ = timed
    before = metrics(output)
    done = tiny.train(output, data, **settings)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Going into epoch" not in done.stdout + done.stderr
    assert metrics(output) == before


@pytest.mark.parametrize(
    "setting, words",
    [
        ({"seed": 7}, "was started with other data or split"),
        ({"n_mels": 40}, "was started with other features or model"),
    ],
)
def test_training_does_not_go_on_with_another_split_or_model(
    trained, tiny, tiny_data, tmp_path, setting, words
):
    """Else it would be tested on people whom it was trained on."""
    output = tmp_path / "output"
    shutil.copytree(trained, output)
    done = tiny.train(output, tiny_data, **setting)
    assert done.returncode == 1
    assert words in done.stdout + done.stderr
    assert metrics(output) == metrics(trained)
    # Nor is it evaluated on them: what was held out stays so.
    for name in ("train.csv", "valid.csv", "preparation.json"):
        ours, theirs = (
            (folder / "prepared" / name).read_bytes()
            for folder in (output, trained)
        )
        assert ours == theirs


def run(tiny, *command) -> subprocess.CompletedProcess:
    return subprocess.run(
        command,
        cwd=ROOT,
        env=tiny.environment(),
        capture_output=True,
        text=True,
    )


def test_a_validation_of_two_batches_is_refused(tiny, tiny_data, tmp_path):
    done = run(tiny, *tiny.command(tmp_path / "output", tiny_data), "--debug")
    assert done.returncode == 1
    told = "give --number_of_epochs=1 --steps_per_epoch=2 instead"
    assert told in done.stderr


def test_a_finished_training_is_tested_alone(
    trained, tiny, tiny_data, tmp_path
):
    output = tmp_path / "output"
    shutil.copytree(trained, output)
    done = run(tiny, *tiny.command(output, tiny_data), "--test_only")
    assert done.returncode == 0, done.stderr[-3000:]
    found, expected = metrics(output), metrics(trained)
    for key in ("epochs", "valid", "test", "decision", "training_steps"):
        assert found[key] == expected[key]
