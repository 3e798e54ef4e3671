"""Trainings by the user's own command, each recorded once.

Not a benchmark by itself: what those that train have in common.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from speechbrain_siamese.utils.whole_file import whole_file

ROOT = Path(__file__).resolve().parent.parent


def command(
    yaml: str,
    data: Path,
    output: Path,
    minutes: float,
    settings: Sequence[str],
    clips: bool = True,
    left_out: Path | None = None,
    steps: int | None = None,
) -> list[str]:
    """The user's command for one training on ``data``.

    ``left_out`` lists those who do not train; None for the protocol's list.
    With ``steps`` it lasts so many, in epochs of 50, and no ``minutes``.
    """
    left_out = left_out or data / "protocol" / "unseen_speakers.txt"
    options = [
        f"--data_folder={data / 'raw'}",
        "--trim_start=12",
        "--trim_end=12",
        f"--exclude_speakers={left_out}",
        f"--output_folder={output}",
        *settings,
    ]
    options += (
        ["--steps_per_epoch=50", f"--number_of_epochs={steps // 50}"]
        if steps
        else [f"--max_minutes={minutes:g}", "--number_of_epochs=1000"]
    )
    if clips:
        options.append(f"--clips_folder={data / 'clips'}")
    return [sys.executable, "train.py", f"hparams/{yaml}", *options]


def told_command(arguments: Sequence[str], data: Path, work: Path) -> str:
    """The same command as a reader types it, without this machine's paths."""
    return (
        shlex.join(["python", *arguments[1:]])
        .replace(f"{data}{os.sep}", "")
        .replace(f"{work}{os.sep}", "results/")
    )


def train(
    arguments: Sequence[str], output: Path, threads: int | None = None
) -> dict:
    """Run a training, unless it has run; what only its process can tell.

    A training that was broken off goes on from its checkpoint. With
    ``threads`` it computes on so many cores, not on all.
    """
    usage_file = output / "usage.json"
    if not usage_file.is_file():
        checked_out = commit()
        environment = dict(os.environ)
        if threads:
            environment["OMP_NUM_THREADS"] = str(threads)
        process = subprocess.Popen(arguments, cwd=ROOT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            code = os.waitstatus_to_exitcode(status)
            raise SystemExit(f"{shlex.join(arguments)} failed: {code}")
        unit = 1024**2 if sys.platform == "darwin" else 1024
        cores = threads or os.cpu_count()
        machine = f"{platform.machine()}, {cores} cores"
        told = {
            "commit": checked_out,
            "machine": f"{machine}, torch {torch.__version__}",
            "peak_mb": round(usage.ru_maxrss / unit),
        }
        usage_file.write_text(json.dumps(told))
    return json.loads(usage_file.read_text())


def commit() -> str:
    """Short name of the commit that is checked out, with -dirty if changed."""
    return subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def recorded(
    path: Path, make: Callable[[], dict] | None, minutes: float | None = None
) -> dict | None:
    """A record from its file; made and written where there is none.

    With None for ``make`` a missing record stays missing. One that is not of
    so many ``minutes`` ends the program: a table would mix both.
    """
    if not path.is_file():
        if make is None:
            return None
        made = make()
        with whole_file(path) as partial:
            partial.write_text(json.dumps(made, separators=(",", ":")) + "\n")
    found = json.loads(path.read_text())
    if minutes and abs(found["minutes"] / minutes - 1) > 0.1:
        raise SystemExit(
            f"{path} is of {found['minutes']:.1f} minutes, asked for are "
            f"{minutes:g}: give --minutes={found['minutes']:.0f}, or remove it"
        )
    return found
