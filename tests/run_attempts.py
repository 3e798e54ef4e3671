"""Runs the user's command several times, each in a process of its own.

    python run_attempts.py <attempts.json> <logs>

The JSON maps a name to the command's arguments. What an attempt writes goes
to ``<logs>/<name>.txt``, the exit codes are printed as JSON. Processes are
forked after the slow imports, so that an attempt costs one second, not eight.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
import time
from pathlib import Path

#: Longer than any mistake takes to be found.
SECONDS = 180


def preload() -> None:
    """Import what the command imports and what its YAML names."""
    for name in (
        "speechbrain.augment.augmenter",
        "speechbrain.augment.time_domain",
        "speechbrain.lobes.models.ECAPA_TDNN",
        "speechbrain.inference.speaker",
        "speechbrain_siamese.core",
        "speechbrain_siamese.evaluation.comparison",
        "speechbrain_siamese.lobes.densenet",
        "speechbrain_siamese.utils.export",
    ):
        importlib.import_module(name)


def attempt(arguments: list[str], log: Path, seconds: float = SECONDS) -> int:
    """Exit code of ``python <arguments>``."""
    child = os.fork()
    if child == 0:
        file = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.argv = arguments
        code = 0
        try:
            runpy.run_path(arguments[0], run_name="__main__")
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except BaseException:
            # As the interpreter would: SpeechBrain logs it by this hook.
            sys.excepthook(*sys.exc_info())
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return -9


def main(attempts: str, logs: str) -> None:
    """Make all attempts; print their exit codes."""
    preload()
    codes = {
        name: attempt(arguments, Path(logs) / f"{name}.txt")
        for name, arguments in json.loads(Path(attempts).read_text()).items()
    }
    print(json.dumps(codes))


if __name__ == "__main__":
    main(*sys.argv[1:])
