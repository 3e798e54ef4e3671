"""Starts commands whose slow imports are done already, one after the other.

    python warm_start.py

Reads one JSON line for each command: ``arguments`` (as after ``python``),
``folder`` to start in, ``log`` for what it prints, and, to have it killed at
a moment that no clock can hit, ``event`` (of those that change files below
``watched``, counted from 0), ``signal``, and ``delay`` in seconds after it.
Prints the id of the process, then its exit code. The commands' own code is
what runs, to the interpreter's end; importing PyTorch and SpeechBrain for each
of hundreds of kills would take an hour.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import signal
import sys
import threading
import time

#: What the commands import, or their YAML files name.
IMPORTS = (
    "matplotlib.pyplot",
    "sklearn.manifold",
    "speechbrain.augment.augmenter",
    "speechbrain.augment.freq_domain",
    "speechbrain.augment.time_domain",
    "speechbrain.inference.speaker",
    "speechbrain.lobes.models.ECAPA_TDNN",
    "speechbrain_siamese.commands.people",
    "speechbrain_siamese.core",
    "speechbrain_siamese.dataio.corpus",
    "speechbrain_siamese.evaluation.comparison",
    "speechbrain_siamese.evaluation.html_report",
    "speechbrain_siamese.inference.gallery",
    "speechbrain_siamese.inference.speaker",
    "speechbrain_siamese.lobes.ensemble",
    "speechbrain_siamese.utils.export",
)

#: Audit events of CPython that change files; opening to write is told apart.
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}


def serve() -> dict | None:
    """Start a process per line; returns the job in each of them."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            return json.loads(line)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def changes_a_file(event: str, arguments: tuple, watched: str) -> bool:
    """Whether an audit event is about to change something of ours."""
    if event == "open":
        path, mode, flags = arguments
        writes = mode and set(mode) & set("wax+")
        if not writes and not (mode is None and flags & os.O_CREAT):
            return False
    elif event in CHANGES:
        path = arguments[0]
    else:
        return event == "sqlite3.connect"
    return isinstance(path, str | bytes | os.PathLike) and os.fsdecode(
        path
    ).startswith(watched)


def arrange_kill(job: dict) -> None:
    """Count events, and kill this process at the one that was drawn."""
    seen, begun = 0, time.monotonic()

    def kill():
        time.sleep(job["delay"])
        os.kill(os.getpid(), job["signal"])

    def hook(event, arguments):
        nonlocal seen
        if not changes_a_file(event, arguments, job["watched"]):
            return
        seen += 1
        with open(job["log"] + ".events", "a") as file:
            file.write(f"{time.monotonic() - begun:.4f}\n")
        if seen == job["event"] + 1:
            if job["delay"]:
                threading.Thread(target=kill, daemon=True).start()
            else:
                kill()

    sys.addaudithook(hook)


def become(job: dict) -> None:
    """Be ``python <arguments>``."""
    os.setsid()
    # A shell starts what is in the background deaf to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    log = os.open(job["log"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(log, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(job["folder"])
    if "event" in job:
        arrange_kill(job)
    arguments = job["arguments"]
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path.insert(0, job["folder"])
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    for name in IMPORTS:
        importlib.import_module(name)
    print("ready", flush=True)
    given = serve()
    # At the very end, so that the interpreter ends as it always does.
    if given:
        become(given)
