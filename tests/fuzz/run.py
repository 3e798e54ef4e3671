"""Coverage-guided fuzzing of what comes from others: ``make fuzz``.

    python tests/fuzz/run.py <target> [seconds] [libFuzzer's options]

Targets are the files beside this one that have ``ask``. Inputs of the folder
``seeds/<target>`` begin, what is found goes to ``build/fuzz/<target>``. Only
Python code is watched for new paths, not FFmpeg and SQLite. A crash, a hang
of 30 s and 2 GB of memory end it, and leave the input in the working folder.
Needs ``pip install "speechbrain-siamese[fuzz]"``.
"""

from __future__ import annotations

import importlib
import resource
import sys
import tempfile
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
TARGETS = ("decoding", "tables", "gallery", "config")
LONGEST = 1 << 16


def main(target: str, seconds: str = "600", *options: str) -> None:
    """Fuzz one target for some seconds, and print CPU time and runs."""
    if target not in TARGETS:
        sys.exit(f"{target} is no target: expected one of {', '.join(TARGETS)}")
    sys.path.insert(0, str(HERE))
    with atheris.instrument_imports(
        include=["speechbrain_siamese", "csv", "json", *TARGETS]
    ):
        ask = importlib.import_module(target).ask
    import av

    found = HERE.parent.parent / "build" / "fuzz" / target
    found.mkdir(parents=True, exist_ok=True)
    av.logging.set_level(av.logging.PANIC)
    importlib.import_module("logging").disable()
    runs = 0
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:

        def once(data):
            nonlocal runs
            runs += 1
            ask(data, Path(folder))

        arguments = [
            sys.argv[0],
            f"-max_total_time={seconds}",
            "-timeout=30",
            "-rss_limit_mb=3000",
            f"-max_len={LONGEST}",
            "-len_control=20",
            *options,
            str(found),
            str(HERE / "seeds" / target),
        ]
        atheris.Setup(arguments, once)
        import atexit

        def tell():
            used = resource.getrusage(resource.RUSAGE_SELF)
            print(
                f"{target}: {runs} runs, "
                f"{(used.ru_utime + used.ru_stime) / 60:.1f} CPU-minutes, "
                f"peak {used.ru_maxrss / 1024:.0f} MB",
                flush=True,
            )

        atexit.register(tell)
        atheris.Fuzz()


def _memory() -> str | None:
    """A folder in memory, where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


if __name__ == "__main__":
    main(*sys.argv[1:])
