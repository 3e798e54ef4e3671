"""A killed training, started again, ends as if nothing had happened."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
import yaml

pytestmark = pytest.mark.fault(
    "training killed beside checkpoints",
    "goes on to the same result",
    kept=True,
)

CLOCK = ("training_minutes",)
STEPS = 16  # of an epoch with the tiny corpus
STEP = re.compile(r"(\d+)/(\d+) \[[^\]]*train_loss")


def report(output: Path) -> dict:
    """The figures without those that tell the time."""
    found = json.loads((output / "metrics.json").read_text())
    return {key: value for key, value in found.items() if key not in CLOCK}


def checkpoints(output: Path) -> dict[Path, dict]:
    """Complete checkpoints with what they say of themselves, oldest first.

    By the time within: names of one second are in no order, since a new
    checkpoint takes the name of a deleted one.
    """
    found = {
        path.parent: yaml.safe_load(path.read_text())
        for path in (output / "save").glob("CKPT*/CKPT.yaml")
    }
    return dict(sorted(found.items(), key=lambda item: item[1]["unixtime"]))


def assert_same_run(output: Path, reference: Path) -> None:
    assert report(output) == report(reference)
    for name in ("embedding_model", "classifier"):
        ours, theirs = (
            torch.load(folder / "export" / f"{name}.ckpt", weights_only=True)
            for folder in (output, reference)
        )
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.fixture
def start(tiny, tiny_data, trained, tmp_path):
    """``start(**settings)`` and ``kill_when(condition)`` of one run."""
    output = tmp_path / "output"
    log = tmp_path / "console.txt"

    def kill_when(condition, **settings) -> None:
        """Start the command and SIGKILL it as soon as the condition holds.

        ``condition(epoch, step, steps)`` sees the progress bar.
        """
        with open(log, "w") as console:
            process = subprocess.Popen(
                tiny.command(output, tiny_data, **shared, **settings),
                cwd=tiny.ROOT,
                env=tiny.environment(),
                stdout=console,
                stderr=console,
            )
            try:
                while process.poll() is None:
                    text = log.read_text(errors="replace")
                    epochs = text.split("Going into epoch ")[1:]
                    steps = STEP.findall(epochs[-1]) if epochs else []
                    if steps and condition(len(epochs), *map(int, steps[-1])):
                        break
                    time.sleep(0.02)
                else:
                    pytest.fail(f"ended before the kill: {text[-3000:]}")
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait()
        assert not (output / "metrics.json").exists()

    def resume(**settings) -> str:
        done = tiny.train(output, tiny_data, **shared, **settings)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout + done.stderr

    shared = {"prepared_folder": trained / "prepared", "skip_prep": True}
    return output, kill_when, resume


def test_kill_in_an_epoch_changes_no_result(start, trained):
    output, kill_when, resume = start
    kill_when(lambda epoch, step, steps: epoch == 2 and 3 <= step < steps)
    assert [ckpt["epoch"] for ckpt in checkpoints(output).values()] == [1]
    assert "Going into epoch 1\n" not in resume()
    assert_same_run(output, trained)


@pytest.mark.slow
def test_kill_beside_checkpoints_of_every_step_changes_no_result(
    start, trained
):
    output, kill_when, resume = start
    often = {"ckpt_interval_steps": 1, "ckpt_interval_minutes": 0}
    kill_when(
        lambda epoch, step, steps: epoch == 2 and 3 <= step < steps, **often
    )
    newest = list(checkpoints(output).values())[-1]
    assert newest["end-of-epoch"] is False
    first = STEP.search(resume(**often))
    assert int(first[1]) > 1, "the epoch began again"
    assert_same_run(output, trained)


@pytest.mark.slow
def test_kill_between_the_last_step_and_validation_changes_no_result(
    start, trained
):
    """The newest checkpoint has no step left to do in its epoch."""
    output, kill_when, resume = start
    last = {"ckpt_interval_steps": STEPS, "ckpt_interval_minutes": 0}

    def saved(epoch, step, steps):
        assert steps == STEPS, "the corpus has changed: set STEPS anew"
        return len(checkpoints(output)) == 1

    kill_when(saved, **last)
    (only,) = checkpoints(output).values()
    assert only["end-of-epoch"] is False
    resume(**last)
    assert_same_run(output, trained)


@pytest.mark.slow
def test_time_that_was_over_before_the_first_validation_ends_with_a_model(
    start,
):
    output, kill_when, resume = start
    often = {"ckpt_interval_steps": 1, "ckpt_interval_minutes": 0}
    kill_when(lambda epoch, step, steps: step >= 10, **often)
    resume(max_minutes=0.01)
    (only,) = json.loads((output / "metrics.json").read_text())["epochs"]
    assert only["epoch"] == 1
    assert (output / "export").is_dir()


@pytest.mark.slow
def test_metrics_tell_epochs_after_the_best_one(start, trained):
    """Evaluation goes back to the best epoch; what came later stays told."""
    output, _, resume = start
    shutil.copytree(trained, output)
    for folder in checkpoints(output):
        shutil.rmtree(folder)
    for name in ("metrics.json", "train_log.txt"):
        (output / name).unlink()
    resume(number_of_epochs=1)
    steps = json.loads((output / "metrics.json").read_text())["training_steps"]
    (folder,) = checkpoints(output)
    told = yaml.safe_load((folder / "CKPT.yaml").read_text())
    (folder / "CKPT.yaml").write_text(yaml.safe_dump({**told, "EER": -1.0}))
    resume(number_of_epochs=2)
    found = json.loads((output / "metrics.json").read_text())
    assert found["best_epoch"] == 1
    assert [epoch["epoch"] for epoch in found["epochs"]] == [1, 2]
    assert found["training_steps"] == 2 * steps


@pytest.mark.slow
def test_kill_before_a_checkpoint_is_deleted_leaves_none_too_many(
    start, trained
):
    output, _, resume = start
    shutil.copytree(trained, output)
    (output / "metrics.json").unlink()
    kept = checkpoints(output)
    newest = list(kept)[-1]
    surpassed = newest.with_name("CKPT+surpassed")
    shutil.copytree(newest, surpassed)
    told = {"epoch": 0, "EER": 1.0, "unixtime": kept[newest]["unixtime"] - 1e3}
    (surpassed / "CKPT.yaml").write_text(
        yaml.safe_dump({**kept[newest], **told})
    )
    resume()
    assert checkpoints(output) == kept
    assert_same_run(output, trained)


def test_the_export_answers_with_people(trained):
    """Each by the whole embedding; training saw the DenseNet's part of it."""
    answers = torch.load(
        trained / "export" / "classifier.ckpt", weights_only=True
    )["weight"]
    voices = torch.load(trained / "export" / "cohort.ckpt", weights_only=True)
    (folder, *_) = checkpoints(trained)
    learnt = torch.load(folder / "classifier.ckpt", weights_only=True)["weight"]
    people = (trained / "export" / "label_encoder.txt").read_text().count("=>")
    # The encoder's file counts its own length beside the people.
    assert len(learnt) == len(answers) == people - 1
    # Each points where the voice's mean embedding does.
    same = torch.nn.functional.cosine_similarity(answers, voices["voices"])
    assert same.tolist() == pytest.approx([1.0] * len(same), abs=1e-4)
    assert answers.shape[1] > learnt.shape[1]
