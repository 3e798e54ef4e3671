"""Pairs trained per second: all pairs of a batch against the two-tower way.

> python benchmarks/pairs.py [--quick]

The two-tower way of 2023 encodes both clips of every pair anew: 64 encoded
clips are 32 pairs. Encoding each clip once and taking every pair of the batch
makes 2,016 of the same 64. Both ways take the same encoder, window, number of
encoded clips, precision and optimiser, in turn in one run, on random waveforms
(speed does not depend on what is said). The last line is the same as JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from statistics import median

import torch

from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.features import LogMel
from speechbrain_siamese.nnet.losses import ContrastiveLoss

SAMPLE_RATE = 16000
WINDOW_LEN = 2.0
CLIPS = 64
SPEAKERS = 16


def step(encoder, optimizer, feats, loss_of) -> float:
    """Seconds of one training step in bf16: forward, loss, backward, update."""
    start = time.perf_counter()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        embeddings = encoder(feats).squeeze(1)
    loss_of(embeddings).backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure both ways in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    steps = 3 if parser.parse_args().quick else 15

    torch.manual_seed(0)
    encoder = DenseNetEncoder(window_len=WINDOW_LEN).train()
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-4)
    cost = ContrastiveLoss()
    labels = torch.arange(SPEAKERS).repeat_interleave(CLIPS // SPEAKERS)
    same = torch.arange(CLIPS // 2) % 2 == 0
    wavs = torch.randn(CLIPS, int(SAMPLE_RATE * WINDOW_LEN))
    feats = LogMel(sample_rate=SAMPLE_RATE)(wavs)

    def all_pairs(embeddings):
        return cost(embeddings, labels)

    def two_tower(embeddings):
        left, right = embeddings.chunk(2)
        return cost.over_pairs((left - right).norm(dim=1), same)

    ways = {
        "all pairs": (all_pairs, CLIPS * (CLIPS - 1) // 2),
        "two-tower": (two_tower, CLIPS // 2),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(steps + 1):
        for name, (loss_of, _) in ways.items():
            spent = step(encoder, optimizer, feats, loss_of)
            if number:  # the first of each is warm-up
                seconds[name].append(spent)

    rates = {name: n / median(seconds[name]) for name, (_, n) in ways.items()}
    print(f"{CLIPS} clips of {WINDOW_LEN} s a step, median of {steps} steps")
    print(f"{'way':<12}{'pairs a step':>14}{'s a step':>10}{'pairs/s':>10}")
    for name, (_, pairs) in ways.items():
        print(
            f"{name:<12}{pairs:>14}{median(seconds[name]):>10.2f}"
            f"{rates[name]:>10.1f}"
        )
    ratio = rates["all pairs"] / rates["two-tower"]
    print(json.dumps({"pairs_per_s_ratio": round(ratio, 2)}))


if __name__ == "__main__":
    main()
