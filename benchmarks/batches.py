"""How much faster many files are embedded and verified together.

> python benchmarks/batches.py --source=<export folder>

Writes files of 2 to 12 s of noise in bursts (seed 1986), embeds each by
``SiameseRecognition.embed_file``, then all by ``embed_files``, in turns. Then
the trials of the first file against each other one, and of every two of the
first 30, by ``compare_files`` and by ``compare_pairs``, which embeds a file but
once. Medians of three turns; ``--quick`` takes 24 files, 10 for every two, and
one turn. The last line is JSON: files or trials a second each way, and their
ratio.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from speechbrain_siamese.inference.speaker import SiameseRecognition

RATE, SEED = 16000, 1986

#: What is timed.
WORDS = {
    "files": "files embedded a second",
    "verify_one": "trials a second, one against all",
    "verify_every": "trials a second, every two",
}


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


def rate(turns, items, one: Callable, together: Callable) -> tuple:
    """Items a second one by one and together, medians of so many turns."""

    def one_by_one():
        for item in items:
            one(item)

    times = [
        (seconds(one_by_one), seconds(lambda: together(items)))
        for _ in range(turns)
    ]
    return tuple(len(items) / np.median(times, axis=0))


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
        paths = write(Path(folder), 24 if options.quick else 400)
        model.embed_files(paths[:8])
        some = paths[: 10 if options.quick else 30]
        one_against_all = [(paths[0], path) for path in paths[1:]]
        every_two = list(itertools.combinations(some, 2))
        turns = 1 if options.quick else 3
        compare, together = model.compare_files, model.compare_pairs
        rates = {
            "files": rate(turns, paths, model.embed_file, model.embed_files),
            "verify_one": rate(
                turns, one_against_all, lambda two: compare(*two), together
            ),
            "verify_every": rate(
                turns, every_two, lambda two: compare(*two), together
            ),
        }
    figures = {}
    print(f"{'what':<34}{'one by one':>11}{'together':>10}{'ratio':>7}")
    for key, words in WORDS.items():
        alone, joined = rates[key]
        print(f"{words:<34}{alone:>11.1f}{joined:>10.1f}{joined / alone:>7.1f}")
        figures |= {
            f"{key}_per_second_alone": alone,
            f"{key}_per_second_together": joined,
            f"{key}_ratio": joined / alone,
        }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
