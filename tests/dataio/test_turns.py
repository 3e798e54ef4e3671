"""Joined turns are what they say they are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from speechbrain_siamese.dataio.turns import joined_turns

RATE = 100
#: The third is too short for a turn.
STRETCHES = {"a": [500, 2000], "b": [900], "c": [199]}


def read(speaker, number, start, stop):
    assert 0 <= start < stop <= STRETCHES[speaker][number]
    return np.full(stop - start, "abc".index(speaker), dtype=float)


def joined(seed=0):
    return joined_turns(STRETCHES, read, 120, RATE, seed)


def test_turns_hold_the_speaker_they_name():
    samples, turns = joined()
    assert len(samples) >= 120 * RATE
    assert turns[0][0] == 0
    assert turns[-1][1] == len(samples) / RATE
    for (_, end, first), (start, _, second) in itertools.pairwise(turns):
        assert end == start
        assert first != second
    for start, end, speaker in turns:
        own = samples[round(start * RATE) : round(end * RATE)]
        assert (own == "abc".index(speaker)).all()
        assert 2 <= end - start <= 10
    assert {speaker for *_, speaker in turns} == {"a", "b"}


def test_the_seed_decides():
    assert joined(1)[1] == joined(1)[1] != joined(2)[1]


def test_one_speaker_makes_no_turns():
    with pytest.raises(ValueError, match="1 speakers have a stretch"):
        joined_turns({"a": [500], "c": [199]}, read, 10, RATE, 0)
