"""How much faster many files are embedded together than one by one.

> python benchmarks/batches.py --source=<export folder>

Writes files of 2 to 12 s of noise in bursts (seed 1986), embeds each by
``SiameseRecognition.embed_file``, then all by ``embed_files``, in turns; the
medians of three. ``--quick`` takes 48 files instead of 400. The last line is
JSON: files a second each way, and their ratio.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from speechbrain_siamese.inference.speaker import SiameseRecognition

RATE, SEED = 16000, 1986


def write(folder: Path, count: int) -> list[Path]:
    """The files."""
    rng = np.random.default_rng(SEED)
    paths = []
    for number in range(count):
        samples = round(RATE * rng.uniform(2, 12))
        bursts = np.sin(np.arange(samples) / 4000) > -0.5
        noise = rng.standard_normal(samples) * np.where(bursts, 0.1, 1e-4)
        paths.append(folder / f"{number}.wav")
        soundfile.write(paths[-1], noise, RATE)
    return paths


def seconds(call) -> float:
    """What a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    model = SiameseRecognition.from_hparams(
        source=options.source, run_opts={"precision": options.precision}
    )
    with tempfile.TemporaryDirectory() as folder:
        paths = write(Path(folder), 48 if options.quick else 400)
        model.embed_files(paths[:8])

        def one_by_one():
            for path in paths:
                model.embed_file(path)

        times = [
            (seconds(one_by_one), seconds(lambda: model.embed_files(paths)))
            for _ in range(3)
        ]
    alone, together = len(paths) / np.median(times, axis=0)
    print(f"one by one {alone:8.1f} files/s")
    print(f"together   {together:8.1f} files/s")
    print(
        json.dumps(
            {
                "files_per_second_alone": alone,
                "files_per_second_together": together,
                "ratio": together / alone,
            }
        )
    )


if __name__ == "__main__":
    main()
