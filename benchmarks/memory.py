"""Memory that embedding or labelling a file takes, by the file's length.

> python benchmarks/memory.py --source=<export folder> [--label] [--quick]

Files of noise in bursts are written to a temporary folder, and each is
embedded by ``SiameseRecognition.embed_file``, with ``--label`` labelled by
``label``, in a process of its own, whose peak memory is told; beside it the
peak of a process that only loads the export. ``--quick`` takes 5 and 25
minutes of audio, otherwise it is 12, 60 and 120. The last line is JSON: the
peak of the longest (``peak_mb``), how much more it is than that of the
shortest (``growth_mb``), and seconds of audio a second (``x_realtime``).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000


def write(path: Path, minutes: int) -> None:
    """Bursts of noise with pauses, so that a part is left out as silence."""
    generator = np.random.default_rng(0)
    bursts = np.where(np.sin(np.arange(60 * RATE) / 4000) > -0.5, 0.1, 1e-4)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for _ in range(minutes):
            file.write(bursts * generator.standard_normal(len(bursts)))


def measure(source: str, path: Path | None, label: bool) -> dict[str, float]:
    """Peak memory of a new process that hears a file, and its seconds."""
    told = [] if path is None else [f"--hear={path}"]
    told += ["--label"] if label else []
    done = subprocess.run(
        [sys.executable, __file__, f"--source={source}", "--alone", *told],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def hear(source: str, path: str | None, label: bool) -> None:
    """What one of those processes does."""
    import resource

    from speechbrain_siamese.inference.speaker import SiameseRecognition

    model = SiameseRecognition.from_hparams(source=source)
    started = time.perf_counter()
    if path:
        model.label(path) if label else model.embed_file(path)
    seconds = time.perf_counter() - started
    unit = 1024**2 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    print(json.dumps({"peak_mb": round(peak), "seconds": seconds}))


def main() -> None:
    """Write the files, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--label", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--hear", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        hear(options.source, options.hear, options.label)
        return
    lengths = (5, 25) if options.quick else (12, 60, 120)
    loaded = measure(options.source, None, options.label)
    print("audio      peak     seconds")
    print(f"none   {loaded['peak_mb']:6.0f} MB")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in lengths:
            path = Path(folder) / f"{minutes}.wav"
            write(path, minutes)
            own = measure(options.source, path, options.label)
            found.append(own)
            print(
                f"{minutes:3} min{own['peak_mb']:7.0f} MB"
                f"{own['seconds']:10.1f}",
                flush=True,
            )
    print(
        json.dumps(
            {
                "peak_mb": found[-1]["peak_mb"],
                "growth_mb": found[-1]["peak_mb"] - found[0]["peak_mb"],
                "x_realtime": 60 * lengths[-1] / found[-1]["seconds"],
            }
        )
    )


if __name__ == "__main__":
    main()
