"""Parts of a trial list: by clip length, gender, codec, enrolment clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement

import numpy as np
import torch

from speechbrain_siamese.dataio.trial_sets import TrialSet, enrolment_trials
from speechbrain_siamese.dataio.trial_table import TrialTable
from speechbrain_siamese.evaluation.systems import EmbeddingSystem
from speechbrain_siamese.inference.embeddings import embed_files


def by_kind(
    table: TrialTable, kinds: Sequence[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Trials by what their two utterances are.

    Arguments
    ---------
    table : TrialTable
    kinds : Sequence[str]
        Of each utterance, such as its speaker's gender; empty if unknown.

    Yields
    ------
    str
        ``female``, ``female and male``, … in alphabetical order.
    np.ndarray
        Positions of the trials. Only where there are trials of both labels.

    Example
    -------
    >>> table = TrialTable(
    ...     ["1", "2", "3"], np.array([1, 0]), np.array([0, 0]),
    ...     np.array([1, 2]),
    ... )
    >>> [(kind, own.tolist()) for kind, own in by_kind(table, ["f", "f", "f"])]
    [('f', [0, 1])]
    """
    names, number = np.unique(np.asarray(kinds), return_inverse=True)
    low = np.minimum(number[table.enrol], number[table.test])
    high = np.maximum(number[table.enrol], number[table.test])
    for a, b in combinations_with_replacement(range(len(names)), 2):
        own = np.flatnonzero((low == a) & (high == b))
        if names[a] and len(np.unique(table.labels[own])) == 2:
            yield (
                " and ".join(dict.fromkeys((str(names[a]), str(names[b])))),
                own,
            )


def trials_at(table: TrialTable, positions: np.ndarray) -> TrialTable:
    """Some trials of a table.

    Arguments
    ---------
    table : TrialTable
    positions : np.ndarray
        Of trials.

    Returns
    -------
    TrialTable
        With the same names.
    """
    return TrialTable(
        table.names,
        table.labels[positions],
        table.enrol[positions],
        table.test[positions],
    )


def by_length(
    systems: Sequence[EmbeddingSystem],
    trials: TrialSet,
    cuts: Sequence[float],
) -> Iterator[tuple[EmbeddingSystem, float, TrialSet, np.ndarray]]:
    """The same trials with the middle seconds of each utterance.

    Arguments
    ---------
    systems : Sequence[EmbeddingSystem]
    trials : TrialSet
    cuts : Sequence[float]
        Seconds; a shorter utterance is taken whole.

    Yields
    ------
    EmbeddingSystem
    float
        Seconds.
    TrialSet
        The trials that every system can score at every cut: the middle of a
        clip may be silent.
    np.ndarray
        Scores, (trials,).

    Raises
    ------
    ValueError
        If no file has a middle that can be embedded.
    """
    found = [
        embed_files(
            system.model,
            trials.paths,
            cuts,
            system.cache,
            f"Embedding cuts, {system.name}",
        )[0]
        for system in systems
    ]
    heard = torch.stack(
        [own[cut].isfinite().all(dim=1) for own in found for cut in cuts]
    ).all(dim=0)
    silent = {
        name
        for name, usable in zip(trials.table.names, heard, strict=True)
        if not usable
    }
    kept = trials.without(silent)
    if not kept.table.both_labels:
        return
    for system, own in zip(systems, found, strict=True):
        for cut in cuts:
            yield (
                system,
                cut,
                kept,
                system.compare(
                    own[cut][heard], kept.table.enrol, kept.table.test
                ),
            )


def by_enrolment(
    system: EmbeddingSystem, trials: TrialSet, counts: Sequence[int]
) -> Iterator[tuple[int, TrialTable, list[str], np.ndarray]]:
    """People enrolled with several clips, the same tests for each number.

    A person is the mean of the embeddings of the clips. Enrolled is who has
    more clips than the highest number; see ``enrolment_trials``.

    Arguments
    ---------
    system : EmbeddingSystem
    trials : TrialSet
        With known speakers.
    counts : Sequence[int]
        Clips per person.

    Yields
    ------
    int
        Clips per person.
    TrialTable
    list of str
        Speaker of each of its names.
    np.ndarray
        Scores, (trials,).
    """
    most = max(counts)
    enrolled, table = enrolment_trials(
        trials.table.names, trials.speakers, most
    )
    if not table.both_labels:
        return
    clips = system.embeddings(trials.paths)
    for count in sorted(counts):
        people = [clips[own[:count]].mean(dim=0) for own in enrolled.values()]
        embeddings = torch.cat([torch.stack(people), clips])
        yield (
            count,
            table,
            [*enrolled, *trials.speakers],
            system.compare(embeddings, table.enrol, table.test),
        )
