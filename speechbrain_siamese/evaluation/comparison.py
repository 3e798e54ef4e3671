"""The tables of an evaluation: one function each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from speechbrain_siamese.dataio.decoding import audio_format
from speechbrain_siamese.dataio.trial_sets import TrialSet
from speechbrain_siamese.evaluation.confusion import confusion, most_confused
from speechbrain_siamese.evaluation.pictures import UNCALIBRATED, Pictures
from speechbrain_siamese.evaluation.slice_plots import plot_lengths
from speechbrain_siamese.evaluation.slices import (
    by_enrolment,
    by_kind,
    by_length,
    trials_at,
)
from speechbrain_siamese.evaluation.speaker_plots import plot_confusion
from speechbrain_siamese.evaluation.systems import EmbeddingSystem, Scored
from speechbrain_siamese.evaluation.tables import FigureTable, ScoreFiles
from speechbrain_siamese.utils.decision import Decision

#: Figures of a slice: what can be compared between slices.
SLICE_COLUMNS = (
    "eer",
    "eer_interval",
    "min_dcf_0.01",
    "cllr",
    "min_cllr",
    "precision",
    "recall",
    "trials_similar",
    "trials_dissimilar",
    "speakers",
)

CALIBRATION_COLUMNS = (
    "cllr",
    "min_cllr",
    "calibration_error",
    "trials_similar",
    "trials_dissimilar",
)


def question_table(
    files: ScoreFiles, scored: Scored, sets: Sequence[TrialSet]
) -> FigureTable:
    """One system on each trial set.

    Arguments
    ---------
    files : ScoreFiles
    scored : Scored
    sets : Sequence[TrialSet]

    Returns
    -------
    FigureTable
    """
    table = FigureTable(
        files,
        "questions",
        "What is asked",
        "Only unknown voices tell what to expect of new people: a voice that "
        "was trained on is known again more easily.",
    )
    for trials in sets:
        table.add_trials(
            trials.title,
            f"{trials.key}, {scored.name}",
            scored.scores[trials.key],
            trials.table,
            trials.speakers,
            scored.decision,
            scored.kind,
        )
    return table


def systems_table(
    files: ScoreFiles, trials: TrialSet, systems: Sequence[Scored]
) -> FigureTable:
    """All systems on one trial set.

    Arguments
    ---------
    files : ScoreFiles
    trials : TrialSet
    systems : Sequence[Scored]

    Returns
    -------
    FigureTable
    """
    table = FigureTable(
        files,
        f"systems-{trials.key}",
        f"Systems: {trials.title}",
        "The same trials for all. Thresholds and calibrations were chosen on "
        "the validation trials, unless a row says otherwise.",
    )
    for system in systems:
        table.add_trials(
            system.name,
            f"{trials.key}, {system.name}",
            system.scores[trials.key],
            trials.table,
            trials.speakers,
            system.decision,
            system.kind,
            "" if system.decision else "threshold of these very trials",
        )
    return table


def calibration_table(
    files: ScoreFiles, scored: Scored, sets: Sequence[TrialSet]
) -> FigureTable:
    """What calibration gives, on people who neither trained nor calibrated.

    Arguments
    ---------
    files, scored, sets
        As for ``question_table``; the scores are cosines and the decision is
        there.

    Returns
    -------
    FigureTable
    """
    table = FigureTable(
        files,
        "calibration",
        "Calibration",
        "Before: the cosine taken for a log-likelihood ratio. Cllr above its "
        "minimum is what poor calibration costs, 1 is what it costs to know "
        "nothing.",
        CALIBRATION_COLUMNS,
    )
    after = scored.decision
    before = Decision("none", after.threshold, UNCALIBRATED)
    for trials in sets:
        for name, used in (("before", before), ("after", after)):
            table.add_trials(
                f"{trials.title}, {name}",
                f"{trials.key}, {scored.name}",
                scored.scores[trials.key],
                trials.table,
                # The table shows no interval, which takes long.
                trials.speakers if used is after else None,
                used,
                scored.kind,
            )
    return table


def length_table(
    files: ScoreFiles,
    pictures: Pictures,
    trials: TrialSet,
    systems: Sequence[EmbeddingSystem],
    decisions: Mapping[str, Decision | None],
    lengths: Sequence[float],
) -> FigureTable:
    """EER over the length of the clips, and its curve.

    Arguments
    ---------
    files : ScoreFiles
    pictures : Pictures
    trials : TrialSet
    systems : Sequence[EmbeddingSystem]
    decisions : Mapping
        By the system's name.
    lengths : Sequence[float]
        Seconds.

    Returns
    -------
    FigureTable
    """
    table = FigureTable(
        files,
        "lengths",
        f"Length of the clips: {trials.title}",
        "The middle of each clip, silence included; a shorter clip is taken "
        "whole.",
        SLICE_COLUMNS,
    )
    rows = []
    for system, seconds, kept, scores in by_length(systems, trials, lengths):
        row = table.add_trials(
            f"{system.name}, {seconds:g} s",
            f"length {seconds:g} s, {system.name}",
            scores,
            kept.table,
            kept.speakers,
            decisions[system.name],
            system.kind,
        )
        figures = {key: row["figures"][key] for key in ("eer", "eer_interval")}
        rows.append({"name": system.name, "seconds": seconds, **figures})
    if rows:
        pictures.add(
            "lengths",
            "EER over the length of the clips",
            "The same trials, cut; bars are 95 % intervals by resampling "
            "speakers.",
            plot_lengths(rows),
        )
    return table


def slice_tables(
    files: ScoreFiles,
    trials: TrialSet,
    system: EmbeddingSystem,
    scored: Scored,
    enrolment_clips: Sequence[int],
) -> list[FigureTable]:
    """By gender, by codec and by the number of enrolment clips.

    Arguments
    ---------
    files : ScoreFiles
    trials : TrialSet
    system : EmbeddingSystem
        Prepared.
    scored : Scored
        What it says.
    enrolment_clips : Sequence[int]
        Clips per person.

    Returns
    -------
    list of FigureTable
        Without rows where the data cannot tell.
    """
    scores, decision = scored.scores[trials.key], scored.decision
    tables = []
    for key, title, kinds in (
        ("genders", "Gender", trials.genders),
        ("formats", "Codec and sample rate", _formats(trials)),
    ):
        table = FigureTable(
            files, key, f"{title}: {trials.title}", "", SLICE_COLUMNS
        )
        for kind, own in by_kind(trials.table, kinds):
            table.add_trials(
                kind,
                f"{key}, {kind}",
                scores[own],
                trials_at(trials.table, own),
                trials.speakers,
                decision,
                system.kind,
            )
        tables.append(table)
    table = FigureTable(
        files,
        "enrolment",
        f"Enrolment clips: {trials.title}",
        "A person is the mean of the clips' embeddings; the tests are the "
        "same in each row. More clips raise the scores of the same voice, so "
        "the threshold of single clips errs to the safe side.",
        SLICE_COLUMNS,
    )
    if trials.speakers is not None and enrolment_clips:
        for count, own, speakers, found in by_enrolment(
            system, trials, enrolment_clips
        ):
            table.add_trials(
                f"{count} {'clip' if count == 1 else 'clips'}",
                f"enrolment, {count} clips",
                found,
                own,
                speakers,
                decision,
                system.kind,
            )
    return [*tables, table]


def confused_table(
    files: ScoreFiles,
    pictures: Pictures,
    trials: TrialSet,
    scored: Scored,
) -> FigureTable:
    """Who is taken for whom.

    Arguments
    ---------
    files : ScoreFiles
    pictures : Pictures
    trials : TrialSet
        With known speakers.
    scored : Scored

    Returns
    -------
    FigureTable
    """
    speakers = np.asarray(trials.speakers)
    enrol, test = speakers[trials.table.enrol], speakers[trials.table.test]
    scores, labels = scored.scores[trials.key], trials.table.labels
    found = confusion(scores, labels, enrol, test, scored.decision.threshold)
    pictures.add(
        "confusion",
        "Who is taken for whom",
        "Share of accepted trials of each two speakers: it should be dark on "
        "the diagonal alone.",
        plot_confusion(found),
    )
    table = FigureTable(
        files,
        "confused",
        "Most confused pairs of speakers",
        "Trials of two speakers that were taken for one.",
        ("accepted", "trials", "threshold"),
        "confusion",
    )
    for one, other, accepted, count in most_confused(found):
        own = np.flatnonzero(
            ((enrol == one) & (test == other))
            | ((enrol == other) & (test == one))
        )
        table.add(
            f"{one} and {other}",
            {
                "accepted": accepted,
                "trials": count,
                "threshold": scored.decision.threshold,
            },
            [
                f"0\t{trials.table.names[a]}\t{trials.table.names[b]}\t{score!r}"
                for a, b, score in zip(
                    trials.table.enrol[own],
                    trials.table.test[own],
                    scores[own].tolist(),
                    strict=True,
                )
            ],
        )
    return table


def _formats(trials: TrialSet) -> list[str]:
    """Codec and rate of each utterance; all empty where they are the same."""
    formats = [audio_format(path) for path in trials.paths]
    return formats if len(set(formats)) > 1 else [""] * len(formats)
