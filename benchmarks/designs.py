"""Each design, trained on the same recordings for the same time.

> python benchmarks/designs.py --data=<folder> [--only=two_tower]

The folder holds ``raw/``, ``clips/`` and ``protocol/`` (unseen_speakers.txt
and trials_unseen.txt, whose paths begin in ``clips/``). Each design is trained
by the user's own command for ``--minutes`` and scored on the time split and on
people whom it has never heard. A finished run is recorded in
``benchmarks/results/designs/`` with the score of every trial; runs that are
recorded are not done again. ``--quick`` trains nothing: it recomputes the table
from the records. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from speechbrain_siamese.dataio.trial_sets import listed_trials
from speechbrain_siamese.evaluation.systems import EmbeddingSystem, prepare_all
from speechbrain_siamese.inference.embeddings import (
    EmbeddingCache,
    model_fingerprint,
)
from speechbrain_siamese.inference.speaker import SiameseRecognition
from speechbrain_siamese.utils.intervals import bootstrap_interval
from speechbrain_siamese.utils.metrics import eer
from speechbrain_siamese.utils.whole_file import whole_file

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "designs"

#: Only the time split and validation are held out: unseen people have a list.
HELD_OUT = ["--test_speakers=0", "--test_sessions=0", "--test_time=0.2"]

#: YAML file, pairs of a step, what it trains on and with.
DESIGNS = {
    "siamese": ("siamese.yaml", 2016, True, HELD_OUT),
    "two_tower": (
        "siamese_two_tower.yaml",
        16,
        # Its pairs grow with the square of the speakers: the long recordings.
        False,
        ["--imagenet_weights=False"],
    ),
    "mfcc_2019": ("siamese_2019.yaml", 2016, True, HELD_OUT),
    "ecapa": (
        "siamese_ecapa.yaml",
        2016,
        True,
        [*HELD_OUT, "--pretrained_path=null", "--lr_factors={}"],
    ),
}

#: Of the two-tower design as it was published: 34 speakers, 30 epochs.
PUBLISHED_PAIRS = (34 * 100 + 34 * 33 * 25) * 30


def command(name: str, data: Path, output: Path, minutes: float) -> list[str]:
    """The user's command for one design."""
    yaml, _, clips, settings = DESIGNS[name]
    options = [
        f"--data_folder={data / 'raw'}",
        "--trim_start=12",
        "--trim_end=12",
        f"--exclude_speakers={data / 'protocol' / 'unseen_speakers.txt'}",
        f"--max_minutes={minutes:g}",
        "--number_of_epochs=1000",
        f"--output_folder={output}",
        *settings,
    ]
    if clips:
        options.append(f"--clips_folder={data / 'clips'}")
    return [sys.executable, "train.py", f"hparams/{yaml}", *options]


def run(name: str, data: Path, folder: Path, minutes: float) -> dict:
    """Train one design and score the people whom it has never heard."""
    output = folder / name
    arguments = command(name, data, output, minutes)
    process = subprocess.Popen(arguments, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{shlex.join(arguments)} failed: {status}")
    report = json.loads((output / "metrics.json").read_text())
    model = SiameseRecognition.from_hparams(source=str(output / "export"))
    hyperparams = (output / "export" / "hyperparams.yaml").read_text()
    cache = EmbeddingCache(
        output / "embeddings", model_fingerprint(model, hyperparams)
    )
    system = EmbeddingSystem(name, model, cache)
    listed = listed_trials(
        data / "protocol" / "trials_unseen.txt", data / "clips"
    )
    (trials,), _ = prepare_all([system], [listed])
    speakers = sorted(set(trials.speakers))
    number = {speaker: k for k, speaker in enumerate(speakers)}
    own = np.array([number[speaker] for speaker in trials.speakers])
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return {
        "design": name,
        "command": shlex.join(["python", *arguments[1:]]).replace(
            f"{data}{os.sep}", ""
        ),
        "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, "
        f"torch {torch.__version__}",
        "minutes": report["training_minutes"],
        "steps": report["training_steps"],
        "peak_mb": usage.ru_maxrss / 1024,
        "decision": report["decision"],
        "time": report["test"]["time"],
        "speakers": speakers,
        "enrol": own[trials.table.enrol].tolist(),
        "test": own[trials.table.test].tolist(),
        "labels": "".join(map(str, trials.table.labels)),
        "scores": [round(s, 6) for s in system.scores(trials).tolist()],
    }


def figures(record: dict) -> dict:
    """What the table shows, from a record alone."""
    labels = np.array([int(label) for label in record["labels"]])
    scores = np.array(record["scores"])
    speakers = np.array(record["speakers"])
    enrol, test = (speakers[record[side]] for side in ("enrol", "test"))
    corpora = np.array([re.match(r"\D*", name).group() for name in enrol])
    found = {}
    for corpus in sorted(set(corpora)):
        kept = corpora == corpus
        sides = enrol[kept], test[kept]
        found[corpus] = {
            "eer": eer(scores[kept], labels[kept])[0],
            "interval": bootstrap_interval(scores[kept], labels[kept], *sides),
        }
    accepted = scores > record["decision"]["threshold"]
    recall = accepted[labels == 1].mean()
    false = accepted[labels == 0].mean()
    pairs = DESIGNS[record["design"]][1]
    return {
        "unseen": found,
        "recall": float(recall),
        # Precision at 1 similar to so many dissimilar pairs.
        **{
            f"precision_1_to_{ratio:g}": float(
                recall / max(1e-12, recall + ratio * false)
            )
            for ratio in (8.25, 1.0)
        },
        "pairs_per_s": record["steps"] * pairs / (60 * record["minutes"]),
    }


def table(records: list[dict]) -> dict:
    """Print the table; returns its figures."""
    rows = {record["design"]: figures(record) for record in records}
    print(
        "design     minutes  steps  pairs/s  peak MB | time split: EER, "
        "distances, precision, recall | unseen: EER by corpus (95 %), "
        "precision at 1 to 8.25 and 1 to 1, recall"
    )
    for record in records:
        own, time = rows[record["design"]], record["time"]
        unseen = ", ".join(
            f"{corpus} {100 * f['eer']:.1f} % ({100 * f['interval'][0]:.1f} to "
            f"{100 * f['interval'][1]:.1f})"
            for corpus, f in own["unseen"].items()
        )
        print(
            f"{record['design']:<10}{record['minutes']:8.1f}"
            f"{record['steps']:7}{own['pairs_per_s']:9.1f}"
            f"{record['peak_mb']:9.0f} | {100 * time['eer']:.1f} %, "
            f"{time['distance_similar']:.2f}/{time['distance_dissimilar']:.2f},"
            f" {time['precision']:.2f}, {time['recall']:.2f} | {unseen}, "
            f"{own['precision_1_to_8.25']:.2f}, {own['precision_1_to_1']:.2f}, "
            f"{own['recall']:.2f}"
        )
        print(f"    {record['command']}")
    if "two_tower" in rows:
        hours = PUBLISHED_PAIRS / rows["two_tower"]["pairs_per_s"] / 3600
        print(
            f"The two-tower design as published, {PUBLISHED_PAIRS:,} pairs: "
            f"{hours:.0f} hours on this machine (random start)."
        )
    return rows


def main() -> None:
    """Train what is not recorded yet, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("results/designs"))
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--only", nargs="*", choices=DESIGNS)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    records = []
    for name in options.only or DESIGNS:
        path = RESULTS / f"{name}.json"
        if not path.is_file() and not options.quick:
            if options.data is None:
                parser.error("--data is needed to train")
            data, work = options.data.resolve(), options.work.resolve()
            record = run(name, data, work, options.minutes)
            with whole_file(path) as partial:
                partial.write_text(json.dumps(record) + "\n")
        if path.is_file():
            records.append(json.loads(path.read_text()))
    print(json.dumps(table(records)))


if __name__ == "__main__":
    main()
