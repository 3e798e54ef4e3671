#!/usr/bin/env python3
"""Recipe for measuring an exported model, beside others on the same trials.

To run this recipe, use the following command:
> python evaluate.py hparams/evaluate.yaml --model=<export>

It scores the trials that the training's preparation held out, or a list, or
every pair of a folder, and leaves tables, pictures, raw scores, metrics.json
and evaluation.html, one page that can be sent to a colleague.
"""

import json
import os
import shlex
import sys
import time
from pathlib import Path

import speechbrain as sb
import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.inference.speaker import SpeakerRecognition
from speechbrain.utils.logger import get_logger

import speechbrain_siamese
from speechbrain_siamese.dataio.preparation import prepared_fingerprint
from speechbrain_siamese.dataio.splits import QUESTIONS
from speechbrain_siamese.dataio.trial_sets import (
    folder_trials,
    listed_trials,
    prepared_trials,
)
from speechbrain_siamese.evaluation.comparison import (
    SLICE_COLUMNS,
    calibration_table,
    confused_table,
    length_table,
    question_table,
    slice_tables,
    systems_table,
)
from speechbrain_siamese.evaluation.html_report import (
    shown,
    text_table,
    write_report,
)
from speechbrain_siamese.evaluation.pictures import Pictures, draw_trials
from speechbrain_siamese.evaluation.systems import (
    CosineSystem,
    EmbeddingSystem,
    fitted_decision,
    prepare_all,
    score_all,
)
from speechbrain_siamese.evaluation.tables import TRIAL_COLUMNS, ScoreFiles
from speechbrain_siamese.evaluation.worst_errors import hear_errors
from speechbrain_siamese.inference.embeddings import EmbeddingCache
from speechbrain_siamese.inference.fingerprint import model_fingerprint
from speechbrain_siamese.inference.speaker import SiameseRecognition
from speechbrain_siamese.inference.teacher import load_encoder
from speechbrain_siamese.utils.folder_claim import check_nothing_replaced
from speechbrain_siamese.utils.peak_memory import peak_megabytes
from speechbrain_siamese.utils.plots import plot_distances
from speechbrain_siamese.utils.ranges import check_range
from speechbrain_siamese.utils.report import MEANING, write_metrics
from speechbrain_siamese.utils.resume import DATA, noted_traits
from speechbrain_siamese.utils.whole_file import (
    remove_partials,
    remove_partials_of,
    whole_file,
)
from speechbrain_siamese.utils.working_points import written_target

logger = get_logger(__name__)

#: Title of the trials on which thresholds and calibrations are chosen.
VALID = "validation: thresholds and calibrations were chosen on these trials"

#: Says what a folder is the evaluation of, from its beginning on.
NOTE = "evaluation_of.json"

#: What an evaluation replaces, or removes files of.
REPLACED = (
    "evaluation.html",
    "evaluate.py",
    "hyperparams.yaml",
    "figures",
    "scores",
    "tensorboard",
)

#: Names of systems that no peer may have.
RESERVED = ("model", "random", "nearest neighbours", "GMM-UBM")


def check_settings(hparams):
    """Refuse settings out of their range before any work is done."""
    if hparams["target"] is not None:
        hparams["target"] = written_target(hparams["target"])
    for key, low, high, whole in (
        ("lengths", 0.4, 3600, False),
        ("enrolment_clips", 1, 1000, True),
    ):
        hparams[key] = as_list(hparams[key])
        for value in hparams[key]:
            check_range(key, value, low, high, whole=whole)
    model = Path(hparams["model"])
    if model.is_dir() and not (model / "hyperparams.yaml").is_file():
        raise ValueError(
            f"model is {model}, which holds no hyperparams.yaml, so it is no "
            "export: name the folder 'export' that a training leaves"
        )
    if not model.is_dir() and len(model.parts) != 2:
        raise ValueError(
            f"model is {model}, which is no folder: name the folder 'export' "
            "that a training leaves (python train.py hparams/siamese.yaml)"
        )
    prepared = hparams["prepared_folder"]
    if prepared and not Path(prepared).is_dir():
        raise ValueError(
            f"prepared_folder is {prepared}, which is no folder: name the "
            "training's folder 'prepared', or null for the one beside the "
            "export"
        )
    if hparams["trials"] and not hparams["data_folder"]:
        raise ValueError(
            f"trials is {hparams['trials']}, but data_folder is not given: "
            "name the folder in which the list's paths begin"
        )


def as_list(value):
    """One value, several, or none (null), as a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def claim_output(output, source, settings):
    """Refuse a folder whose files this evaluation would replace.

    What it is the folder of is written before all else: then an evaluation
    that was interrupted can be begun again, and no file that an evaluation
    replaces or removes is anybody else's.
    """
    if output.resolve() == source.resolve():
        raise ValueError(
            f"output_folder is {output}, the export itself, whose files would "
            "be overwritten: give another"
        )
    if output.exists() and not output.is_dir():
        raise ValueError(f"output_folder is {output}, a file: give a folder")
    keys = ("model", "trials", "data_folder")
    # A slash at the end makes no other path.
    ours = {key: os.path.normpath(settings[key]) for key in keys}
    note = output / NOTE
    metrics = output / "metrics.json"
    if note.is_file():
        earlier = json.loads(note.read_text(encoding="utf-8"))
    elif metrics.is_file():
        report = json.loads(metrics.read_text(encoding="utf-8"))
        found = report.get("settings", {})
        earlier = {key: found.get(key) for key in ours}
    else:
        remove_partials_of(note)
        check_nothing_replaced("output_folder", output, REPLACED)
        earlier = ours
    if {key: os.path.normpath(str(earlier.get(key))) for key in keys} != ours:
        raise ValueError(
            f"output_folder is {output}, which holds the figures of something "
            f"else ({earlier}, expected {ours}): give another, or delete it"
        )
    with whole_file(note) as partial:
        partial.write_text(json.dumps(ours, indent=1), encoding="utf-8")


def open_encoder(kind, source, run_opts, work):
    """Load an encoder from a folder or the hub, with a cache of its own."""
    model = load_encoder(kind, source, work / "peers", run_opts)
    return model, EmbeddingCache(work / "embeddings", model_fingerprint(model))


def check_prepared(source, prepared, given, others):
    """Whether to measure on who is held out: the model may have heard them.

    Where a preparation was made anew since, what the user names is taken, and
    told; what merely lies beside the export is left out if there are others.
    """
    trained = noted_traits(source.parent / "save").get(DATA)
    if not trained or not (prepared / "preparation.json").is_file():
        return True
    if prepared_fingerprint(prepared) == trained:
        return True
    if given:
        logger.warning(
            "%s is not what the model was trained on: if there are people of "
            "its training among those held out there, the figures flatter it",
            prepared,
        )
        return True
    if others:
        logger.warning(
            "%s was prepared anew since the model was trained, so it may have "
            "heard who is held out there: they are left out",
            prepared,
        )
        return False
    raise ValueError(
        f"{prepared} was prepared anew since the model was trained, so it may "
        "have heard who is held out there: train it again, name another "
        "prepared_folder, or give trials of other people (data_folder)"
    )


def find_sets(hparams, prepared, held_out):
    """The sets to measure, what is asked for first.

    Those that the preparation has held out only where ``held_out`` says so.
    """
    sets = []
    if hparams["trials"]:
        sets.append(listed_trials(hparams["trials"], hparams["data_folder"]))
    elif hparams["data_folder"]:
        sets.append(folder_trials(hparams["data_folder"], hparams["seed"]))
    # The unknown voice first: it is the one that tells what to expect.
    for question in reversed(QUESTIONS):
        if held_out and (prepared / f"trials_{question}.txt").is_file():
            sets.append(prepared_trials(prepared, question, MEANING[question]))
    if not sets:
        raise ValueError(
            f"there are no trials: {prepared} holds none that were held out; "
            "give --trials=<list> --data_folder=<folder>, or a folder alone"
        )
    labels = sets[0].table.labels
    if not sets[0].table.both_labels:
        found = "there is none"
        if len(labels):
            found = f"all {len(labels)} trials have label {labels[0]}"
        raise ValueError(
            f"{sets[0].title}: {found}, expected both 0 and 1: two recordings "
            "of one speaker, and one of another"
        )
    # Last: thresholds and calibrations are chosen on it.
    if held_out and (prepared / "trials_valid.txt").is_file():
        sets.append(prepared_trials(prepared, "valid", VALID))
    return sets


def open_systems(hparams, run_opts, work, prepared):
    """The model, by both its scores, peers and baselines, not prepared."""
    try:
        model, cache = open_encoder(
            SiameseRecognition, str(hparams["model"]), run_opts, work
        )
    except ValueError as error:
        raise ValueError(
            f"{error}. An encoder without a threshold can be compared with: "
            "--peer="
        ) from error
    ours = EmbeddingSystem("model", model, cache)
    decision = model.normalised_decision
    own = {ours.name: decision or model.decision}
    encoders, others = [ours], []
    if decision is not None:
        others.append(CosineSystem(ours))
        own[others[0].name] = model.decision
    peers = as_list(hparams["peer"])
    names = [Path(peer).name for peer in peers]
    for peer, name in zip(peers, names, strict=True):
        found = open_encoder(SpeakerRecognition, peer, run_opts, work)
        unique = names.count(name) == 1 and name not in RESERVED
        encoders.append(EmbeddingSystem(name if unique else peer, *found))
    speech = None
    if hparams["baselines"]:
        # Only these need librosa.
        from speechbrain_siamese.evaluation.older_designs import (
            older_designs,
            training_speech,
        )

        speech = training_speech(prepared, hparams["seed"])
        others += older_designs(speech, hparams["seed"])
    return encoders, others, speech, own


def choose_decisions(systems, valid, own, target):
    """Threshold and calibration of each system, by its name."""
    decisions = {}
    for system in systems:
        decision = own.get(system.name)
        if decision is None or (target and target != decision.target):
            decision = fitted_decision(system, valid, target or "eer")
        if target and decision is None:
            raise ValueError(
                f"target is {target}, but there are no validation trials to "
                "choose a threshold on: name the training's prepared_folder"
            )
        decisions[system.name] = decision
    return decisions


def headline(row, trials, model):
    """One sentence that tells what to expect."""
    figures = row["figures"]
    known = set(model.hparams.label_encoder.lab2ind)
    heard = len(known & set(trials.speakers or ()))
    text = f"{trials.title}: EER {shown('eer', figures['eer'])}"
    if figures["eer_interval"]:
        between = shown("eer_interval", figures["eer_interval"])
        text += f" (95 %: {between})"
    if figures["speakers"]:
        text += f", {figures['speakers']} speakers"
    if heard and trials.key not in ("session", "time"):
        text += f"; {heard} of them have the name of a training speaker"
    return text + "."


def main(argv):
    """Measure and report."""
    hparams_file, run_opts, overrides = sb.parse_arguments(argv)
    with open(hparams_file, encoding="utf-8") as fin:
        hparams = load_hyperpyyaml(fin, overrides)
    check_settings(hparams)
    started = time.monotonic()
    source = Path(hparams["model"])
    if source.is_dir():
        source = source.resolve()
    # The page is sent on: it shall not tell where on this machine it was.
    beside = os.path.relpath(source.parent / "prepared")
    prepared = Path(hparams["prepared_folder"] or beside)
    held_out = check_prepared(
        source,
        prepared,
        given=bool(hparams["prepared_folder"]),
        others=bool(hparams["data_folder"]),
    )
    sets = find_sets(hparams, prepared, held_out)
    output = Path(
        hparams["output_folder"] or source.parent / f"evaluation_{sets[0].key}"
    )
    settings = {
        key: str(hparams[key])
        for key in (
            "model",
            "trials",
            "data_folder",
            "target",
            "peer",
            "baselines",
            "lengths",
            "enrolment_clips",
            "seed",
        )
    } | {"prepared_folder": str(prepared)}
    claim_output(output, source, settings)
    sb.create_experiment_directory(
        experiment_directory=output,
        hyperparams_to_save=hparams_file,
        overrides=overrides,
    )
    for folder in (output, output.parent / "embeddings"):
        remove_partials(folder)
    # Beside the evaluations of one model, which share its embeddings.
    encoders, others, speech, own = open_systems(
        hparams, run_opts, output.parent, prepared
    )
    systems = [encoders[0], *others, *encoders[1:]]
    sets, unusable = prepare_all(systems, sets)
    valid = next((trials for trials in sets if trials.key == "valid"), None)
    decisions = choose_decisions(systems, valid, own, hparams["target"])
    scored = score_all(systems, sets, decisions)

    files = ScoreFiles(output)
    pictures = Pictures(output, hparams["use_tensorboard"])
    tables = make_tables(hparams, files, pictures, sets, encoders, scored)
    if speech is not None and sets[0].speakers is not None:
        from speechbrain_siamese.evaluation import tasks

        seed = hparams["seed"]
        tables += [
            tasks.one_or_two(files, speech, valid, sets[0], encoders, seed),
            tasks.clusterings(files, sets[0], encoders, seed),
        ]
    draw_training(pictures, source.parent / "metrics.json")
    errors, players = hear_errors(sets[0], scored[0])
    report = {
        "title": f"Evaluation of {hparams['model']}",
        "headline": headline(tables[0].rows[0], sets[0], encoders[0].model),
        "command": shlex.join(["python", "evaluate.py", *argv]),
        "settings": settings,
        "versions": {
            module.__name__: module.__version__
            for module in (speechbrain_siamese, sb, torch)
        },
        "tables": [table.as_dict() for table in tables if table.rows],
        "pictures": pictures.shown,
        "errors": errors,
        "unusable": [
            {"file": file, "reason": reason}
            for file, reason in unusable.items()
        ],
        "seconds": time.monotonic() - started,
        "peak_mb": peak_megabytes(),
    }
    write_metrics(report, output / "metrics.json")
    for table in report["tables"]:
        # A terminal is narrower than a page.
        if table["columns"] == list(TRIAL_COLUMNS):
            table = {**table, "columns": SLICE_COLUMNS}
        logger.info("%s\n", text_table(table))
    logger.info(report["headline"])
    write_report(report, output, players)
    files.remove_others()
    pictures.remove_others()


def make_tables(hparams, files, pictures, sets, encoders, scored):
    """The tables of trials, and the pictures that go with them."""
    first, ours = sets[0], scored[0]
    asked = [trials for trials in sets if trials.key != "valid"]
    decisions = {system.name: system.decision for system in scored}
    tables = [
        question_table(files, ours, asked),
        *(systems_table(files, trials, scored) for trials in sets),
        calibration_table(files, ours, asked),
    ]
    embeddings = encoders[0].embeddings(first.paths).numpy()
    draw_trials(pictures, first, scored, embeddings, hparams["seed"])
    if hparams["lengths"]:
        tables.append(
            length_table(
                files, pictures, first, encoders, decisions, hparams["lengths"]
            )
        )
    tables += slice_tables(
        files, first, encoders[0], ours, hparams["enrolment_clips"]
    )
    if first.speakers is not None:
        tables.append(confused_table(files, pictures, first, ours))
    return tables


def draw_training(pictures, path):
    """Distances over epochs, where the training's figures are at hand."""
    if not path.is_file():
        return
    try:
        epochs = json.loads(path.read_text(encoding="utf-8")).get("epochs")
        if not epochs:
            return
        figure = plot_distances(epochs)
    except Exception as error:
        # It may be anybody's file, and all else is done by now.
        logger.warning(
            "%s is no training's, so there is no picture of its epochs (%s: "
            "%s)",
            path,
            type(error).__name__,
            error,
        )
        return
    pictures.add(
        "distances",
        "Distances over epochs",
        "Mean Euclidean distance of similar and dissimilar pairs in training "
        "and on validation trials: they should part, on both.",
        figure,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
