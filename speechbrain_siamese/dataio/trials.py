"""Make the trials of each question from held-out utterances."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from itertools import combinations, product

import numpy as np

from speechbrain_siamese.dataio.manifests import ROOT, Row, Trial
from speechbrain_siamese.dataio.trial_table import (
    MOST_PAIRS,
    dissimilar_pairs,
    similar_pairs,
)

#: Trials of one list; beyond it only the dissimilar ones are thinned out.
_MOST_TRIALS = 20_000


def make_trials(
    utterances: dict[str, Sequence[Row]], question: str, seed: int
) -> list[Trial]:
    """Pair utterances so that the trials answer one question.

    ``valid``, ``speaker`` and ``time`` pair all of their utterances with each
    other. ``session`` pairs the utterances of a recording that was not trained
    on with held-out ones of the recordings that were: its similar trials never
    share the session.

    Arguments
    ---------
    utterances : dict of str : Sequence[Row]
        Held-out utterances by role.
    question : str
        ``valid, time, session`` or ``speaker``.
    seed : int
        Decides which dissimilar trials stay where there are too many.

    Returns
    -------
    list of Trial
        Paths relative to ``$data_root``; empty where the data cannot answer
        the question (no similar or no dissimilar trial).
    """
    if question == "session":
        sides = utterances.get("time", []), utterances.get("session", [])
        count = len(sides[0]) * len(sides[1])
    else:
        sides = (utterances.get(question, []),)
        count = len(sides[0]) * (len(sides[0]) - 1) // 2
    if count > MOST_PAIRS:
        same, different = _drawn_pairs(sides, seed)
    else:
        same, different = _listed_pairs(sides, seed)
    if not same or not different:
        return []
    return [
        Trial(label, _relative(enrol), _relative(test))
        for label, side in ((1, same), (0, different))
        for enrol, test in side
    ]


def _most_different(same: Sized) -> int:
    """Dissimilar trials that stay beside the similar ones."""
    return max(len(same), _MOST_TRIALS - len(same))


def _listed_pairs(sides: Sequence[Sequence[Row]], seed: int):
    """Similar and dissimilar pairs, chosen from a list of all."""
    pairs = [*(product(*sides) if len(sides) == 2 else combinations(*sides, 2))]
    same = [pair for pair in pairs if pair[0].spk_id == pair[1].spk_id]
    different = [pair for pair in pairs if pair[0].spk_id != pair[1].spk_id]
    most = _most_different(same)
    if same and len(different) > most:
        chosen = np.random.default_rng(seed).choice(
            len(different), size=most, replace=False
        )
        different = [different[index] for index in sorted(chosen)]
    return same, different


def _drawn_pairs(sides: Sequence[Sequence[Row]], seed: int):
    """The same where a list of all would fill the memory."""
    names = sorted({row.spk_id for rows in sides for row in rows})
    number = {name: position for position, name in enumerate(names)}
    speakers, *others = (
        np.array([number[row.spk_id] for row in rows]) for rows in sides
    )
    same = similar_pairs(speakers, *others)
    different = dissimilar_pairs(
        speakers, seed, _most_different(same.T), *others
    )
    return (
        [(sides[0][a], sides[-1][b]) for a, b in found.T.tolist()]
        for found in (same, different)
    )


def _relative(row: Row) -> str:
    """Path of an utterance without its ``$data_root``."""
    return row.wav.removeprefix(ROOT)
