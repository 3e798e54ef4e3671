#!/usr/bin/env python3
"""Recipe for training a Siamese speaker encoder on your own recordings.

To run this recipe, use the following command:
> python train.py hparams/siamese.yaml --data_folder=<your recordings>

It prepares the recordings, trains, measures the best epoch on known and
unknown voices, and leaves a folder that SpeechBrain's SpeakerRecognition
loads. Without --data_folder it does all this with synthetic demo voices.
"""

from __future__ import annotations

import functools
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import speechbrain as sb
import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.distributed import run_on_main
from youtube_prepare import prepare_youtube

from speechbrain_siamese.core import SiameseBrain
from speechbrain_siamese.dataio.datasets import (
    WindowDataset,
    read_manifest,
    read_samples,
)
from speechbrain_siamese.dataio.demo import ensure_demo_corpus
from speechbrain_siamese.dataio.draws import WindowSampler, samples_to_draw
from speechbrain_siamese.dataio.manifests import read_rows
from speechbrain_siamese.dataio.noise import prepare_noise
from speechbrain_siamese.dataio.pairs import (
    PairBatchSampler,
    make_pairs,
    write_pairs,
)
from speechbrain_siamese.dataio.preparation import prepared_fingerprint
from speechbrain_siamese.dataio.sampler import SpeakerBatchSampler
from speechbrain_siamese.dataio.shards import ReadShards
from speechbrain_siamese.dataio.splits import QUESTIONS
from speechbrain_siamese.dataio.trial_table import TrialTable, read_trial_table
from speechbrain_siamese.dataio.unlabelled import (
    SpeakerNumbers,
    UnlabelledSampler,
    prepare_unlabelled,
    unlabelled_fingerprint,
    with_unlabelled,
)
from speechbrain_siamese.inference.teacher import open_teacher, teacher_name
from speechbrain_siamese.inference.teacher_targets import teacher_targets
from speechbrain_siamese.nnet.gather import rank_and_world_size
from speechbrain_siamese.nnet.param_groups import check_names
from speechbrain_siamese.processing.score_norm import Cohort
from speechbrain_siamese.training_report import (
    choose_decisions,
    training_report,
)
from speechbrain_siamese.turn_training import learn_turns
from speechbrain_siamese.utils.earlier_model import check_start
from speechbrain_siamese.utils.epoch_report import open_tensorboard
from speechbrain_siamese.utils.export import (
    export_model,
    export_weights,
    recipe_sections,
    section_values,
)
from speechbrain_siamese.utils.export_folder import check_export_folder
from speechbrain_siamese.utils.parallel import check_shared_memory
from speechbrain_siamese.utils.ranges import check_range
from speechbrain_siamese.utils.report import write_metrics
from speechbrain_siamese.utils.resume import (
    DATA,
    check_no_other_training,
    check_same_training,
    claim_output,
)
from speechbrain_siamese.utils.settings import (
    check_augmenters,
    check_limits,
    check_losses,
    check_ranges,
    check_speeds,
    check_teacher,
    check_unlabelled,
)
from speechbrain_siamese.utils.whole_file import remove_partials
from speechbrain_siamese.utils.working_points import parse_target


def check_settings(hparams, run_opts):
    """Refuse settings out of their range before any work is done."""
    if run_opts.get("debug"):
        raise ValueError(
            "--debug ends a validation after two batches, of which no EER can "
            "be told: give --number_of_epochs=1 --steps_per_epoch=2 instead"
        )
    check_ranges(hparams)
    check_range("change_seconds", hparams.get("change_seconds", 0), 0, 36000)
    check_limits(hparams["steps_per_epoch"], hparams["max_minutes"])
    teacher = hparams.get("teacher")
    if teacher:
        check_teacher(
            hparams["teacher_weight"],
            hparams["teacher_window"],
            hparams["teacher_hop"],
        )
    if hparams.get("unlabelled_folder"):
        check_unlabelled(
            hparams["unlabelled_per_batch"], teacher, hparams["shards"]
        )
    check_losses(
        hparams["compute_cost"],
        hparams["miner"],
        hparams["classifier_cost"],
        (
            hparams["pair_weight"],
            hparams["classifier_weight"],
            hparams["teacher_weight"] if teacher else 0.0,
        ),
    )
    check_speeds(
        hparams["speeds"],
        hparams["speed_perturb"],
        bool(hparams.get("speed_voices")),
        hparams.get("statistics_speeds", [100]),
    )
    check_augmenters(
        {
            "wav_augment": hparams["wav_augment"],
            "fea_augment": hparams["fea_augment"],
        }
    )
    check_names(hparams["modules"], hparams["frozen"], "frozen")
    check_names(hparams["modules"], hparams["lr_factors"], "lr_factors")
    parse_target(hparams["threshold_target"])
    if hparams["num_workers"]:
        check_shared_memory("num_workers=0")
    backend = (hparams["joblib_backend"] or {}).get("backend", "loky")
    if hparams["n_jobs"] != 1 and backend == "loky":
        check_shared_memory("n_jobs=1")
    check_start(hparams["init_from"], hparams["export_folder"])
    check_export_folder(hparams["export_folder"])


@dataclass
class TrainingData:
    """What is trained on, and what is held out.

    ``datasets`` (``train``, ``valid``, perhaps ``test``) and ``sampler`` are of
    the speakers alone; ``heard`` and ``batches``, which training goes through,
    have the unlabelled recordings beside ``train``, where there are any.
    """

    datasets: dict[str, WindowDataset]
    sampler: WindowSampler
    heard: WindowDataset
    batches: WindowSampler | UnlabelledSampler
    trials: dict[str, TrialTable]
    encoder: CategoricalEncoder


def dataio_prep(hparams, run_opts):
    """Create the datasets, the batches of training and the trials."""
    folder = Path(hparams["prepared_folder"])
    speeds = [*hparams["speeds"], *hparams.get("statistics_speeds", [])]
    longest = samples_to_draw(hparams["window_samples"], speeds)
    trials = {
        question: read_trial_table(path)
        for question in ("valid", *QUESTIONS)
        if (path := folder / f"trials_{question}.txt").is_file()
    }
    read = read_samples
    if hparams["shards"]:
        read = ReadShards(
            folder / "shards", folder, read_rows(folder / "train.csv")
        )
    # Features that pad short clips themselves get them as they are.
    pads = getattr(hparams["compute_features"], "padded_samples", 0)
    train = read_manifest(
        str(folder / "train.csv"), str(folder), None if pads else longest, read
    )
    datasets = {"train": train}
    # Without a question that the data can answer the test is empty.
    for name in ("valid", "test") if len(trials) > 1 else ("valid",):
        held_out = read_manifest(str(folder / f"{name}.csv"), str(folder))
        datasets[name] = held_out.filtered_sorted(sort_key="duration")
        datasets[name].set_output_keys(["id", "wav", "sig"])
    encoder = CategoricalEncoder()
    train.add_dynamic_item(
        SpeakerNumbers(encoder),
        takes="spk_id",
        provides="spk_id_encoded",
    )
    encoder.ignore_len()
    # From the manifest, of which check_same_training knows that it is the
    # same: a file may be half of one after a kill.
    encoder.update_from_didataset(train, "spk_id")
    train.set_output_keys(["id", "sig", "spk_id_encoded"])
    drawn = samples_to_draw(hparams["window_samples"], hparams["speeds"])
    sampler = make_sampler(hparams, train, drawn)
    heard, batches = train, sampler
    if hparams.get("unlabelled_folder"):
        heard = with_unlabelled(train, folder)
        batches = UnlabelledSampler(
            sampler,
            stretches(heard)[len(train) :],
            hparams["unlabelled_per_batch"],
        )
    if hparams.get("teacher"):
        add_teacher(hparams, heard, run_opts)
    return TrainingData(datasets, sampler, heard, batches, trials, encoder)


def add_teacher(hparams, train, run_opts):
    """Give each clip what the teacher says of it, and the loss its size."""

    folder = Path(hparams["prepared_folder"]) / "teacher"
    found = {}

    def listen():
        found["targets"] = teacher_targets(
            open_teacher(hparams["teacher"], folder, run_opts),
            train.data,
            hparams["sample_rate"],
            folder,
            hparams["teacher_window"],
            hparams["teacher_hop"],
            # At another speed it is another voice's, for the teacher too.
            hparams["speed_perturb"] if hparams.get("speed_voices") else None,
        )

    # One process listens, the others find what it kept.
    run_on_main(listen)
    if not found:
        listen()
    targets = found["targets"]
    train.add_dynamic_item(
        targets, takes=["id", "start", "stop"], provides="teacher"
    )
    train.set_output_keys(["id", "sig", "spk_id_encoded", "teacher"])
    hparams["teacher_cost"] = hparams["teacher_cost"](teacher_dim=targets.dim)


def make_sampler(hparams, train, drawn):
    """The batches of training: of speakers, or of pairs fixed before."""
    folder = Path(hparams["prepared_folder"])
    rows = [train.data[data_id] for data_id in train.data_ids]
    speech = {
        "speakers": [row["spk_id"] for row in rows],
        "stretches": stretches(train),
        "window_samples": drawn,
    }
    rank, world_size = rank_and_world_size()
    common = {
        "seed": hparams["seed"],
        "steps": hparams["steps_per_epoch"],
        "rank": rank,
        "world_size": world_size,
    }
    if "pairs_per_batch" in hparams:
        pairs = make_pairs(
            **speech,
            similar_per_speaker=hparams["similar_per_speaker"],
            dissimilar_per_pair=hparams["dissimilar_per_pair"],
            seed=hparams["seed"],
        )
        run_on_main(
            write_pairs, args=[folder / "pairs.csv", pairs, train.data_ids]
        )
        return PairBatchSampler(
            pairs,
            pairs_per_batch=hparams["pairs_per_batch"],
            **speech,
            **common,
        )
    return SpeakerBatchSampler(
        sample_rate=hparams["sample_rate"],
        speakers_per_batch=hparams["speakers_per_batch"],
        clips_per_speaker=hparams["clips_per_speaker"],
        full_share_seconds=hparams["full_share_seconds"],
        # The folder of the cleaned audio: recordings or short clips.
        sources=[Path(row["wav"]).relative_to(folder).parts[0] for row in rows],
        **speech,
        **common,
    )


def stretches(dataset):
    """First sample and the one after the last of each row."""
    rows = [dataset.data[data_id] for data_id in dataset.data_ids]
    return [(int(row["start"]), int(row["stop"])) for row in rows]


def main(argv):
    """Prepare, train, measure and export."""
    hparams_file, run_opts, overrides = sb.parse_arguments(argv)
    sb.utils.distributed.ddp_init_group(run_opts)
    with open(hparams_file, encoding="utf-8") as fin:
        hparams = load_hyperpyyaml(fin, overrides)
    check_settings(hparams, run_opts)
    run_on_main(
        claim_output, args=[hparams["output_folder"], hparams["save_folder"]]
    )
    sb.create_experiment_directory(
        experiment_directory=hparams["output_folder"],
        hyperparams_to_save=hparams_file,
        overrides=overrides,
    )

    run_on_main(remove_partials, args=[hparams["output_folder"]])
    if hparams["data_folder"] == hparams["demo_folder"]:
        run_on_main(ensure_demo_corpus, args=[hparams["demo_folder"]])
    run_on_main(
        prepare_youtube,
        kwargs={
            "data_folder": hparams["data_folder"],
            "save_folder": hparams["prepared_folder"],
            "cleaning": hparams["cleaning"],
            "splits": hparams["splits"],
            "seed": hparams["seed"],
            "clips_folder": hparams["clips_folder"],
            "exclude_speakers": hparams["exclude_speakers"],
            "n_jobs": hparams["n_jobs"],
            "joblib_backend": hparams["joblib_backend"],
            "shards": hparams["shards"],
            "skip_prep": hparams["skip_prep"],
            # Before what the checkpoints were trained on is replaced.
            "check": lambda fingerprint: check_no_other_training(
                hparams["save_folder"], {DATA: fingerprint}
            ),
        },
    )
    if hparams.get("noise_folder"):
        run_on_main(
            prepare_noise,
            kwargs={
                "noise_folder": hparams["noise_folder"],
                "save_folder": f"{hparams['prepared_folder']}/noise",
                "sample_rate": hparams["sample_rate"],
                "n_jobs": hparams["n_jobs"],
            },
        )

    if hparams.get("unlabelled_folder"):
        run_on_main(
            prepare_unlabelled,
            kwargs={
                "unlabelled_folder": hparams["unlabelled_folder"],
                "prepared_folder": hparams["prepared_folder"],
                "cleaning": hparams["cleaning"],
                "n_jobs": hparams["n_jobs"],
                "joblib_backend": hparams["joblib_backend"],
            },
        )

    sections = recipe_sections(hparams_file, overrides)
    run_on_main(
        check_same_training,
        args=[
            hparams["save_folder"],
            {
                DATA: prepared_fingerprint(hparams["prepared_folder"]),
                "features or model": "\n".join(section_values(sections)),
                "teacher": teacher_name(hparams.get("teacher")),
                "unlabelled recordings": unlabelled_fingerprint(
                    hparams.get("unlabelled_folder"), hparams["prepared_folder"]
                ),
            },
        ],
    )
    hparams["window_samples"] = count_window_samples(hparams)
    data = dataio_prep(hparams, run_opts)
    build_heads(hparams, len(data.encoder))
    load_start(hparams, sections)

    hparams["train_loggers"] = [hparams["train_logger"]]
    if hparams["use_tensorboard"]:
        hparams["train_loggers"].append(
            open_tensorboard(hparams["tensorboard_logger"])
        )

    brain = SiameseBrain(
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    brain.trials = data.trials
    brain.train_set = data.datasets["train"]
    brain.train_sampler = data.sampler
    loader = {
        "batch_size": hparams["eval_batch_size"],
        "num_workers": hparams["num_workers"],
    }
    brain.fit(
        hparams["epoch_counter"],
        data.heard,
        data.datasets["valid"],
        train_loader_kwargs={
            "batch_sampler": data.batches,
            "num_workers": hparams["num_workers"],
        },
        valid_loader_kwargs=dict(loader),
    )
    if "test" in data.datasets:
        brain.evaluate(
            data.datasets["test"],
            min_key="EER",
            test_loader_kwargs=dict(loader),
        )
    else:
        brain.on_evaluate_start(min_key="EER")
    brain.embed(data.datasets["valid"], loader)
    run_on_main(finish, args=[brain, data, sections])


def count_window_samples(hparams):
    """Samples of a window: whole hops, where the features tell their hop.

    At 22,050 Hz a hop of 10 ms is not a whole number of samples.
    """
    hop = getattr(hparams["compute_features"], "hop_samples", None)
    if hop is None:
        return round(hparams["window_len"] * hparams["sample_rate"])
    return round(1000 * hparams["window_len"] / hparams["hop_length"]) * hop


def build_heads(hparams, speakers):
    """Build what has to know the number of speakers, and what else learns."""
    if hparams.get("speed_voices"):
        speakers *= len(hparams["speeds"])
    heads = {"classifier": hparams["classifier"](out_neurons=speakers)}
    cost = hparams["compute_cost"]
    if isinstance(cost, functools.partial):
        # With !name: a loss that has a proxy for each speaker.
        cost = hparams["compute_cost"] = cost(num_classes=speakers)
    if isinstance(cost, torch.nn.Module) and [*cost.parameters()]:
        heads["compute_cost"] = cost
    if hparams.get("teacher"):
        heads["teacher_cost"] = hparams["teacher_cost"]
    for name, module in heads.items():
        hparams["modules"][name] = module
        hparams["checkpointer"].add_recoverable(name, module)


def load_start(hparams, sections):
    """Load the weights from which training starts, where the YAML names any.

    A checkpoint, which is loaded later, takes their place.
    """
    if hparams["init_from"]:
        state = export_weights(hparams["init_from"], sections)
        hparams["embedding_model"].load_state_dict(state)
    elif hparams.get("pretrained_path"):
        # Each process: what was found stays with the object that has looked.
        hparams["pretrainer"].collect_files()
        hparams["pretrainer"].load_collected()


def finish(brain, data, sections):
    """Measure the best epoch, write ``metrics.json`` and the export."""
    hparams, datasets = brain.hparams, data.datasets
    voices = brain.speaker_means(datasets["train"])
    classifier = brain.raw_modules["classifier"]
    narrow = classifier.weight.shape[1] < voices.shape[1]
    if narrow or not hparams.classifier_weight:
        # It has learnt nothing, or of a part of the embedding: each voice's
        # own direction answers.
        classifier.weight.data = voices.to(classifier.weight)
    elif len(classifier.weight) > len(voices):
        # Voices at another speed than their own were for training alone.
        first = hparams.speeds.index(100) * len(voices)
        classifier.weight.data = classifier.weight.data[first:][: len(voices)]
    cohort = Cohort(*voices.shape)
    cohort.fill(voices)
    decision, normalised = choose_decisions(brain, cohort)
    report = training_report(
        brain, datasets, decision, normalised, hparams.figures_folder
    )
    changes, voices, turns = learn_turns(
        brain,
        datasets["train"],
        datasets["valid"],
        getattr(hparams, "change_seconds", 0),
    )
    report["turns"] = asdict(turns) if turns else None
    write_metrics(report, Path(hparams.output_folder) / "metrics.json")
    export_model(
        hparams.export_folder,
        sections=sections,
        modules=brain.raw_modules,
        cohort=cohort,
        label_encoder=data.encoder,
        sample_rate=hparams.sample_rate,
        decision=decision,
        normalised=normalised,
        changes=changes,
        voices=voices,
        measure=hparams.measure,
        report=report,
    )


if __name__ == "__main__":
    # The fastest convolution is chosen once per shape.
    torch.backends.cudnn.benchmark = True
    main(sys.argv[1:])
