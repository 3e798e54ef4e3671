#!/usr/bin/env python3
"""Recipe for training a Siamese speaker encoder on your own recordings.

To run this recipe, use the following command:
> python train.py hparams/siamese.yaml --data_folder=<your recordings>

It prepares the recordings, trains, measures the best epoch on known and
unknown voices, and leaves a folder that SpeechBrain's SpeakerRecognition
loads. Without --data_folder it does all this with synthetic demo voices.
"""

import functools
import math
import sys
from dataclasses import asdict
from pathlib import Path

import speechbrain as sb
import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import get_logger
from youtube_prepare import prepare_youtube, prepared_fingerprint

from speechbrain_siamese.core import SiameseBrain
from speechbrain_siamese.dataio.datasets import read_manifest, read_samples
from speechbrain_siamese.dataio.demo import ensure_demo_corpus
from speechbrain_siamese.dataio.manifests import read_rows
from speechbrain_siamese.dataio.pairs import (
    PairBatchSampler,
    make_pairs,
    write_pairs,
)
from speechbrain_siamese.dataio.sampler import SpeakerBatchSampler
from speechbrain_siamese.dataio.shards import ReadShards
from speechbrain_siamese.dataio.splits import QUESTIONS
from speechbrain_siamese.dataio.trial_table import read_trial_table
from speechbrain_siamese.processing.score_norm import Cohort
from speechbrain_siamese.utils.decision import choose_decision
from speechbrain_siamese.utils.export import (
    export_model,
    export_weights,
    recipe_sections,
    section_values,
)
from speechbrain_siamese.utils.metrics import eer
from speechbrain_siamese.utils.ranges import check_range
from speechbrain_siamese.utils.report import (
    measure,
    measure_questions,
    write_metrics,
)
from speechbrain_siamese.utils.resume import check_same_training
from speechbrain_siamese.utils.whole_file import remove_partials
from speechbrain_siamese.utils.working_points import parse_target

logger = get_logger(__name__)


def check_settings(hparams):
    """Refuse settings out of their range before any work is done."""
    for key, low, high in (
        ("number_of_epochs", 1, 100_000),
        ("n_jobs", -1, 1024),
        ("num_workers", 0, 1024),
        ("eval_batch_size", 1, 10_000),
    ):
        check_range(key, hparams[key], low, high, whole=True)
    # A design with pairs that are fixed before has these in place of those.
    for key, low in (
        ("speakers_per_batch", 2),
        ("clips_per_speaker", 2),
        ("pairs_per_batch", 1),
        ("similar_per_speaker", 1),
        ("dissimilar_per_pair", 1),
    ):
        if key in hparams:
            check_range(key, hparams[key], low, 10_000, whole=True)
    for key, low, high, unit in (
        ("window_len", 0.4, 60, "s"),
        ("pair_weight", 0, 1000, ""),
        ("classifier_weight", 0, 1000, ""),
        ("lr", 1e-8, 10, ""),
    ):
        check_range(key, hparams[key], low, high, unit)
    if not hparams["pair_weight"] and not hparams["classifier_weight"]:
        raise ValueError(
            "pair_weight and classifier_weight are both 0, expected one above "
            "0: there is nothing to learn from"
        )
    parse_target(hparams["threshold_target"])
    check_speeds(hparams["speeds"])
    check_start(hparams["init_from"], hparams["export_folder"])
    if not hparams["n_jobs"]:
        raise ValueError("n_jobs is 0, expected 1 or more, or -1 for all cores")
    if hparams["steps_per_epoch"] is not None:
        check_range(
            "steps_per_epoch", hparams["steps_per_epoch"], 1, 1e6, whole=True
        )
    if hparams["max_minutes"] is not None:
        check_range("max_minutes", hparams["max_minutes"], 0.01, 1e6, "minutes")


def check_speeds(speeds):
    """Refuse speeds that would make another voice of it, or none."""
    if not speeds:
        raise ValueError("speeds is empty, expected percents: [100] for none")
    for speed in speeds:
        check_range("speeds", speed, 50, 200, "percent")


def check_start(start, export_folder):
    """Refuse an earlier model that is none, or that would be overwritten."""
    if not start:
        return
    export_weights(start)
    if Path(start).resolve() == Path(export_folder).resolve():
        raise ValueError(
            f"init_from is {start}, where this training's own export goes and "
            "its preparation lies: give another output_folder"
        )


def dataio_prep(hparams):
    """Create the datasets, the batches of training and the trials."""
    folder = Path(hparams["prepared_folder"])
    # Drawn longer than a window: at the highest speed it still fills one.
    drawn = math.ceil(hparams["window_samples"] * max(hparams["speeds"]) / 100)
    trials = {
        question: read_trial_table(path)
        for question in ("valid", *QUESTIONS)
        if (path := folder / f"trials_{question}.txt").is_file()
    }
    read = read_samples
    if hparams["shards"]:
        read = ReadShards(folder / "shards", folder)
    # Features that pad short clips themselves get them as they are.
    repeated = drawn
    if getattr(hparams["compute_features"], "padded_samples", 0):
        repeated = None
    datasets = {
        name: read_manifest(
            str(folder / f"{name}.csv"),
            str(folder),
            window,
            read if name == "train" else read_samples,
        )
        for name, window in (
            ("train", repeated),
            ("valid", None),
            ("test", None),
        )
        # Without a question that the data can answer the test is empty.
        if name != "test" or len(trials) > 1
    }
    train = datasets["train"]
    encoder = sb.dataio.encoder.CategoricalEncoder()
    train.add_dynamic_item(
        encoder.encode_label_torch,
        takes="spk_id",
        provides="spk_id_encoded",
    )
    encoder.ignore_len()
    encoder.load_or_create(
        path=Path(hparams["save_folder"]) / "label_encoder.txt",
        from_didatasets=[train],
        output_key="spk_id",
    )
    train.set_output_keys(["id", "sig", "spk_id_encoded"])
    for name in datasets.keys() - {"train"}:
        datasets[name] = datasets[name].filtered_sorted(sort_key="duration")
        datasets[name].set_output_keys(["id", "wav", "sig"])

    return datasets, encoder, make_sampler(hparams, train, drawn), trials


def make_sampler(hparams, train, drawn):
    """The batches of training: of speakers, or of pairs fixed before."""
    folder = Path(hparams["prepared_folder"])
    rows = [train.data[data_id] for data_id in train.data_ids]
    speech = {
        "speakers": [row["spk_id"] for row in rows],
        "stretches": [(int(row["start"]), int(row["stop"])) for row in rows],
        "window_samples": drawn,
    }
    common = {"seed": hparams["seed"], "steps": hparams["steps_per_epoch"]}
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
        # The folder of the cleaned audio: recordings or short clips.
        sources=[Path(row["wav"]).relative_to(folder).parts[0] for row in rows],
        **speech,
        **common,
    )


def main(argv):
    """Prepare, train, measure and export."""
    hparams_file, run_opts, overrides = sb.parse_arguments(argv)
    sb.utils.distributed.ddp_init_group(run_opts)
    with open(hparams_file, encoding="utf-8") as fin:
        hparams = load_hyperpyyaml(fin, overrides)
    check_settings(hparams)
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
        },
    )

    sections = recipe_sections(hparams_file, overrides)
    run_on_main(
        check_same_training,
        args=[
            hparams["save_folder"],
            {
                "data or split": prepared_fingerprint(
                    hparams["prepared_folder"]
                ),
                "features or model": "\n".join(section_values(sections)),
            },
        ],
    )
    hparams["window_samples"] = count_window_samples(hparams)
    datasets, encoder, sampler, trials = dataio_prep(hparams)
    build_heads(hparams, len(encoder))
    load_start(hparams, sections)

    hparams["train_loggers"] = [hparams["train_logger"]]
    if hparams["use_tensorboard"]:
        hparams["train_loggers"].append(open_tensorboard(hparams))

    brain = SiameseBrain(
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    brain.trials = trials
    brain.train_sampler = sampler
    loader = {
        "batch_size": hparams["eval_batch_size"],
        "num_workers": hparams["num_workers"],
    }
    brain.fit(
        hparams["epoch_counter"],
        datasets["train"],
        datasets["valid"],
        train_loader_kwargs={
            "batch_sampler": sampler,
            "num_workers": hparams["num_workers"],
        },
        valid_loader_kwargs=dict(loader),
    )
    if "test" in datasets:
        brain.evaluate(
            datasets["test"], min_key="EER", test_loader_kwargs=dict(loader)
        )
    else:
        brain.on_evaluate_start(min_key="EER")
    brain.embed(datasets["valid"], loader)
    run_on_main(finish, args=[brain, datasets, encoder, sections])


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
    heads = {"classifier": hparams["classifier"](out_neurons=speakers)}
    cost = hparams["compute_cost"]
    if isinstance(cost, functools.partial):
        # With !name: a loss that has a proxy for each speaker.
        cost = hparams["compute_cost"] = cost(num_classes=speakers)
    if isinstance(cost, torch.nn.Module) and [*cost.parameters()]:
        heads["compute_cost"] = cost
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
        run_on_main(hparams["pretrainer"].collect_files)
        hparams["pretrainer"].load_collected()


def open_tensorboard(hparams):
    """Open the TensorBoard logger, or name the extra that it needs."""
    try:
        return hparams["tensorboard_logger"]()
    except ImportError as error:
        raise ImportError(
            "use_tensorboard is True, but TensorBoard is not installed: "
            'pip install "speechbrain-siamese[tensorboard]"'
        ) from error


def finish(brain, datasets, encoder, sections):
    """Measure the best epoch, write ``metrics.json`` and the export."""
    hparams = brain.hparams
    trunk = brain.raw_modules["embedding_model"]
    voices = brain.speaker_means(datasets["train"])
    if not hparams.classifier_weight:
        # It has learnt nothing: each voice's own direction answers.
        classifier = brain.raw_modules["classifier"]
        classifier.weight.data.copy_(voices)
    cohort = Cohort(*voices.shape)
    cohort.fill(voices)
    valid, target = brain.trials["valid"], hparams.threshold_target
    scores = brain.score(valid)
    decision = choose_decision(scores, valid.labels, target)
    normalised = None
    if cohort.usable and hparams.measure == "cosine":
        embeddings = brain.embeddings_of(valid)
        normalised = choose_decision(
            cohort.normalised(scores, embeddings, valid.enrol, valid.test),
            valid.labels,
            target,
        )
    best = brain.best_epoch()
    best["valid"] |= measure(
        scores,
        valid,
        brain.speakers_of(datasets["valid"], valid),
        decision,
        hparams.measure,
    )
    report = {
        **best,
        "decision": asdict(decision),
        "normalised": asdict(normalised) if normalised else None,
        "test": measure_questions(
            brain.test_scores,
            brain.trials,
            {
                question: brain.speakers_of(datasets["test"], table)
                for question, table in brain.trials.items()
                if question != "valid"
            },
            decision,
            hparams.figures_folder,
            hparams.measure,
        ),
        "data": describe_data(datasets),
        "settings": {
            key: getattr(hparams, key)
            for key in (
                "seed",
                "sample_rate",
                "trim_start",
                "trim_end",
                "window_len",
                "speakers_per_batch",
                "clips_per_speaker",
                "pairs_per_batch",
                "margin",
                "lr",
                "number_of_epochs",
                "max_minutes",
            )
            if hasattr(hparams, key)
        }
        # Of a design that means to start from ImageNet's weights.
        | ({"start": trunk.start} if hasattr(trunk, "start") else {}),
        "init_from": old_and_new(brain, datasets["valid"]),
        "training_minutes": hparams.history.seconds / 60,
        "training_steps": hparams.lr_schedule.steps,
        "epochs": hparams.history.epochs,
    }
    write_metrics(report, Path(hparams.output_folder) / "metrics.json")
    export_model(
        hparams.export_folder,
        sections=sections,
        modules=brain.raw_modules,
        cohort=cohort,
        label_encoder=encoder,
        sample_rate=hparams.sample_rate,
        decision=decision,
        normalised=normalised,
        measure=hparams.measure,
        report=report,
    )


def old_and_new(brain, dataset):
    """Validation EER of the earlier model and of this one, on both's people.

    A model that goes on with new speakers may forget what made it good with
    those of the earlier training.
    """
    hparams = brain.hparams
    if not hparams.init_from:
        return None
    loader = {"batch_size": hparams.eval_batch_size}
    people = {"new": (dataset, brain.trials["valid"])}
    earlier = Path(hparams.init_from).parent / "prepared"
    if (earlier / "trials_valid.txt").is_file():
        held_out = read_manifest(str(earlier / "valid.csv"), str(earlier))
        held_out.set_output_keys(["id", "wav", "sig"])
        table = read_trial_table(earlier / "trials_valid.txt")
        people["earlier"] = (held_out, table)
        warn_of_known(earlier, hparams.prepared_folder)
    encoder = brain.raw_modules["embedding_model"]
    own = {key: value.clone() for key, value in encoder.state_dict().items()}
    found = {"path": str(hparams.init_from)}
    for model, state in (
        ("earlier", export_weights(hparams.init_from)),
        ("new", own),
    ):
        encoder.load_state_dict(state)
        for whose, (held_out, table) in people.items():
            brain.embed(held_out, loader)
            rate = eer(brain.score(table), table.labels)[0]
            found[f"{model}_model_{whose}_people"] = rate
            logger.info(
                "%s model, validation people of the %s training: EER %.1f %%",
                model,
                whose,
                100 * rate,
            )
    return found


def warn_of_known(earlier, now):
    """Say so where one training learns from the other's validation people."""
    for trained, held_out in ((now, earlier), (earlier, now)):
        both = {
            row["spk_id"] for row in read_rows(Path(trained) / "train.csv")
        } & {row["spk_id"] for row in read_rows(Path(held_out) / "valid.csv")}
        if both:
            logger.warning(
                "%d validation people of %s are training people of %s (%s): "
                "their figures flatter",
                len(both),
                held_out,
                trained,
                ", ".join(sorted(both)[:5]),
            )


def describe_data(datasets):
    """Speakers and hours of each manifest, in words."""
    described = {}
    for name, dataset in datasets.items():
        rows = dataset.data.values()
        speakers = len({row["spk_id"] for row in rows})
        hours = sum(row["duration"] for row in rows) / 3600
        described[name] = f"{speakers} speakers, {hours:.2f} h of speech"
    return described


if __name__ == "__main__":
    # The fastest convolution is chosen once per shape.
    torch.backends.cudnn.benchmark = True
    main(sys.argv[1:])
