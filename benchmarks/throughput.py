"""Clips trained and embedded per second, beside ECAPA and the machine's limit.

> python benchmarks/throughput.py [--quick]

Each system is what its YAML file builds. Training is the recipe's own step
(augmentation, features, encoder, losses, backward pass, update) on batches of
the YAML file's size, embedding SpeechBrain's ``encode_batch`` on 64 clips of
the training window; bf16 is SpeechBrain's autocast. Waveforms are random:
speed does not depend on what is said. All are timed in turn, in rounds of one
process, and so is the limit: the multiply-adds of a matrix product per second
at the same precision, of the best size. The share of the limit is the
encoder's multiply-adds, counted by torch, over the time that all of it took.

Between both tables stands how long a training step waits for its clips: the
recipe's dataset and batches, read from a file of noise by SpeechBrain's loader
without workers. The second table tells what the time went into, by torch's
profiler.
``--quick`` does one round, in bf16 alone, embeds 16 clips and leaves out
ECAPA's training.
The last line is JSON, all in bf16: our share of the limit in embedding and in
training (``embed_share_of_limit_bf16``, ``train_share_of_limit_bf16``), and
seconds of audio embedded per second, ours and that of ECAPA-TDNN with 1,024
channels (``embed_x_realtime``, ``ecapa_1024_x_realtime``).
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import soundfile
import speechbrain as sb
import torch
from accuracy_runs import SYSTEMS
from hyperpyyaml import load_hyperpyyaml
from profile_parts import AUGMENT, FEATURES, PARTS, UPDATE, mark, profiled
from runs import ROOT
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.inference.speaker import SpeakerRecognition
from torch.utils.flop_counter import FlopCounterMode

from speechbrain_siamese.core import SiameseBrain
from speechbrain_siamese.dataio.datasets import read_manifest
from speechbrain_siamese.dataio.draws import samples_to_draw
from speechbrain_siamese.dataio.manifests import ROOT as ROOT_OF_PATHS
from speechbrain_siamese.dataio.manifests import Row, write_manifest
from speechbrain_siamese.dataio.sampler import SpeakerBatchSampler
from speechbrain_siamese.lobes.features import KeepFeatures

RECIPE = ROOT / "recipes" / "YouTubeSpeakers"
# The link in SpeakerRec, which comes later, may be a file that names its goal.
sys.path[:0] = [str(RECIPE), str(RECIPE / "SpeakerRec")]
recipe = importlib.import_module("train")

COMPARED = ("siamese", "two_tower", "ecapa_512", "ecapa_1024")
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}

#: People of the training; they make the classifier's size.
SPEAKERS = 270

#: Sides of the matrices whose product is the limit.
SIZES = (1024, 2048, 4096)


class Work(NamedTuple):
    """What is timed, and what one run of it does."""

    run: Callable[[], object]
    multiply_adds: float
    clips: int = 0
    clip_len: float = 0.0  # s
    pairs: int = 0
    owner: object = None


#: Kind, system, precision.
Name = tuple[str, str, str]


def load(system: str, precision: str, folder: Path) -> tuple[dict, object]:
    """A system's YAML file and options, from a user's command."""
    told = SYSTEMS[system]
    file, run_opts, overrides = sb.parse_arguments(
        [
            str(ROOT / "hparams" / told.yaml),
            *told.settings,
            f"--precision={precision}",
            "--device=cpu",
            f"--output_folder={folder}",
        ]
    )
    with open(file, encoding="utf-8") as fin:
        hparams = load_hyperpyyaml(fin, overrides)
    hparams["window_samples"] = recipe.count_window_samples(hparams)
    return hparams, run_opts


def multiply_adds(hparams: dict) -> dict[str, float]:
    """The encoder's for one clip: in embedding, and with a backward pass."""
    # In training mode, which has as many, a clip alone cannot be normalised.
    encoder = hparams["embedding_model"].eval()
    feats = hparams["compute_features"](
        torch.randn(1, hparams["window_samples"])
    )
    found = {}
    with FlopCounterMode(display=False) as counter:
        embedding = encoder(feats, torch.ones(1))
        # A multiply-add is two operations to the counter.
        found["embed"] = counter.get_total_flops() / 2
        embedding.sum().backward()
        found["train"] = counter.get_total_flops() / 2
    encoder.zero_grad()
    return found


def training_batch(hparams: dict) -> tuple[PaddedBatch, int]:
    """Random clips as the recipe draws them, and the pairs of their loss."""
    if "pairs_per_batch" in hparams:
        pairs = hparams["pairs_per_batch"]
        left = torch.arange(pairs)
        # Every other pair is of one speaker.
        labels = torch.cat([left, left + left % 2])
    else:
        labels = torch.arange(hparams["speakers_per_batch"])
        labels = labels.repeat_interleave(hparams["clips_per_speaker"])
        pairs = len(labels) * (len(labels) - 1) // 2
    drawn = samples_to_draw(hparams["window_samples"], hparams["speeds"])
    clips = [
        {
            "id": str(number),
            "sig": 0.1 * torch.randn(drawn),
            "spk_id_encoded": label[None],
        }
        for number, label in enumerate(labels)
    ]
    return PaddedBatch(clips), pairs


def training(system: str, precision: str, folder: Path) -> Work:
    """A step of the recipe's training."""
    hparams, run_opts = load(system, precision, folder)
    cost = multiply_adds(hparams)["train"]
    recipe.build_heads(hparams, SPEAKERS)
    brain = SiameseBrain(
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    # Its length and its speakers are asked for, and reading draws from it.
    brain.train_sampler = SpeakerBatchSampler(
        [str(number) for number in range(SPEAKERS)],
        [(0, 30 * hparams["sample_rate"])] * SPEAKERS,
        hparams["sample_rate"],
        hparams["window_samples"],
        speakers_per_batch=32,
        clips_per_speaker=2,
        steps=1000,
    )
    hparams["epoch_counter"].current = 1
    # What is computed before the first step is not timed.
    encoder = hparams["embedding_model"]
    for name in getattr(encoder, "beside", ()):
        getattr(encoder, name).whitened.fill_(1)
    brain.on_fit_start()
    brain.on_stage_start(sb.Stage.TRAIN, epoch=1)
    brain.modules.train()
    batch, pairs = training_batch(hparams)

    def step() -> None:
        brain.step += 1
        brain.fit_batch(batch)

    length = hparams["window_len"]
    return Work(step, len(batch) * cost, len(batch), length, pairs, brain)


def reading(training_work: Work, folder: Path) -> Work:
    """A batch of the training from a file, as its loader reads it."""
    brain = training_work.owner
    rate, sampler = brain.hparams.sample_rate, brain.train_sampler
    noise = 0.1 * torch.randn(60 * rate)
    soundfile.write(folder / "noise.wav", noise.numpy(), rate)
    rows = [
        Row(name, 30.0, f"{ROOT_OF_PATHS}noise.wav", *stretch, name, "", name)
        for name, stretch in zip(
            sampler.rows_of, sampler.bounds.tolist(), strict=True
        )
    ]
    write_manifest(rows, folder / "train.csv")
    dataset = read_manifest(
        str(folder / "train.csv"), str(folder), sampler.window_samples
    )
    dataset.set_output_keys(["id", "sig", "spk_id"])
    loader = iter(
        brain.make_dataloader(
            dataset, sb.Stage.TRAIN, batch_sampler=sampler, num_workers=0
        )
    )
    return Work(lambda: next(loader), 0.0, training_work.clips)


def embedding(system: str, precision: str, folder: Path, clips: int) -> Work:
    """A batch through the class that users load an export with."""
    hparams, run_opts = load(system, precision, folder)
    cost = multiply_adds(hparams)["embed"]
    modules = {
        "compute_features": hparams["compute_features"],
        # As the export has it.
        "mean_var_norm": hparams.get("mean_var_norm", KeepFeatures()),
        "embedding_model": hparams["embedding_model"],
    }
    model = SpeakerRecognition(modules, hparams, run_opts)
    wavs = 0.1 * torch.randn(clips, hparams["window_samples"])

    def encode() -> None:
        # SpeechBrain makes the context, but leaves it to the caller to enter.
        with torch.no_grad(), model.inference_ctx:
            model.encode_batch(wavs)

    length = hparams["window_len"]
    return Work(encode, clips * cost, clips, length, owner=model)


def product(size: int, precision: str) -> Work:
    """Products of two square matrices; more of them where they are small."""
    left, right = torch.randn(2, size, size, dtype=PRECISIONS[precision])
    products = max(SIZES) // size

    def multiply() -> None:
        for _ in range(products):
            left @ right

    return Work(multiply, products * size**3)


def all_work(folder: Path, quick: bool) -> dict[Name, Work]:
    """All that is timed, by what it is."""
    works = {}
    for precision in ["bf16"] if quick else PRECISIONS:
        for size in SIZES:
            works["product", str(size), precision] = product(size, precision)
        for system in COMPARED:
            name, where = (system, precision), folder / f"{system}_{precision}"
            clips = 16 if quick else 64
            works[("embed", *name)] = embedding(*name, where, clips)
            if not (quick and system.startswith("ecapa")):
                works[("train", *name)] = training(*name, where)
    name = ("siamese", "bf16")
    works[("read", *name)] = reading(works[("train", *name)], folder)
    return works


def timed(works: dict[Name, Work], rounds: int) -> dict[Name, float]:
    """Median seconds of each, all in turn."""
    seconds: dict[Name, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            started = time.perf_counter()
            work.run()
            if number:  # the first of each is warm-up
                seconds[name].append(time.perf_counter() - started)
    return {name: median(each) for name, each in seconds.items()}


def limits_of(works: dict[Name, Work], seconds: dict[Name, float]) -> dict:
    """Multiply-adds a second of the best product in each precision."""
    limits: dict[str, float] = {}
    for name, work in works.items():
        if name[0] == "product":
            rate = work.multiply_adds / seconds[name]
            limits[name[2]] = max(rate, limits.get(name[2], 0.0))
    return limits


def print_rates(works: dict[Name, Work], seconds: dict[Name, float]) -> dict:
    """One row a way, system and precision; returns what the rows hold."""
    limits = limits_of(works, seconds)
    for precision, limit in limits.items():
        print(f"limit in {precision}: {limit / 1e9:.1f} G multiply-adds/s")
    print(
        "way    system      precision  clips of s  MMAC/clip  clips/s  pairs/s"
        "  x realtime  of limit"
    )
    rates = {}
    for name, work in sorted(works.items(), key=lambda item: item[0][::2]):
        way, system, precision = name
        if way in ("product", "read"):
            continue
        clips, pairs = work.clips / seconds[name], work.pairs / seconds[name]
        cost = work.multiply_adds / work.clips
        rates[name] = own = {
            "pairs": pairs,
            "realtime": clips * work.clip_len,
            "share": clips * cost / limits[precision],
        }
        print(
            f"{way:<7}{system:<12}{precision:<11}"
            f"{work.clips} of {work.clip_len:.2f}{cost / 1e6:>11.0f}"
            f"{clips:>9.1f}{f'{pairs:.1f}' if pairs else '-':>9}"
            f"{own['realtime']:>12.1f}{100 * own['share']:>8.1f} %"
        )
    reading_time, step_time = (
        seconds[way, "siamese", "bf16"] for way in ("read", "train")
    )
    waits = reading_time / step_time
    print(f"reading a batch takes {100 * waits:.1f} % of a training step, bf16")
    for precision in limits:
        ours, theirs = (
            rates["train", system, precision]["pairs"]
            for system in ("siamese", "two_tower")
        )
        print(
            "pairs trained per second over the two-tower design's, "
            f"{precision}: {ours / theirs:.1f}"
        )
    return rates


def print_profile(works: dict[Name, Work]) -> None:
    """Where the time of our system in bf16 goes."""
    train, embed = (works[way, "siamese", "bf16"] for way in ("train", "embed"))
    brain = train.owner
    for modules in (brain.modules, embed.owner.mods):
        mark(modules["compute_features"], "forward", FEATURES)
    for augmenter in ("speed_perturb", "wav_augment", "fea_augment"):
        mark(getattr(brain.hparams, augmenter), "forward", AUGMENT)
    mark(brain, "optimizers_step", UPDATE)
    shares = [profiled(work.run) for work in (train, embed)]
    print(f"{'siamese, bf16':<32}{'training':>10}{'embedding':>11}")
    for part in PARTS:
        of_train, of_embed = (100 * own.get(part, 0.0) for own in shares)
        print(f"{part:<32}{of_train:>8.1f} %{of_embed:>9.1f} %")


def main() -> None:
    """Measure all in turn and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    # A training finds all its kernels in oneDNN's cache, which is too small
    # for those of all systems together. Read when the first is made.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16384")
    torch.manual_seed(0)
    rounds = 1 if quick else 3
    print(f"threads: {torch.get_num_threads()}, rounds: {rounds}")
    with tempfile.TemporaryDirectory() as folder:
        works = all_work(Path(folder), quick)
        rates = print_rates(works, timed(works, rounds))
        print_profile(works)
    embed, train = (rates[way, "siamese", "bf16"] for way in ("embed", "train"))
    ecapa = rates["embed", "ecapa_1024", "bf16"]
    found = {
        "embed_share_of_limit_bf16": round(embed["share"], 3),
        "train_share_of_limit_bf16": round(train["share"], 3),
        "embed_x_realtime": round(embed["realtime"], 1),
        "ecapa_1024_x_realtime": round(ecapa["realtime"], 1),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
