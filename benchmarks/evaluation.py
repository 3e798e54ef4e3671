"""A million trials: seconds and memory, beside SpeechBrain's loop.

> python benchmarks/evaluation.py [--quick]

Random embeddings of 192 dimensions with a voice in them. Ours reads the list,
scores it, and computes all figures and the EER's interval (1,000 draws of
speakers). SpeechBrain's way is that of its VoxCeleb recipe: a loop over the
lines with one cosine each, then ``EER`` and ``minDCF``, whose memory grows
with the square of the trials; both do 5,000 trials for the comparison, without
an interval. ``--quick`` takes 100,000 trials in place of a million. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from speechbrain.utils.metric_stats import EER, minDCF

from speechbrain_siamese.dataio.manifests import read_trials
from speechbrain_siamese.dataio.trial_table import read_trial_table
from speechbrain_siamese.processing.scoring import cosine_scores
from speechbrain_siamese.utils.intervals import bootstrap_interval
from speechbrain_siamese.utils.metrics import verification_metrics

DIM = 192
PER_SPEAKER = 10


def make(utterances: int) -> torch.Tensor:
    """Embeddings, (utterances, dim); ten in a row are of one speaker."""
    torch.manual_seed(0)
    speakers = -(-utterances // PER_SPEAKER)
    voices = torch.randn(speakers, DIM).repeat_interleave(PER_SPEAKER, dim=0)
    return voices[:utterances] + 2 * torch.randn(utterances, DIM)


def write_list(path: Path, utterances: int, trials: int) -> None:
    """One trial in ten is of the same speaker."""
    rng = np.random.default_rng(0)
    enrol = rng.integers(utterances, size=trials)
    test = rng.integers(utterances, size=trials)
    same = rng.random(trials) < 0.1
    near = enrol // PER_SPEAKER * PER_SPEAKER
    test = np.where(same, near + rng.integers(PER_SPEAKER, size=trials), test)
    labels = enrol // PER_SPEAKER == test // PER_SPEAKER
    with open(path, "w") as file:
        for label, a, b in zip(labels, enrol, test, strict=True):
            file.write(
                f"{int(label)} id{a // PER_SPEAKER}/{a}.wav "
                f"id{b // PER_SPEAKER}/{b}.wav\n"
            )


def number(name: str) -> int:
    """Row of an utterance."""
    return int(Path(name).stem)


def ours(path: Path, embeddings: torch.Tensor, intervals: bool) -> float:
    """EER by our functions."""
    table = read_trial_table(path)
    rows = torch.tensor([number(name) for name in table.names])
    scores = cosine_scores(embeddings[rows], table.enrol, table.test)
    figures = verification_metrics(scores, table.labels)
    if intervals:
        speakers = np.array([name.split("/")[0] for name in table.names])
        _, speakers = np.unique(speakers, return_inverse=True)
        bootstrap_interval(
            scores, table.labels, speakers[table.enrol], speakers[table.test]
        )
    return figures["eer"]


def speechbrains(path: Path, embeddings: torch.Tensor) -> float:
    """EER by a loop over the trials and SpeechBrain's functions."""
    similarity = torch.nn.CosineSimilarity(dim=-1, eps=1e-6)
    scores: dict[int, list] = {0: [], 1: []}
    for trial in read_trials(path):
        enrol = embeddings[number(trial.enrol)]
        test = embeddings[number(trial.test)]
        scores[trial.label].append(similarity(enrol, test)[None])
    same, different = torch.cat(scores[1]), torch.cat(scores[0])
    minDCF(same, different, p_target=0.01)
    return EER(same, different)[0]


def timed(function, *arguments) -> tuple[float, float]:
    """Seconds and the EER."""
    start = time.perf_counter()
    rate = function(*arguments)
    return time.perf_counter() - start, rate


def child(folder: Path, trials: int) -> dict:
    """Our way on the long list; memory is the peak above the imports'."""
    utterances = 10_000
    path = folder / "long.txt"
    embeddings = make(utterances)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    alone, _ = timed(ours, path, embeddings, False)
    seconds, rate = timed(ours, path, embeddings, True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "trials": trials,
        "alone": alone,
        "seconds": seconds,
        "eer": rate,
        "peak_mb": (peak - before) / 1024,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        folder, trials = options.child
        print(json.dumps(child(Path(folder), int(trials))))
        return
    trials = 100_000 if options.quick else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_list(folder / "long.txt", 10_000, trials)
        command = [sys.executable, __file__, "--child", name, str(trials)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        long = json.loads(done.stdout.splitlines()[-1])
        write_list(folder / "short.txt", 1000, 5000)
        embeddings = make(1000)
        timed(ours, folder / "short.txt", embeddings, False)
        own, rate = timed(ours, folder / "short.txt", embeddings, False)
        other, peer_rate = timed(speechbrains, folder / "short.txt", embeddings)
    print("trials    way                  seconds     EER   peak MB")
    for count, way, seconds, found, peak in (
        (trials, "ours", long["alone"], long["eer"], ""),
        (
            trials,
            "ours, interval",
            long["seconds"],
            long["eer"],
            f"{long['peak_mb']:.0f}",
        ),
        (5000, "ours", own, rate, ""),
        (5000, "SpeechBrain's loop", other, peer_rate, ""),
    ):
        print(f"{count:<10}{way:<20}{seconds:8.2f}{found:8.4f}{peak:>10}")
    print(
        json.dumps(
            {
                "seconds_1m": long["seconds"],
                "peak_mb_1m": long["peak_mb"],
                "times_speechbrain": other / own,
            }
        )
    )


if __name__ == "__main__":
    main()
