"""Scored trials in the records of benchmarks.

Not a benchmark by itself: what those that keep the score of every trial have
in common. A list of trials is a dict of ``speakers`` (names), ``enrol`` and
``test`` (positions in ``speakers``), ``labels`` (a string of 0 and 1) and
``scores``.
"""

from __future__ import annotations

import numpy as np
from unseen_trials import corpus


def described(speakers, enrol, test, labels, scores) -> dict:
    """Trials for a record; ``speakers`` are those of the utterances."""
    people, number = np.unique(np.asarray(speakers), return_inverse=True)
    return {
        "speakers": people.tolist(),
        "enrol": number[enrol].tolist(),
        "test": number[test].tolist(),
        "labels": "".join(str(int(label)) for label in labels),
        "scores": [round(score, 5) for score in scores.tolist()],
    }


def by_corpus(trials: dict) -> dict[str, dict]:
    """Trials of unseen people, apart by the letters that begin a name."""
    corpora = [corpus(name) for name in trials["speakers"]]
    own = np.array(corpora)[trials["enrol"]]
    parts = {}
    for name in sorted(set(corpora)):
        kept = np.flatnonzero(own == name)
        parts[name] = {
            "speakers": trials["speakers"],
            **{
                key: [trials[key][trial] for trial in kept]
                for key in ("enrol", "test", "labels", "scores")
            },
        }
    return parts
