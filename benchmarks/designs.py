"""Each design, trained for the same time on the same people's recordings.

> python benchmarks/designs.py --data=<folder> [--only two_tower]

The folder holds ``raw/``, ``clips/`` and ``protocol/`` (unseen_speakers.txt
and trials_unseen.txt, whose paths begin in ``clips/``). Each design is trained
by the user's own command for ``--minutes`` and scored on windows of its
training speech, on its own time split (whose trials differ with what a design
holds out and how it cleans), and on people whom none has ever heard. A
finished run is recorded in ``benchmarks/results/designs/`` with the score of
every trial; runs that are recorded are not done again. ``--quick`` trains
nothing: it recomputes the table from the records. The last line is JSON.
"""

from __future__ import annotations

import argparse
import functools
import json
from pathlib import Path

import numpy as np
import torch
from runs import ROOT, command, recorded, told_command, train
from trial_records import by_corpus, described

from speechbrain_siamese.dataio.datasets import read_manifest
from speechbrain_siamese.dataio.pairs import make_pairs
from speechbrain_siamese.dataio.trial_sets import listed_trials, prepared_trials
from speechbrain_siamese.evaluation.systems import EmbeddingSystem, prepare_all
from speechbrain_siamese.inference.embeddings import EmbeddingCache
from speechbrain_siamese.inference.fingerprint import model_fingerprint
from speechbrain_siamese.inference.speaker import SiameseRecognition
from speechbrain_siamese.processing.scoring import MEASURES
from speechbrain_siamese.utils.intervals import bootstrap_interval
from speechbrain_siamese.utils.metrics import verification_metrics

RESULTS = ROOT / "benchmarks" / "results" / "designs"

#: Only the time split and validation are held out: unseen people have a list.
HELD_OUT = ["--test_speakers=0", "--test_sessions=0", "--test_time=0.2"]

#: YAML file, pairs of a step, whether it learns from short clips, settings.
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
        [
            *HELD_OUT,
            "--pretrained_path=null",
            "--lr_factors={embedding_model: 1.0}",
        ],
    ),
}

#: Of the two-tower design as it was published: 34 speakers, 30 epochs.
PUBLISHED_PAIRS = (34 * 100 + 34 * 33 * 25) * 30
PUBLISHED = {
    "training": "distances 1.40/4.70, precision 0.87, recall 0.84",
    "time": "distances 1.80/4.40, precision and recall close to 0.8",
}

#: Similar to dissimilar pairs: the published design's own ratio, and even.
RATIOS = (8.25, 1.0)


def run(name: str, data: Path, folder: Path, minutes: float) -> dict:
    """Train one design, if that is not done, and score all its trials."""
    output = folder / name
    yaml, _, clips, settings = DESIGNS[name]
    arguments = command(yaml, data, output, minutes, settings, clips)
    usage = train(arguments, output)
    report = json.loads((output / "metrics.json").read_text())
    model = SiameseRecognition.from_hparams(source=str(output / "export"))
    return {
        "design": name,
        "command": told_command(arguments, data, folder),
        **usage,
        "minutes": report["training_minutes"],
        "steps": report["training_steps"],
        "decision": report["decision"],
        "measure": model.hparams.measure,
        "trials": {
            "training": training_trials(model, output / "prepared"),
            **held_out_trials(model, output, data),
        },
    }


@torch.no_grad()
def training_trials(model: SiameseRecognition, prepared: Path) -> dict:
    """Pairs of new windows of the long recordings, as training draws them."""
    found = json.loads((prepared.parent / "metrics.json").read_text())
    settings = found["settings"]
    window = round(settings["window_len"] * settings["sample_rate"])
    hop = getattr(model.mods.compute_features, "hop_samples", None)
    frames = getattr(model.mods.embedding_model, "window_frames", None)
    if hop and frames:
        window = hop * frames
    train = read_manifest(str(prepared / "train.csv"), str(prepared), window)
    train.set_output_keys(["sig"])
    rows = [train.data[data_id] for data_id in train.data_ids]
    long = [
        row
        for row, columns in enumerate(rows)
        if Path(columns["wav"]).relative_to(prepared).parts[0] == "clean"
    ]
    speakers = [rows[row]["spk_id"] for row in long]
    pairs = make_pairs(
        speakers,
        [(int(rows[row]["start"]), int(rows[row]["stop"])) for row in long],
        window,
        similar_per_speaker=10,
        dissimilar_per_pair=1,
        seed=settings["seed"],
    )
    draws = pairs.draws(np.arange(len(pairs)))
    embeddings = torch.cat(
        [
            model.encode_batch(
                train[draw._replace(row=long[draw.row])]["sig"][None]
            )[0]
            for draw in draws
        ]
    )
    left = np.arange(len(pairs))
    right = left + len(pairs)
    return described(
        [speakers[draw.row] for draw in draws],
        left,
        right,
        pairs.same,
        MEASURES[model.hparams.measure](embeddings, left, right),
    )


def held_out_trials(model, output: Path, data: Path) -> dict[str, dict]:
    """Trials of the time split and of people who were never heard."""
    cache = EmbeddingCache(output / "embeddings", model_fingerprint(model))
    system = EmbeddingSystem("model", model, cache)
    prepared = output / "prepared"
    listed = [
        prepared_trials(prepared, "time", "known voice, known recording"),
        listed_trials(data / "protocol" / "trials_unseen.txt", data / "clips"),
    ]
    kept, _ = prepare_all([system], listed)
    return {
        key: described(
            trials.speakers,
            trials.table.enrol,
            trials.table.test,
            trials.table.labels,
            system.scores(trials),
        )
        for key, trials in zip(("time", "unseen"), kept, strict=True)
    }


def figures(record: dict) -> dict[str, dict]:
    """What the table shows of each trial list, from a record alone."""
    lists = dict(record["trials"])
    unseen = lists.pop("unseen")
    lists |= {f"unseen {key}": part for key, part in by_corpus(unseen).items()}
    found = {}
    for key, trials in lists.items():
        labels = np.array([int(label) for label in trials["labels"]])
        scores = np.array(trials["scores"])
        own = verification_metrics(
            # Rounding may lift a cosine above 1.
            np.minimum(scores, 1.0),
            labels,
            record["decision"]["threshold"],
            record["measure"],
        )
        accepted = scores > record["decision"]["threshold"]
        recall, false = (accepted[labels == side].mean() for side in (1, 0))
        speakers = np.array(trials["speakers"])
        found[key] = {
            "trials": len(labels),
            "trials_similar": own["trials_similar"],
            "eer": own["eer"],
            "interval": bootstrap_interval(
                scores,
                labels,
                speakers[trials["enrol"]],
                speakers[trials["test"]],
            ),
            "similar": own["distance_similar"],
            "dissimilar": own["distance_dissimilar"],
            "recall": float(recall),
            **{
                f"precision_1_to_{ratio:g}": float(
                    recall / max(1e-12, recall + ratio * false)
                )
                for ratio in RATIOS
            },
        }
    return found


def table(records: list[dict]) -> dict:
    """Print the tables; returns their figures."""
    rows = {}
    for kept in records:
        pairs = kept["steps"] * DESIGNS[kept["design"]][1]
        rows[kept["design"]] = {
            "pairs_per_s": pairs / (60 * kept["minutes"]),
            "peak_mb": kept["peak_mb"],
            **figures(kept),
        }
    print("design     minutes  steps  pairs/s  peak MB  command")
    for kept in records:
        own = rows[kept["design"]]
        print(
            f"{kept['design']:<11}{kept['minutes']:7.1f}"
            f"{kept['steps']:7}{own['pairs_per_s']:9.1f}"
            f"{own['peak_mb']:9.0f}  {kept['command']}"
        )
    print(
        "\ndesign     trials     similar of all   EER (95 %)             "
        "distance: similar, dissimilar  recall  precision at 1 to 8.25, 1 to 1"
    )
    for name, row in rows.items():
        for key, own in row.items():
            if not isinstance(own, dict):
                continue
            low, high = (100 * end for end in own["interval"])
            print(
                f"{name:<11}{key:<11}{own['trials_similar']:7} of "
                f"{own['trials']:<7}{100 * own['eer']:5.1f} % "
                f"({low:.1f} to {high:.1f})".ljust(62)
                + f"{own['similar']:17.2f}{own['dissimilar']:12.2f}"
                f"{own['recall']:8.2f}{own['precision_1_to_8.25']:19.2f}"
                f"{own['precision_1_to_1']:8.2f}"
            )
            if name == "two_tower" and key in PUBLISHED:
                print(f"  as published, with ImageNet: {PUBLISHED[key]}")
    if "two_tower" in rows:
        hours = PUBLISHED_PAIRS / rows["two_tower"]["pairs_per_s"] / 3600
        rows["two_tower"]["published_hours"] = hours
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
        make = None
        if not options.quick:
            if options.data is None:
                parser.error("--data is needed to train")
            make = functools.partial(
                run,
                name,
                options.data.resolve(),
                options.work.resolve(),
                options.minutes,
            )
        found = recorded(RESULTS / f"{name}.json", make, options.minutes)
        records += [found] if found else []
    print(json.dumps(table(records)))


if __name__ == "__main__":
    main()
