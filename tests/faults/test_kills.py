"""Killed at any moment and started again, each command ends the same.

    python -m pytest -m slow -s tests/faults/test_kills.py

prints the table of all kills. What is compared is in ``results.py``.
``SIAMESE_KILLS=0.2`` in the environment makes a fifth of them.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SEED = 1986
EPOCHS = 3
OFTEN = {"ckpt_interval_steps": 2, "ckpt_interval_minutes": 0}
SIAMESE = ["-m", "speechbrain_siamese.command_line"]

#: Commands with the number of their kills.
KILLS = {
    "prepare": 24,
    "prepare, 2 jobs": 4,
    "train": 16,
    "train, many checkpoints": 12,
    "measure and export": 16,
    "evaluate": 14,
    "enroll": 24,
    "export --onnx": 4,
}


@pytest.fixture(scope="module")
def small_trained(tiny, tiny_data, tmp_path_factory) -> Path:
    """Output folder of a model of the smallest size."""
    output = tmp_path_factory.mktemp("small") / "output"
    done = tiny.train(
        output, tiny_data, **{**tiny.SMALL, "number_of_epochs": EPOCHS}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return output


@pytest.fixture(scope="module")
def prepare(harness, results, tiny, tiny_data):
    """The preparation, into a folder."""

    def command(folder: Path, **settings):
        output = folder / "output"
        _, _, *arguments = tiny.command(output, tiny_data, **settings)
        recipe = Path(__file__).parents[2] / "recipes" / "YouTubeSpeakers"
        script = recipe / "youtube_prepare.py"
        return [script, *arguments], output, results.files

    return command


def enroll(export: Path, output: Path, name: str, recordings: list[Path]):
    """Add somebody to the gallery of an output folder."""
    return [
        *SIAMESE,
        "enroll",
        f"--source={export}",
        f"--gallery={output / 'people.sqlite'}",
        "--keep-audio",
        name,
        *recordings,
    ]


@pytest.fixture(scope="module")
def enrolment(harness, results, tiny, tiny_data, tmp_path_factory):
    """``enrolment(export, folder, clips)``, beside somebody who is there."""

    def command(export: Path, folder: Path, clips: int):
        before = tmp_path_factory.mktemp("before")
        *recordings, other = sorted(tiny_data.glob("voice[0-3]/*"))
        done = subprocess.run(
            [sys.executable, *enroll(export, before, "Ram", [other])],
            env=tiny.environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        output = folder / "output"
        return harness.Command(
            "enroll",
            enroll(export, output, "Sita", recordings[:clips]),
            output,
            results.enrolled,
            lambda output: shutil.copytree(before, output),
        )

    return command


@pytest.fixture(scope="module")
def commands(
    harness, results, tiny, tiny_data, prepare, small_trained, enrolment
):
    """``commands(name, folder)``: any of ``KILLS``."""
    export = small_trained / "export"
    shared = {
        **tiny.SMALL,
        "number_of_epochs": EPOCHS,
        "prepared_folder": small_trained / "prepared",
        "skip_prep": True,
    }

    def unfinished(output: Path) -> None:
        """Trained, but not yet measured."""
        shutil.copytree(small_trained, output)
        for name in ("prepared", "export", "figures"):
            shutil.rmtree(output / name)
        (output / "metrics.json").unlink()

    def train(output: Path, **settings):
        return tiny.command(output, tiny_data, **shared, **settings)[1:]

    def made(name: str, folder: Path):
        output = folder / "output"
        parts = {
            "prepare": lambda: prepare(folder),
            "prepare, 2 jobs": lambda: prepare(folder, n_jobs=2),
            "train": lambda: (train(output), output, results.trained),
            "train, many checkpoints": lambda: (
                train(output, **OFTEN),
                output,
                results.trained,
            ),
            "measure and export": lambda: (
                train(output),
                output,
                results.trained,
                unfinished,
            ),
            "evaluate": lambda: (
                tiny.evaluation(export, output)[1:],
                output,
                results.evaluated,
            ),
            "export --onnx": lambda: (
                [
                    *SIAMESE,
                    "export",
                    f"--source={export}",
                    f"--onnx={output}/model.onnx",
                ],
                output,
                results.onnx,
            ),
        }
        if name == "enroll":
            return enrolment(export, folder, 4)
        return harness.Command(name, *parts[name]())

    return made


@pytest.fixture(scope="module")
def table(harness):
    """Rows by command; printed at the end."""
    rows = {}
    yield rows
    total = harness.Tally()
    for tally in rows.values():
        total.kills += tally.kills
        total.starts += tally.starts
        total.trials += tally.trials
    lines = [tally.line(name) for name, tally in rows.items()]
    print("", harness.HEADING, *lines, total.line("in all"), sep="\n")


@pytest.mark.fault(
    "killed at any moment",
    "restarted, it ends as an undisturbed run does; no temporary file stays",
    kept=True,
)
@pytest.mark.slow
@pytest.mark.parametrize("name", KILLS)
def test_the_end_is_that_of_an_undisturbed_run(
    name, harness, warm, commands, table, tmp_path, record_property
):
    killer = harness.Killer(warm, commands(name, tmp_path), SEED)
    share = float(os.environ.get("SIAMESE_KILLS", "1"))
    table[name] = killer.kill(math.ceil(share * KILLS[name]))
    record_property("fault", f"SIGKILL, SIGTERM, SIGINT at any moment: {name}")
    record_property(
        "times", sum(table[name].kills[s.name] for s in harness.SIGNALS)
    )


def test_a_few_kills_of_preparation_and_enrolment_change_nothing(
    harness, warm, prepare, trained, enrolment, tmp_path
):
    killer = harness.Killer(
        warm, harness.Command("prepare", *prepare(tmp_path / "1")), SEED
    )
    killer.kill(3)
    command = enrolment(trained / "export", tmp_path / "2", 2)
    harness.Killer(warm, command, SEED).kill(2)
