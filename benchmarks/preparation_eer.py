"""What each choice of the preparation gives or costs in EER.

> python benchmarks/preparation_eer.py --data=<data> [--quick]

Trains the main job once for each choice, with the same seed and number of
steps, and scores every pair of the validation people's clips, cut from their
recordings as they are: the same for all choices. Needs recordings of which it
is known where the clips lie: ``<data>/raw/<speaker>/<recording>`` and
``raw/truth.csv`` (recording, start, stop, kind: advert, pause or speech).
``<data>/clips`` has further speakers for training, and
``<data>/protocol/unseen_speakers.txt`` names those who must not train.

Prints a table: the EER of these clips with its 95 % interval (resampling
speakers) and that of pairs across recordings alone; the same with the clips'
silence removed by the recommended rule; the EER of the choice's own held-out
utterances; hours of training speech; minutes of the whole command. The last
line is the same as JSON. With ``--output`` what is trained already is
only scored. ``--quick`` trains one choice for seconds on six people.
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
import torch
from cleaning import clean, read_truth
from speechbrain.inference.speaker import SpeakerRecognition

from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.decoding import decode
from speechbrain_siamese.dataio.manifests import read_rows
from speechbrain_siamese.utils.intervals import bootstrap_interval
from speechbrain_siamese.utils.metrics import eer

ROOT = Path(__file__).parents[1]
CUTS = {"trim_start": 12, "trim_end": 12}
CHOICES = {
    "recommended": {},
    "adverts not cut": {"trim_start": 0, "trim_end": 0},
    "silence not removed": {
        "silence_relative": False,
        "silence_threshold": -100,
    },
    "silence below -30 dBFS (2023)": {
        "silence_relative": False,
        "min_silence": 0.1,
    },
    "vad: silero": {"vad": "silero"},
    "separate_vocals": {"separate_vocals": True},
}


def train(data: Path, output: Path, **settings: object) -> float:
    """Run the user's command; the seconds that it took."""
    command = [sys.executable, "train.py", "hparams/siamese.yaml"]
    settings = {
        "data_folder": data / "raw",
        "output_folder": output,
        "valid_speakers": 0.4,
        "test_speakers": 0,
        "test_sessions": 0,
        "test_time": 0,
        **settings,
    }
    command += [f"--{key}={value}" for key, value in settings.items()]
    start = time.perf_counter()
    with open(output.with_suffix(".log"), "w") as log:
        done = subprocess.run(command, cwd=ROOT, stdout=log, stderr=log)
    if done.returncode:
        tail = output.with_suffix(".log").read_text()[-2000:]
        raise RuntimeError(f"{' '.join(command)} failed:\n{tail}")
    return time.perf_counter() - start


def speakers_of(manifest: Path) -> set[str]:
    """Speaker ids in a manifest."""
    return {row["spk_id"] for row in read_rows(manifest)}


def clips(raw: Path, people: set[str], rate: int) -> list[tuple]:
    """Speaker, recording and samples of every clip of some people."""
    found = []
    for recording, kinds in sorted(read_truth(raw).items()):
        speaker = recording.split("/")[0]
        if speaker not in people:
            continue
        samples = decode(raw / recording, rate)
        found += [
            (speaker, recording, samples[round(a * rate) : round(b * rate)])
            for a, b in kinds["speech"]
        ]
    return found


def voiced(samples: np.ndarray, rate: int) -> np.ndarray:
    """A clip without its silence, by the recommended rule."""
    settings = CleaningSettings(sample_rate=rate)
    parts = [
        samples[round(a * rate) : round(b * rate)]
        for a, b in clean(samples, settings)
    ]
    # Below a second the model would have too little to go by.
    if sum(map(len, parts)) < rate:
        return samples
    return np.concatenate(parts)


def embed(export: Path, waves: list[np.ndarray]) -> torch.Tensor:
    """Embeddings by SpeechBrain's stock class, (clips, dim)."""
    model = SpeakerRecognition.from_hparams(source=str(export))
    with torch.no_grad():
        return torch.cat(
            [
                model.encode_batch(torch.from_numpy(samples)[None])[:, 0]
                for samples in waves
            ]
        )


def score(export: Path, found: list[tuple], rate: int) -> dict:
    """EERs over every pair of the clips.

    A recording's own noise makes its clips alike, which is no voice: so also
    without pairs of one recording, and without the clips' silence.
    """
    waves = [samples for _, _, samples in found]
    first, second = np.triu_indices(len(found), 1)
    speakers = np.array([speaker for speaker, _, _ in found])
    recordings = np.array([recording for _, recording, _ in found])
    labels = (speakers[first] == speakers[second]).astype(int)
    apart = recordings[first] != recordings[second]
    figures = {}
    for name, own in (
        ("", waves),
        ("voiced_", [voiced(samples, rate) for samples in waves]),
    ):
        embeddings = embed(export, own)
        scores = (embeddings @ embeddings.T).numpy()[first, second]
        figures[f"{name}eer"] = eer(scores, labels)[0]
        figures[f"{name}across"] = eer(scores[apart], labels[apart])[0]
        figures[f"{name}interval"] = bootstrap_interval(
            scores, labels, list(speakers[first]), list(speakers[second])
        )
    return figures


def few_people(data: Path, folder: Path, count: int = 6) -> Path:
    """A data folder with the first people alone, by links."""
    (folder / "raw").mkdir(parents=True)
    people = sorted(path for path in (data / "raw").iterdir() if path.is_dir())
    for path in people[:count]:
        (folder / "raw" / path.name).symlink_to(path.resolve())
    return folder


def main() -> None:
    """Train, score and print, choice by choice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, help="keeps the trainings")
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--seed", type=int, default=1986)
    parser.add_argument("--choices", nargs="+", default=list(CHOICES))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        output = options.output or Path(own)
        output.mkdir(parents=True, exist_ok=True)
        data, choices = options.data.resolve(), options.choices
        common = {"seed": options.seed, **CUTS}
        common |= {"number_of_epochs": 2, "steps_per_epoch": options.steps // 2}
        if options.quick:
            data = few_people(data, Path(own) / "few")
            choices = list(CHOICES)[:1]
            common["max_minutes"] = 0.05
        else:
            common["clips_folder"] = data / "clips"
            unseen = data / "protocol" / "unseen_speakers.txt"
            common["exclude_speakers"] = unseen
        print(
            f"{'':<32}{'clips as they are':^28}{'without silence':^28}\n"
            f"{'choice':<32}{'EER %':>7}  {'95 %':<12}{'across':>6} "
            f"{'EER %':>7}  {'95 %':<12}{'across':>6}{'own %':>7}{'hours':>7}"
            f"{'minutes':>9}"
        )
        figures, found, people = {}, None, None
        for choice in choices:
            folder = output / choice.replace(" ", "_")
            seconds = train(data, folder, **common | CHOICES[choice])
            report = json.loads((folder / "metrics.json").read_text())
            held_out = speakers_of(folder / "prepared" / "valid.csv")
            if found is None:
                people = held_out
                rate = report["settings"]["sample_rate"]
                found = clips(options.data / "raw", people, rate)
            if held_out != people:
                raise RuntimeError(f"{choice}: other validation people")
            rows = read_rows(folder / "prepared" / "train.csv")
            figures[choice] = row = {
                **score(folder / "export", found, rate),
                "own_eer": report["valid"]["eer"],
                "hours": sum(float(row["duration"]) for row in rows) / 3600,
                "minutes": seconds / 60,
            }
            told = f"{choice:<32}"
            for name in ("", "voiced_"):
                low, high = row[f"{name}interval"]
                told += (
                    f"{100 * row[f'{name}eer']:7.1f}  {100 * low:4.1f} to "
                    f"{100 * high:4.1f}{100 * row[f'{name}across']:6.1f} "
                )
            told += f"{100 * row['own_eer']:7.1f}{row['hours']:7.2f}"
            print(f"{told}{row['minutes']:9.1f}", flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
