"""Kills commands at drawn moments, starts them again, and compares the end.

A ``Command`` is run undisturbed once; then, in *trials* that each begin in an
empty folder, it is killed one to three times in a row and at last left to end.
What it leaves has to equal what the undisturbed run left.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

#: No command of these tests takes longer, however busy the machine is.
PATIENCE = 300.0

#: What only a process that is at work may have: partial files and folders, a
#: folder that is being replaced, claims and locks, SQLite's journals, and
#: the folders of joblib's processes.
TEMPORARY = (
    "*.partial",
    "*.old",
    ".in_use",
    "*lock*",
    "*-journal",
    "*-wal",
    "*-shm",
    "*joblib*",
    "*loky*",
    "tmp*",
)


@dataclass(frozen=True)
class Command:
    """What is killed, and how its result is told.

    Arguments
    ---------
    name : str
        In the table.
    arguments : list of str
        As after ``python``.
    output : Path
        Folder that it writes to; emptied before each trial.
    contents : Callable
        From ``output`` to what must not differ, as a mapping.
    begin : Callable or None
        Puts into ``output``, which is not there, what has to be there first.
    """

    name: str
    arguments: list
    output: Path
    contents: Callable[[Path], dict]
    begin: Callable[[Path], object] | None = None


@dataclass
class Tally:
    """What was done to a command."""

    kills: Counter = field(default_factory=Counter)
    trials: int = 0
    starts: int = 0

    def line(self, name: str) -> str:
        """A row of the table."""
        counts = [self.kills[one.name] for one in SIGNALS]
        moments = [self.kills[how] for how in ("clock", "event")]
        cells = (sum(counts), *counts, *moments, self.starts, self.trials)
        return f"{name:<24}" + "".join(f"{cell:>9}" for cell in cells)


HEADING = f"{'command':<24}" + "".join(
    f"{word:>9}"
    for word in (
        "kills",
        *(one.name for one in SIGNALS),
        "by clock",
        "at file",
        "restarts",
        "ends",
    )
)


class Warm:
    """Processes whose slow imports are done: see ``warm_start.py``."""

    def __init__(self, tiny, folder: Path):
        self.root = tiny.ROOT
        self.log = folder / "console.txt"
        self.server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("warm_start.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=tiny.environment(),
        )
        assert self.server.stdout.readline() == "ready\n"

    def start(self, command: Command, **kill) -> int:
        """Start a command; returns its process's id."""
        job = {
            "arguments": [str(argument) for argument in command.arguments],
            "folder": str(self.root),
            "log": str(self.log),
            "watched": str(command.output.parent),
            **kill,
        }
        self.server.stdin.write(json.dumps(job) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def end(self, process: int) -> int:
        """Wait for a process; returns its exit code."""
        limit = time.monotonic() + PATIENCE
        while Path(f"/proc/{process}").exists():
            if time.monotonic() > limit:
                os.kill(process, signal.SIGKILL)
                self.server.stdout.readline()
                raise AssertionError(f"it hangs:\n{self.told()}")
            time.sleep(0.005)
        return int(self.server.stdout.readline())

    def told(self) -> str:
        """What the last command printed."""
        return self.log.read_text(errors="replace")[-5000:]

    def close(self) -> None:
        """End the server."""
        self.server.stdin.close()
        self.server.wait(PATIENCE)


class Killer:
    """Kills a command in trials, by a seed.

    Arguments
    ---------
    warm : Warm
    command : Command
    seed : int
    """

    def __init__(self, warm: Warm, command: Command, seed: int):
        self.warm, self.command = warm, command
        self.chance = random.Random(f"{seed} {command.name}")
        self.tally = Tally()
        self._fresh()
        begun = time.monotonic()
        # An event that never comes: only to count and to time them.
        process = warm.start(
            command, event=10**9, signal=int(signal.SIGKILL), delay=0
        )
        code = warm.end(process)
        assert code == 0, warm.told()
        self.seconds = time.monotonic() - begun
        notes = Path(f"{warm.log}.events")
        events = [json.loads(line) for line in notes.read_text().splitlines()]
        notes.unlink()
        #: Nothing can be half before the first file is written.
        self.first = events[0] if events else 0.0
        self.events = len(events)
        assert not self.left_over()
        self.expected = command.contents(command.output)

    def _fresh(self) -> None:
        shutil.rmtree(self.command.output, ignore_errors=True)
        if self.command.begin:
            self.command.begin(self.command.output)
        self.command.output.parent.mkdir(parents=True, exist_ok=True)

    def left_over(self) -> list[str]:
        """What should not be there any more."""
        root = self.command.output.parent
        return sorted(
            str(path.relative_to(root))
            for pattern in TEMPORARY
            for path in root.rglob(pattern)
        )

    def trial(self, kills: int) -> None:
        """Kill up to so many times in a row, then compare the end."""
        self._fresh()
        history = []
        for _ in range(kills):
            one = self.chance.choice(SIGNALS)
            at_file = self.chance.random() < 0.5
            kill = self._at_file if at_file else self._by_clock
            code, moment = kill(one)
            history.append(f"{one.name} {moment}: {code}")
            if code == 0:
                break
            # SIGINT becomes an exit code; what else fails is a mistake.
            assert code == -one or one == signal.SIGINT, (
                f"{history}\n{self.warm.told()}"
            )
            self.tally.kills.update([one.name, "event" if at_file else "clock"])
            self.tally.starts += 1
        else:
            code = self.warm.end(self.warm.start(self.command))
            assert code == 0, f"after {history}:\n{self.warm.told()}"
        self.tally.trials += 1
        found = self.command.contents(self.command.output)
        differ = [
            name
            for name in sorted({*found, *self.expected}, key=str)
            if found.get(name) != self.expected.get(name)
        ]
        assert not differ, f"{differ} differ after {history}"
        assert not self.left_over(), f"{self.left_over()} after {history}"

    def _by_clock(self, one: signal.Signals) -> tuple[int, str]:
        moment = self.chance.uniform(self.first, self.seconds)
        process = self.warm.start(self.command)
        time.sleep(moment)
        try:
            os.kill(process, one)
        except ProcessLookupError:
            # It was done before: later ones are drawn from a shorter time.
            self.seconds = max(moment, self.first + 0.1)
        return self.warm.end(process), f"after {moment:.2f} s"

    def _at_file(self, one: signal.Signals) -> tuple[int, str]:
        number = self.chance.randrange(self.events)
        delay = self.chance.choice((0, 0, self.chance.uniform(0, 0.003)))
        process = self.warm.start(
            self.command, event=number, signal=int(one), delay=delay
        )
        code = self.warm.end(process)
        notes = Path(f"{self.warm.log}.events")
        notes.unlink(missing_ok=True)
        return code, f"{1000 * delay:.1f} ms after file event {number}"

    def kill(self, times: int) -> Tally:
        """Make trials until it was killed so many times."""
        for _ in range(5 * times):
            left = times - sum(self.tally.kills[s.name] for s in SIGNALS)
            if left <= 0:
                return self.tally
            self.trial(min(left, self.chance.choice((1, 2, 3))))
        raise AssertionError(f"it ends before it can be killed: {self.tally}")
