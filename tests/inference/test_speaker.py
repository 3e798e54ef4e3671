"""An export in a new process, elsewhere, offline: what its users get."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soxr

SCRIPT = Path(__file__).with_name("ask_export.py")
DECOY = "'stranger' => 0\n================\n'starting_index' => 0\n"


@pytest.fixture(scope="module")
def elsewhere(tiny, tiny_data, trained, tmp_path_factory):
    """What a moved export answers, and the working directory of the asker."""
    folder = tmp_path_factory.mktemp("elsewhere")
    export = folder / "moved" / "model"
    shutil.copytree(trained / "export", export)
    cwd = folder / "cwd"
    cwd.mkdir()
    # Another model's file of the same name must not be taken for ours.
    (cwd / "label_encoder.txt").write_text(DECOY)
    for speaker, name, rate in (
        (1, "a.m4a", 44100),
        (1, "a.wav", 16000),
        (2, "b.wav", 16000),
    ):
        sound = tiny.voice(speaker, 9, 6.0)
        resampled = soxr.resample(sound, tiny.RATE, rate)
        tiny.write(folder / "recoded" / name, resampled, rate)
    arguments = [export, tiny_data, folder / "recoded"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        cwd=cwd,
        env=tiny.environment(),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1]), cwd, export


@pytest.fixture(scope="module")
def answers(elsewhere):
    return elsewhere[0]


def test_classify_file_names_a_training_speaker(answers, elsewhere):
    text = (elsewhere[2] / "label_encoder.txt").read_text()
    speakers = {
        line.split("'")[1]
        for line in text.split("====")[0].splitlines()
        if line
    }
    assert speakers < {f"voice{number}" for number in range(8)}
    for name, label in answers["labels"].items():
        assert isinstance(label, list), f"{name}: {label}"
        assert set(label) <= speakers, name


def test_three_classes_load_the_export(answers):
    assert set(answers["labels"]) == {
        "SpeakerRecognition",
        "EncoderClassifier",
        "SiameseRecognition",
    }


def test_stock_class_decides_at_a_quarter(answers):
    score, same = answers["stock"]
    assert same == (score > 0.25)


def test_our_class_decides_at_the_stored_threshold(answers, trained):
    report = json.loads((trained / "metrics.json").read_text())
    assert answers["threshold"] == report["decision"]["threshold"]
    found, (_, same) = answers["compared"], answers["verified"]
    assert same == found["same"]
    assert same == (found["normalised"] > report["normalised"]["threshold"])


def test_stock_class_and_ours_score_alike(answers):
    """Where neither has to resample: each does that by a library of its own."""
    stock, ours = answers["one_rate"]
    assert ours[0] == pytest.approx(stock[0], abs=1e-4)


def test_comparison_tells_score_ratio_and_probability(answers, trained):
    report = json.loads((trained / "metrics.json").read_text())
    found, line = answers["compared"], answers["calibration"]
    assert line == report["normalised"]["calibration"]
    score, same = answers["verified"]
    assert found["score"] == pytest.approx(score, abs=1e-6)
    assert found["same"] == same
    llr = line["slope"] * found["normalised"] + line["intercept"]
    assert found["llr"] == pytest.approx(llr, abs=1e-4)
    # Bayes, at the prior 0.2 that was asked for.
    odds = math.exp(llr) * 0.2 / 0.8
    assert found["probability"] == pytest.approx(odds / (1 + odds), abs=1e-4)


def test_threshold_can_be_given(answers):
    assert answers["low"][1] is True
    assert answers["high"][1] is False


def test_path_objects_are_taken(answers):
    assert answers["paths"] == answers["ours"]


def test_files_of_one_name_stay_apart(answers):
    assert answers["same_name_differs"]


def test_m4a_is_read(answers, tiny):
    assert answers["m4a_seconds"] == pytest.approx(tiny.SECONDS, abs=0.2)
    assert -1 <= answers["m4a"][0] <= 1


def test_format_and_rate_hardly_change_an_embedding(answers):
    """44.1 kHz stereo AAC against 16 kHz PCM of the same sound."""
    # Whitened, one voice's windows have cosines of 0.3 to 0.5.
    assert answers["recoded"] > 0.75


def test_embedding_does_not_depend_on_the_batch(answers):
    assert answers["padded_stock"] < 1e-5
    assert answers["padded_ours"] < 1e-5


def test_encoding_has_no_gradient_and_evaluates_after_train(answers):
    assert answers["gradient"] is False
    assert answers["same_after_train"] is True
    # The network's 64, what describes 32 bins, 64 sounds of 20 cepstra.
    assert answers["shape"] == [2, 1, 64 + (3 * 32 + 24 * 24) + 64 * 20]
    assert answers["length"] < 1e-5


def test_normalize_subtracts_a_finite_mean(answers):
    assert answers["normalized"] == [True, True]
    assert answers["normalized_differs"]


def test_a_file_in_blocks_has_the_embedding_of_the_whole(answers):
    assert answers["streamed"] < 1e-5


def test_half_precision_is_near_and_no_more_than_that(answers):
    near, equal = answers["half"]
    assert near == pytest.approx(1, abs=2e-2)
    assert equal == pytest.approx(1, abs=1e-5)
    assert abs(near - 1) > abs(equal - 1)
    assert answers["half_type"] == "torch.float32"


def test_an_error_of_a_file_names_it(answers):
    kind, text = answers["hushed_file"]
    assert kind == "ValueError"
    assert "hushed.wav: the recording is silent" in text


@pytest.mark.parametrize(
    "what, words", [("short", "expected at least"), ("hush", "is silent")]
)
def test_clip_without_enough_sound_is_refused(answers, what, words):
    kind, text = answers[what]
    assert kind == "ValueError"
    assert words in text


@pytest.mark.parametrize(
    "what",
    [
        "missing",
        "missing_folder",
        "relative_missing_folder",
        "missing_on_the_hub",
        "missing_path",
    ],
)
def test_missing_file_is_named(answers, what):
    kind, text = answers[what]
    assert kind == "ValueError", text
    assert "no.wav" in text
    hub = "no such file here, and not on the hub"
    assert (hub in text) is (what == "missing_on_the_hub")


def test_nothing_is_left_in_the_working_directory(elsewhere):
    cwd = elsewhere[1]
    assert [path.name for path in cwd.iterdir()] == ["label_encoder.txt"]
    assert (cwd / "label_encoder.txt").read_text() == DECOY
