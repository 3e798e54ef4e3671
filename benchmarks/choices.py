"""What makes the model better: one change at a time, 10 minutes each.

> python benchmarks/choices.py --data=<folder> [--only recommended codecs]

``--data`` as for designs.py. Each choice is the recommended YAML file with the
settings that stand beside its name, trained by the user's own command, once a
seed; the seed also draws which people are held out for validation, so that
figures are compared within a seed. The seeds of a choice train side by side,
each on one core. What a teacher takes to listen comes before the 10 minutes.
Judged on validation people alone: by the whole embedding, by the DenseNet's
part of it, which is what most choices change, and by what is left without. A
finished run is recorded in ``benchmarks/results/choices/``; runs that are
recorded are not done again. ``--quick`` trains nothing: it recomputes the table
from the records. The last line is JSON: of each choice the mean validation EER,
the DenseNet's own and that without it, and the ratios of all to the first
choice's on the same seeds; earlier records do not have them all.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from runs import ROOT, command, recorded, told_command, train
from speechbrain.inference.speaker import EncoderClassifier
from torch.nn import functional as F

from speechbrain_siamese.dataio.datasets import read_manifest
from speechbrain_siamese.dataio.trial_names import trial_name
from speechbrain_siamese.dataio.trial_table import read_trial_table
from speechbrain_siamese.utils.metrics import eer

RESULTS = ROOT / "benchmarks" / "results" / "choices"

#: Of the people with long recordings 30 % validate; nobody tests.
HELD_OUT = [
    "--valid_speakers=0.3",
    "--test_speakers=0",
    "--test_sessions=0",
    "--test_time=0",
]

TEACHER = "--teacher=!new:benchmarks.teachers.CamPlusPlus"

#: Techniques that the package does not have, and where miners are.
TRIED = "benchmarks.techniques"
MINERS = "pytorch_metric_learning.miners"

#: Settings beside those of hparams/siamese.yaml.
CHOICES = {
    "recommended": [],
    "full DenseNet121": ["--growth_rate=32", "--blocks=[6,12,24,16]"],
    # More multiply-adds, but in fewer and larger steps.
    "short trunk": ["--growth_rate=48", "--blocks=[2,4,6,4]"],
    "twice the layers": ["--blocks=[4,8,16,12]"],
    "half the layers": ["--blocks=[1,2,4,3]"],
    "hard pairs": [
        f"--compute_cost=!new:{TRIED}.Mined",
        f"--miner=!new:{MINERS}.MultiSimilarityMiner",
    ],
    "semi-hard pairs": [
        f"--compute_cost=!new:{TRIED}.Mined",
        f"--miner=!new:{TRIED}.SemiHard",
    ],
    "margins per side": [f"--compute_cost=!new:{TRIED}.MarginsPerSide"],
    "memory": [f"--compute_cost=!new:{TRIED}.Memory"],
    "classifier alone": ["--pair_weight=0"],
    "pairs alone": ["--classifier_weight=0"],
    "growing margin": [f"--classifier_cost=!new:{TRIED}.GrowingMargin"],
    # A speaker's share of the draws grows with all of the speech.
    "long speakers first": ["--full_share_seconds=1000000"],
    "mixed lengths": [
        f"--wav_augment=!new:{TRIED}.MixedLengths",
        "--window_len=3",
    ],
    "3 s": ["--window_len=3"],
    "attentive pooling": [f"--embedding_model=!new:{TRIED}.AttentivePooling"],
    "bins averaged": [f"--embedding_model=!new:{TRIED}.BinsAveraged"],
    # The statistics' own, for the DenseNet too.
    "speeds as speakers": [
        "--speeds=[82,91,100,110,121]",
        "--speed_voices=True",
    ],
    "other voices": ["--noise_share=0.5"],
    "codecs": ["--codec_share=0.25"],
    "reverberation": ["--reverb_share=0.3"],
    # pip has to have put it there: see teachers.py.
    "teacher": [TEACHER, "--teacher_weight=1"],
    "teacher x 10": [TEACHER, "--teacher_weight=10"],
    # Of people with long recordings alone, and a teacher that also speaks of
    # the others' clips, of which nobody says whose they are.
    "without clips": [],
    "without clips, teacher x 10": [TEACHER, "--teacher_weight=10"],
    "clips unlabelled, teacher x 10": [
        TEACHER,
        "--teacher_weight=10",
        "--unlabelled_folder=unlabelled_clips",
    ],
}

#: Recorded before, each with its command and its commit: the trunk had twice
#: the layers; cepstra's correlations
#: stood in the place of their covariance's root; the DenseNet had the speeds of
#: the statistics, as other speakers; statistics_weight was 4; a linear map of
#: the statistics was trained as the DenseNet is; there were none, on both
#: cores.
BEFORE = (
    "classifier alone, twice the layers",
    "pairs alone, twice the layers",
    "long speakers first, twice the layers",
    "speeds as speakers, twice the layers",
    "codecs, twice the layers",
    "teacher x 10, twice the layers",
    "hard pairs, twice the layers",
    "memory, twice the layers",
    "correlations",
    "hard pairs, speeds as speakers",
    "memory, speeds as speakers",
    "weight 4",
    "learnt statistics",
    "learnt statistics, averaged weights",
    "densenet121",
    "short",
    "short, teacher x 10 alone",
    "narrow",
    "narrow, all three",
    "narrow, five speeds as speakers",
    "narrow, teacher x 10",
)

SEEDS = (1986, 7)

#: Of the DenseNet's part of the embeddings, and of what is left without.
PARTS = ("network_eer", "statistics_eer")

#: Epochs at the end over which the EER is averaged: one is luck.
LAST = 3


def file_name(name: str, seed: int) -> str:
    """Of a run's record and folder."""
    return f"{name.replace(',', '').replace(' ', '_')}_{seed}"


def run(name: str, seed: int, data: Path, work: Path, minutes: float) -> dict:
    """One training, and what it reached on its validation people."""
    output = work / file_name(name, seed)
    clips = "clips" not in name
    prepared = work / (f"prepared_{seed}" if clips else f"long_{seed}")
    arguments = command(
        "siamese.yaml",
        data,
        output,
        minutes,
        [
            *HELD_OUT,
            f"--seed={seed}",
            # What is cleaned, and what a teacher said of it, is the same.
            f"--prepared_folder={prepared}",
            *(
                setting.replace("unlabelled_clips", str(unlabelled(data, work)))
                for setting in CHOICES[name]
            ),
        ],
        clips=clips,
    )
    usage = train(arguments, output, threads=1)
    report = json.loads((output / "metrics.json").read_text())
    return {
        "command": told_command(arguments, data, work),
        **usage,
        "seed": seed,
        "minutes": report["training_minutes"],
        "steps": report["training_steps"],
        "data": report["data"],
        "valid_speakers": report["valid"]["speakers"],
        **parts_eer(output / "export", prepared),
        "valid_eer": [round(e["valid_eer"], 5) for e in report["epochs"]],
        "train_loss": [round(e["train_loss"], 4) for e in report["epochs"]],
    }


def unlabelled(data: Path, work: Path) -> Path:
    """Folder of the clips of all who may train, in no folders of theirs."""
    folder = work / "unlabelled_clips"
    folder.mkdir(parents=True, exist_ok=True)
    unseen = (data / "protocol" / "unseen_speakers.txt").read_text().split()
    for clip in (data / "clips").glob("*/*"):
        if clip.parent.name not in unseen:
            # Of several seeds at once, one makes it.
            with contextlib.suppress(FileExistsError):
                (folder / clip.name).symlink_to(clip)
    return folder


def parts_eer(export: Path, prepared: Path) -> dict[str, float]:
    """EER of the DenseNet's part of the best epoch's embeddings, and without.

    What is computed from the speech before the training is the same for all
    choices that do not change it.
    """
    model = EncoderClassifier.from_hparams(
        source=str(export), savedir=str(export)
    )
    heard = read_manifest(str(prepared / "valid.csv"), str(prepared))
    heard.set_output_keys(["wav", "sig"])
    found = {
        trial_name(item["wav"]): model.encode_batch(item["sig"][None])[0, 0]
        for item in heard
    }
    trials = read_trial_table(prepared / "trials_valid.txt")
    stacked = torch.stack([found[name] for name in trials.names])
    size = model.mods.embedding_model.embedding_dim
    told = {}
    for name, part in zip(PARTS, stacked.tensor_split([size], 1), strict=True):
        part = F.normalize(part, dim=1)
        scores = (part[trials.enrol] * part[trials.test]).sum(dim=1)
        told[name] = round(eer(scores.numpy(), trials.labels)[0], 5)
    return told


def table(runs: dict[str, list[dict]]) -> dict:
    """Print the table; returns the figures."""
    print(
        "choice                                 seed   steps  epochs"
        "  EER at the end  least EER  DenseNet's  without it  loss"
    )
    figures: dict[str, dict[str, dict[int, float]]] = {}
    for name, records in runs.items():
        for own in records:
            end = float(np.mean(own["valid_eer"][-LAST:]))
            parts = [own.get(part) for part in PARTS]
            for key, value in zip(("eer", *PARTS), (end, *parts), strict=True):
                if value is not None:
                    by_seed = figures.setdefault(name, {}).setdefault(key, {})
                    by_seed[own["seed"]] = value
            alone = "".join(
                f"{100 * part:10.1f} %" if part else f"{'':12}"
                for part in parts
            )
            print(
                f"{name:<39}{own['seed']:<7}{own['steps']:5}"
                f"{len(own['valid_eer']):8}{100 * end:14.1f} %"
                f"{100 * min(own['valid_eer']):9.1f} %{alone}"
                f"{own['train_loss'][-1]:6.2f}"
            )
    first = figures.get(next(iter(CHOICES)), {})
    return {
        name: {
            **{key: float(np.mean([*own.values()])) for key, own in by.items()},
            **{
                f"{key}_times_first": float(
                    np.mean([own[seed] / first[key][seed] for seed in own])
                )
                for key, own in by.items()
                if name in CHOICES and own.keys() <= first.get(key, {}).keys()
            },
        }
        for name, by in figures.items()
    }


def main() -> None:
    """Train what is not recorded yet, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("results/choices"))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", nargs="*", choices=CHOICES)
    parser.add_argument("--seeds", nargs="*", type=int, default=SEEDS)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.data is None and not options.quick:
        parser.error("--data is needed to train")
    runs: dict[str, list[dict]] = {}
    for name in options.only or (*CHOICES, *BEFORE):
        paths = [
            RESULTS / f"{file_name(name, seed)}.json" for seed in options.seeds
        ]
        make = [None] * len(paths)
        if not options.quick and name in CHOICES:
            make = [
                functools.partial(
                    run,
                    name,
                    seed,
                    options.data.resolve(),
                    options.work.resolve(),
                    options.minutes,
                )
                for seed in options.seeds
            ]
        with ThreadPoolExecutor() as pool:
            minutes = [options.minutes if name in CHOICES else None] * len(make)
            all_found = pool.map(recorded, paths, make, minutes)
            own = [found for found in all_found if found]
        if own:
            runs[name] = own
    print(json.dumps(table(runs)))


if __name__ == "__main__":
    main()
