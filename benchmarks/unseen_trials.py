"""Score a trial list with an export through SpeechBrain's stock class.

> python benchmarks/unseen_trials.py --source=<export> \
      --trials=<trials.txt> --root=<folder of the trials' audio>

Prints the EER and minDCF with 95 % intervals (resampling speakers), apart for
each corpus: the letters that the speakers' folder names begin with. The last
line is the same as JSON. ``--quick`` scores some 40 files, spread over all.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from speechbrain.inference.speaker import SpeakerRecognition
from tqdm import tqdm

from speechbrain_siamese.dataio.decoding import decode
from speechbrain_siamese.dataio.manifests import Trial, read_trials
from speechbrain_siamese.utils.intervals import bootstrap_interval
from speechbrain_siamese.utils.metrics import eer, min_dcf


def speaker(utterance: str) -> str:
    """Folder of an utterance, which is its speaker's name."""
    return Path(utterance).parent.name


def corpus(speaker: str) -> str:
    """Letters that a speaker's name begins with."""
    return re.match(r"\D*", speaker).group() or "all"


def embed(source: str, root: Path, utterances: list[str]) -> dict:
    """Embed each utterance, as a whole and alone, through the stock class.

    Our decoder reads the files: soundfile, which the stock class decodes with,
    takes some Opus files for malformed.
    """
    model = SpeakerRecognition.from_hparams(source=source)
    rate = model.audio_normalizer.sample_rate
    embeddings = {}
    with torch.no_grad():
        for name in tqdm(utterances, desc="Embedding", unit="file"):
            wav = torch.from_numpy(decode(root / name, rate))
            embeddings[name] = model.encode_batch(wav[None]).reshape(-1)
    return embeddings


def measure(trials: list[Trial], embeddings: dict) -> dict:
    """EER and minDCF of one corpus with their intervals."""
    scores = np.array(
        [
            torch.cosine_similarity(
                embeddings[trial.enrol], embeddings[trial.test], dim=0
            ).item()
            for trial in trials
        ]
    )
    labels = np.array([trial.label for trial in trials])
    sides = (
        [speaker(trial.enrol) for trial in trials],
        [speaker(trial.test) for trial in trials],
    )
    return {
        "speakers": len(set(sides[0] + sides[1])),
        "trials": len(trials),
        "eer": eer(scores, labels)[0],
        "eer_interval": bootstrap_interval(scores, labels, *sides),
        "min_dcf": min_dcf(scores, labels),
        "min_dcf_interval": bootstrap_interval(
            scores, labels, *sides, metric="min_dcf_0.01"
        ),
    }


def main() -> None:
    """Parse the arguments, score, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--trials", required=True)
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()

    trials = read_trials(options.trials)
    names = sorted({n for t in trials for n in (t.enrol, t.test)})
    if options.quick:
        kept = set(names[:: max(1, len(names) // 40)])
        trials = [t for t in trials if {t.enrol, t.test} <= kept]
        names = sorted({n for t in trials for n in (t.enrol, t.test)})
    embeddings = embed(options.source, options.root, names)

    by_corpus = defaultdict(list)
    for trial in trials:
        by_corpus[corpus(speaker(trial.enrol))].append(trial)
    figures = {
        name: measure(own, embeddings)
        for name, own in sorted(by_corpus.items())
        if {trial.label for trial in own} == {0, 1}
    }
    print("corpus  speakers  trials   EER (95 %)              minDCF(0.01)")
    for name, found in figures.items():
        low, high = found["eer_interval"]
        print(
            f"{name:<8}{found['speakers']:>8}{found['trials']:>8}   "
            f"{100 * found['eer']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
            f"   {found['min_dcf']:.3f}"
        )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
