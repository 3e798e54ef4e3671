"""Coverage-guided fuzzing of what comes from others: ``make fuzz``.

    python tests/fuzz/run.py <target> [seconds] [libFuzzer's options]

The seconds are those of a processor: beside other work it takes longer.
Targets are the files beside this one that have ``ask``. Inputs of the folder
``seeds/<target>`` begin, what is found goes to ``build/fuzz/<target>``. Only
Python code is watched for new paths, not FFmpeg and SQLite. A crash, a hang
of 30 s and 3 GB of memory end it; the input goes where ``-artifact_prefix=``
says.
Needs ``pip install "speechbrain-siamese[fuzz]"``.
"""

from __future__ import annotations

import importlib
import logging
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGETS = ("decoding", "tables", "gallery", "config")
LONGEST = 1 << 16

#: Tells the process that it is the one that fuzzes.
IN = "--in"


def main(target: str, seconds: str = "600", *options: str) -> None:
    """Fuzz one target for some CPU seconds, and print them and memory."""
    if target not in TARGETS:
        sys.exit(f"{target} is no target: expected one of {', '.join(TARGETS)}")
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        # A process of its own: libFuzzer ends it without a word.
        command = [sys.executable, __file__, IN, folder, target, seconds]
        code = subprocess.run(
            [*command, *options],
            # More threads that wait for each other would count, too.
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        ).returncode
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    minutes = (used.ru_utime + used.ru_stime) / 60
    print(f"{target}: {minutes:.1f} CPU-minutes, {used.ru_maxrss // 1024} MB")
    sys.exit(code)


def fuzz(folder: str, target: str, seconds: str, *options: str) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris

    sys.path.insert(0, str(HERE))
    with atheris.instrument_imports(
        include=["speechbrain_siamese", "csv", "json", *TARGETS]
    ):
        ask = importlib.import_module(target).ask
    import av

    av.logging.set_level(av.logging.PANIC)
    logging.disable()
    found = HERE.parent.parent / "build" / "fuzz" / target
    found.mkdir(parents=True, exist_ok=True)
    arguments = [
        sys.argv[0],
        "-timeout=30",
        "-rss_limit_mb=3000",
        f"-max_len={LONGEST}",
        "-len_control=20",
        "-print_final_stats=1",
        *options,
        str(found),
        str(HERE / "seeds" / target),
    ]
    end = time.process_time() + float(seconds)

    def ask_in_time(data: bytes) -> None:
        ask(data, Path(folder))
        # libFuzzer's own limit is one of the clock; this signal ends it well.
        if time.process_time() > end:
            signal.raise_signal(signal.SIGUSR1)

    atheris.Setup(arguments, ask_in_time)
    atheris.Fuzz()


def _memory() -> str | None:
    """A folder in memory, where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


if __name__ == "__main__":
    if sys.argv[1] == IN:
        fuzz(*sys.argv[2:])
    main(*sys.argv[1:])
