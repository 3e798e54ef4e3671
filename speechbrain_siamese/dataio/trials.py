"""Make the trials of each question from held-out utterances."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np

from speechbrain_siamese.dataio.manifests import Row, Trial

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
        pairs = list(
            product(utterances.get("time", []), utterances.get("session", []))
        )
    else:
        pairs = list(combinations(utterances.get(question, []), 2))
    same = [pair for pair in pairs if pair[0].spk_id == pair[1].spk_id]
    different = [pair for pair in pairs if pair[0].spk_id != pair[1].spk_id]
    if not same or not different:
        return []
    most = max(len(same), _MOST_TRIALS - len(same))
    if len(different) > most:
        chosen = np.random.default_rng(seed).choice(
            len(different), size=most, replace=False
        )
        different = [different[index] for index in sorted(chosen)]
    return [
        Trial(label, _relative(enrol), _relative(test))
        for label, side in ((1, same), (0, different))
        for enrol, test in side
    ]


def _relative(row: Row) -> str:
    """Path of an utterance without its ``$data_root``."""
    return row.wav.removeprefix("$data_root/")
