"""Who recognises people it has never heard: our model beside its peers.

> python benchmarks/accuracy.py --data=<folder> [--only siamese_1986_30min]

The folder holds ``raw/``, ``clips/`` and ``protocol/`` (unseen_speakers.txt
and trials_unseen.txt, whose paths begin in ``clips/``). Each system is trained
by the user's own command, on the same people, with the same augmentation, for
the same time, and scores the trials by normalised scores, as our class decides,
and by the cosine of SpeechBrain's stock class (earlier runs and other people's
models by that alone); the two towers, whose pairs are of long recordings,
without augmentation and clips. Each finished run is recorded in
``benchmarks/results/accuracy/`` with the score of every trial; what is recorded
is not done again, and a run that was broken off goes on. Models that others
have trained on large corpora (``teachers.py``) score the same trials.
``--quick`` trains nothing: it recomputes the tables from the records.

Intervals hold 95 % of resampled speakers. A system is below another where the
paired interval of the difference is. Multiply-adds are those of torch's
counter, for a second of audio; seconds of embedding those of one run on that
machine. The last line is JSON: the EER on Malayalam (``eer_ml``) and on
LibriSpeech (``eer_ls``), the mean over the seeds that there are after 30
minutes; after 10 of a system that has not trained longer.
"""

from __future__ import annotations

import argparse
import csv
import functools
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from accuracy_runs import DROPPED, LARGE, RUNS, SYSTEMS, Run, left_out
from runs import ROOT, command, recorded, told_command, train
from speechbrain.inference.speaker import SpeakerRecognition
from teachers import TEACHERS
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm
from trial_records import by_corpus, described
from unseen_trials import speaker

from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.decoding import decode
from speechbrain_siamese.dataio.trial_table import TrialTable, read_trial_table
from speechbrain_siamese.dataio.voice_activity import voice_finder
from speechbrain_siamese.inference.speaker import SiameseRecognition
from speechbrain_siamese.utils.intervals import (
    bootstrap_difference,
    bootstrap_interval,
)
from speechbrain_siamese.utils.metrics import eer, min_dcf

RESULTS = ROOT / "benchmarks" / "results" / "accuracy"
TRIALS = RESULTS / "trials.json"


def do(folder: Path, run: Run, data: Path) -> dict:
    """Train, if that is not done, and score the trials once."""
    output, system = folder / run.name, SYSTEMS[run.system]
    arguments = command(
        system.yaml,
        data,
        output,
        run.minutes,
        [f"--seed={run.seed}", *system.settings],
        system.clips,
        left_out(run, data, folder),
        run.steps,
    )
    usage = train(arguments, output)
    report = json.loads((output / "metrics.json").read_text())
    return {
        "system": run.system,
        "command": told_command(arguments, data, folder),
        **usage,
        "seed": run.seed,
        "minutes": report["training_minutes"],
        "steps": report["training_steps"],
        "people": run.people,
        "data": report["data"]["train"],
        "hours": hours_of(output / "prepared" / "train.csv"),
        "valid_eer": report["valid"]["eer"],
        **cost(output / "export"),
        **scores(output / "export", data),
    }


def hours_of(manifest: Path) -> float:
    """Hours of speech of a manifest."""
    with manifest.open(encoding="utf-8", newline="") as file:
        seconds = sum(float(row["duration"]) for row in csv.DictReader(file))
    return seconds / 3600


@torch.no_grad()
def cost(export: Path) -> dict[str, float]:
    """Parameters, multiply-adds and seconds for a second of audio."""
    model = SpeakerRecognition.from_hparams(source=str(export))
    rate, seconds = model.audio_normalizer.sample_rate, 60
    wavs = 0.1 * torch.randn(1, seconds * rate)
    with FlopCounterMode(display=False) as counter:
        model.encode_batch(wavs)
    times = []
    for _ in range(3):
        started = time.perf_counter()
        model.encode_batch(wavs)
        times.append(time.perf_counter() - started)
    encoder = model.mods.embedding_model
    return {
        # With what was computed instead of trained.
        "parameters": sum(
            value.numel()
            for value in encoder.state_dict().values()
            if value.is_floating_point()
        ),
        # A multiply-add is two operations to the counter.
        "multiply_adds": counter.get_total_flops() / 2 / seconds,
        "embed_seconds": min(times) / seconds,
    }


def trial_list(data: Path) -> dict:
    """The trials without scores, which the records hold in this order."""
    table = read_trial_table(data / "protocol" / "trials_unseen.txt")
    nothing = np.zeros(len(table.labels))
    listed = described(
        [speaker(name) for name in table.names],
        table.enrol,
        table.test,
        table.labels,
        nothing,
    )
    del listed["scores"]
    return listed


def scores(export: Path, data: Path) -> dict[str, list[float]]:
    """Both scores of every trial, in the order of the list."""
    table = read_trial_table(data / "protocol" / "trials_unseen.txt")
    model = SiameseRecognition.from_hparams(source=str(export))
    paths = [str(data / "clips" / name) for name in table.names]
    found, _ = model.voices_of_files(paths)
    # One clip is silent, which our class refuses: it is like nobody.
    nobody = np.zeros(model.embedding_dim, dtype=np.float32)
    voices = torch.from_numpy(
        np.stack([found.get(path, nobody) for path in paths])
    )
    told = {"scores": cosines(voices, table)}
    if model.normalised_decision:
        normalised = model.normalised_scores(voices, table.enrol, table.test)
        told["normalised"] = [round(one, 5) for one in normalised.tolist()]
    return told


def cosines(embeddings: torch.Tensor, table: TrialTable) -> list[float]:
    """Score of every trial, of embeddings in the order of the names."""
    unit = torch.nn.functional.normalize(embeddings, dim=-1)
    found = (unit[table.enrol] * unit[table.test]).sum(dim=-1)
    return [round(score, 5) for score in found.tolist()]


@torch.no_grad()
def large(name: str, data: Path) -> dict:
    """Scores of a model that others have trained."""
    kind, without_pauses = LARGE[name]
    model = TEACHERS[kind]()
    table = read_trial_table(data / "protocol" / "trials_unseen.txt")
    found = []
    for clip in tqdm(table.names, desc=name, unit="file", disable=None):
        wav = decode(data / "clips" / clip, model.sample_rate)
        if without_pauses:
            wav = speech_of(wav, model.sample_rate)
        found.append(model(torch.from_numpy(wav)[None])[0])
    return {"scores": cosines(torch.stack(found), table)}


def speech_of(wav: np.ndarray, rate: int) -> np.ndarray:
    """The stretches in which Silero hears speech; all of it if in none."""
    finder = voice_finder(CleaningSettings(sample_rate=rate, vad="silero"))
    finder.add(wav)
    stretches = finder.voiced(len(wav)) or [(0, len(wav))]
    return np.concatenate([wav[start:stop] for start, stop in stretches])


def figures(record: dict, listed: dict) -> dict[str, dict]:
    """EER and minDCF with their intervals, by corpus.

    Of normalised scores, by which our class decides, where there are any; the
    EER of the cosine beside them.
    """
    found = {}
    for corpus, own in by_corpus(
        {**listed, "scores": decisive(record)}
    ).items():
        sides = sides_of(own)
        found[corpus] = {
            "eer": eer(*sides[:2])[0],
            "eer_interval": bootstrap_interval(*sides),
            "min_dcf": min_dcf(*sides[:2]),
            "min_dcf_interval": bootstrap_interval(
                *sides, metric="min_dcf_0.01"
            ),
        }
    cosine = by_corpus({**listed, "scores": record["scores"]})
    for corpus, own in cosine.items():
        found[corpus]["cosine_eer"] = eer(*sides_of(own)[:2])[0]
    return found


def decisive(record: dict) -> list[float]:
    """The scores by which our class decides: earlier ones, the cosine."""
    return record.get("normalised", record["scores"])


def sides_of(trials: dict) -> tuple[np.ndarray, ...]:
    """Scores, labels, and the speakers of both sides."""
    speakers = np.array(trials["speakers"])
    return (
        np.array(trials["scores"]),
        np.array([int(label) for label in trials["labels"]]),
        speakers[trials["enrol"]],
        speakers[trials["test"]],
    )


def percent(value: float, interval: tuple[float, float]) -> str:
    """A share with its interval."""
    low, high = interval
    return f"{100 * value:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def print_runs(records: dict[Run, dict], listed: dict) -> dict:
    """One row a run; returns the figures."""
    print(
        "run                           people  hours  min.  steps   clips"
        "  peak MB  parameters  MMAC/s  ms/s  EER, Malayalam        minDCF"
        "  EER, LibriSpeech      by cosine"
    )
    found = {}
    for run, record in records.items():
        own = found[run] = figures(record, listed)
        batch = 32 if run.system == "two_tower" else 64
        print(
            f"{run.name:<30}{record['data'].split()[0]:>6}"
            f"{record['hours']:7.2f}{record['minutes']:6.0f}"
            f"{record['steps']:7}{batch * record['steps']:8}"
            f"{record['peak_mb']:9}{record['parameters'] / 1e6:10.2f} M"
            f"{record['multiply_adds'] / 1e6:8.0f}"
            f"{1000 * record['embed_seconds']:6.1f}  " + errors(own)
        )
    return found


def errors(own: dict[str, dict]) -> str:
    """EER of both corpora and minDCF of the first, for a row."""
    return (
        percent(own["ml"]["eer"], own["ml"]["eer_interval"]).ljust(22)
        + f"{own['ml']['min_dcf']:.3f}   "
        + percent(own["ls"]["eer"], own["ls"]["eer_interval"]).ljust(22)
        + f"{100 * own['ml']['cosine_eer']:.1f}, "
        + f"{100 * own['ls']['cosine_eer']:.1f} %"
    )


def print_differences(
    records: dict[Run, dict], others: dict[str, dict], listed: dict
) -> None:
    """Our model beside each other system, on the same trials and draws."""
    ours = records.get(Run("siamese")) or records.get(
        Run("siamese", minutes=10)
    )
    if ours is None:
        return
    beside = {
        run.system: record
        for run, record in records.items()
        if run == Run(run.system) and run.system != "siamese"
    }
    for name, record in {**beside, **others}.items():
        sides = [
            sides_of(by_corpus({**listed, "scores": decisive(own)})["ml"])
            for own in (ours, record)
        ]
        low, high = bootstrap_difference(
            sides[0][0], sides[1][0], *sides[0][1:]
        )
        said = "below" if high < 0 else "above" if low > 0 else "not apart"
        print(
            f"Malayalam, siamese ({ours['minutes']:.0f} minutes) less {name}: "
            f"{100 * low:.1f} to {100 * high:.1f} points: {said}"
        )


def means(found: dict[Run, dict]) -> dict:
    """EER by corpus and system: the mean over the seeds that there are."""
    seeds = defaultdict(list)
    for minutes in (30, 10):
        shorter = {run.system for run in found} - seeds.keys()
        for run, own in found.items():
            if (
                run in RUNS
                and run.system in shorter
                and run == Run(run.system, run.seed, minutes)
            ):
                seeds[run.system].append(own)
    return {
        f"eer_{corpus}": {
            system: float(np.mean([own[corpus]["eer"] for own in each]))
            for system, each in seeds.items()
        }
        for corpus in ("ml", "ls")
    }


def main() -> None:
    """Train what is not recorded yet, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("results/accuracy"))
    names = [*(run.name for run in RUNS), *LARGE]
    parser.add_argument("--only", nargs="*", choices=names)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.data is None and not options.quick:
        parser.error("--data is needed to train")

    def record(name: str, make: Callable | None, *first) -> dict | None:
        """What is recorded of a name, made where it may be."""
        if options.only and name not in options.only:
            return None
        if options.quick or make is None:
            made = None
        else:
            made = functools.partial(make, *first, options.data.resolve())
        return recorded(RESULTS / f"{name.replace(' ', '_')}.json", made)

    make = None if options.quick else trial_list
    listed = recorded(TRIALS, make and functools.partial(make, options.data))
    if listed is None:
        parser.error(f"nothing is recorded yet: there is no {TRIALS}")
    work = options.work.resolve()
    every = [
        *((run, functools.partial(do, work, run)) for run in RUNS),
        *((run, None) for run in DROPPED),
    ]
    records = {run: record(run.name, made) for run, made in every}
    records = {run: own for run, own in records.items() if own}
    others = {name: record(name, large, name) for name in LARGE}
    others = {name: own for name, own in others.items() if own}
    found = print_runs(records, listed)
    for name, own in others.items():
        print(f"{name:<102}" + errors(figures(own, listed)))
    print_differences(records, others, listed)
    print(json.dumps(means(found)))


if __name__ == "__main__":
    main()
