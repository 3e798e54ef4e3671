"""What a finished training is worth: for metrics.json and the model card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from speechbrain_siamese.core import SiameseBrain
from speechbrain_siamese.dataio.datasets import WindowDataset
from speechbrain_siamese.dataio.trial_names import speakers_of
from speechbrain_siamese.processing.score_norm import (
    Cohort,
    evened,
    noise_of,
    voices_of,
)
from speechbrain_siamese.processing.scoring import product_scores
from speechbrain_siamese.utils.collapse import collapsed_epochs
from speechbrain_siamese.utils.decision import (
    Decision,
    NormalisedDecision,
    choose_decision,
)
from speechbrain_siamese.utils.earlier_model import earlier_people, old_and_new
from speechbrain_siamese.utils.epoch_report import figures_of
from speechbrain_siamese.utils.metrics import eer
from speechbrain_siamese.utils.report import measure, measure_questions
from speechbrain_siamese.utils.working_points import working_threshold

#: Mean cosine between windows of one voice, at least.
LEAST_LIKENESS = 0.01

#: Variance of what is none of the voice, at least.
LEAST_NOISE = 0.01

#: Settings that the report tells, where the design has them.
_TOLD = (
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


def choose_decisions(
    brain: SiameseBrain, cohort: Cohort
) -> tuple[Decision, NormalisedDecision | None]:
    """Choose what scores mean on the validation trials.

    Arguments
    ---------
    brain : SiameseBrain
        With the best epoch's weights and the validation embeddings.
    cohort : Cohort
        Mean embedding of each training speaker.

    Returns
    -------
    decision : Decision
        Of scores.
    normalised : NormalisedDecision or None
        Of normalised scores; None where scores are no cosines.
    """
    valid, target = brain.trials["valid"], brain.hparams.threshold_target
    decision = choose_decision(brain.score(valid), valid.labels, target)
    if brain.hparams.measure != "cosine":
        return decision, None
    means, counts = brain.embeddings_of(valid), brain.counts_of(valid)
    same = valid.labels == 1
    alike = product_scores(means, valid.enrol[same], valid.test[same])
    # A model that has learnt nothing has voices, too.
    likeness = max(float(alike.mean()), LEAST_LIKENESS)
    voices = voices_of(means, counts, likeness)
    each = noise_of(voices)
    noise = each[valid.enrol] + each[valid.test]
    scores = cohort.normalised(voices, valid.enrol, valid.test)
    evening = {
        "middle": working_threshold(scores, valid.labels, "eer"),
        "usual": max(float(noise.mean()), LEAST_NOISE),
    }
    chosen = choose_decision(
        evened(scores, noise, **evening), valid.labels, target
    )
    return decision, NormalisedDecision(
        **vars(chosen), likeness=likeness, **evening
    )


def training_report(
    brain: SiameseBrain,
    datasets: Mapping[str, WindowDataset],
    decision: Decision,
    normalised: Decision | None,
    figures_folder: str | Path,
) -> dict:
    """Measure the best epoch on validation and on the test questions.

    Arguments
    ---------
    brain : SiameseBrain
        With the best epoch's weights, the validation embeddings and the
        scores of the test.
    datasets : Mapping of str : WindowDataset
        ``train``, ``valid``, and ``test`` where the data can answer a question.
    decision, normalised : Decision
        As ``choose_decisions`` gives them.
    figures_folder : str or Path
        For a score histogram of each question.

    Returns
    -------
    dict
        Numbers, strings, lists and dicts.
    """
    hparams, trials = brain.hparams, brain.trials
    speakers = {
        question: speakers_of(
            datasets["valid" if question == "valid" else "test"].data.values(),
            table,
        )
        for question, table in trials.items()
    }
    valid = measure(
        brain.score(trials["valid"]),
        trials["valid"],
        speakers["valid"],
        decision,
        hparams.measure,
    )
    test = measure_questions(
        brain.test_scores,
        trials,
        speakers,
        decision,
        figures_folder,
        hparams.measure,
    )
    encoder = brain.raw_modules["embedding_model"]
    return {
        "best_epoch": brain.best,
        "valid": figures_of("valid", brain.best_figures()) | valid,
        "decision": asdict(decision),
        "normalised": asdict(normalised) if normalised else None,
        "test": test,
        "data": {name: _describe(data) for name, data in datasets.items()},
        "settings": {
            key: getattr(hparams, key) for key in _TOLD if hasattr(hparams, key)
        }
        # Of a design that means to start from ImageNet's weights.
        | ({"start": encoder.start} if hasattr(encoder, "start") else {}),
        "init_from": _compare_with_start(brain, datasets["valid"]),
        "training_minutes": hparams.history.seconds / 60,
        "training_steps": brain.trained_steps,
        "epochs": hparams.history.epochs,
        # Where every voice had the same embedding.
        "collapsed_epochs": collapsed_epochs(hparams.history.epochs),
    }


def _describe(dataset) -> str:
    """Speakers and hours of a manifest, in words."""
    rows = dataset.data.values()
    speakers = len({row["spk_id"] for row in rows})
    hours = sum(row["duration"] for row in rows) / 3600
    return f"{speakers} speakers, {hours:.2f} h of speech"


def _compare_with_start(brain, dataset) -> dict | None:
    """How good the earlier model was, where training went on from one."""
    hparams = brain.hparams
    if not hparams.init_from:
        return None

    def error_rate(held_out, table):
        brain.embed(held_out, {"batch_size": hparams.eval_batch_size})
        return eer(brain.score(table), table.labels)[0]

    people = {"new": (dataset, brain.trials["valid"])}
    earlier = earlier_people(hparams.init_from, hparams.prepared_folder)
    if earlier:
        people["earlier"] = earlier
    encoder = brain.raw_modules["embedding_model"]
    return old_and_new(hparams.init_from, encoder, people, error_rate)
