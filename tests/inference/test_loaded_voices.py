"""Voices in memory are as a gallery that was loaded anew has them."""

from __future__ import annotations

import numpy as np
import pytest

from speechbrain_siamese.inference.loaded_voices import LoadedVoices


@pytest.mark.parametrize("index", ["exact", "faiss"])
def test_changes_leave_what_loading_would(index):
    if index == "faiss":
        pytest.importorskip("faiss")
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((40, 8)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    voices = LoadedVoices([], directions[:0], 1, index)
    assert voices.nearest(directions[0], 3)[0] == []
    expected = {}
    for number, voice in enumerate(directions):
        name = f"person {number % 30}"  # of some the voice changes
        voices.put(name, voice)
        expected[name] = voice
    for number in (0, 29, 7, 28):  # first, last, between, and last again
        voices.remove(f"person {number}")
        del expected[f"person {number}"]
    voices.rename("person 3", "renamed")
    expected["renamed"] = expected.pop("person 3")
    assert len(voices) == len(expected) == 26
    for name, voice in expected.items():
        (found,), (own,) = voices.nearest(voice, 1)
        assert found == name
        assert (own == voice).all()
    names, _ = voices.nearest(directions[0], 99)
    assert sorted(names) == sorted(expected)
    for name in expected:
        voices.remove(name)
    assert voices.nearest(directions[0], 3)[0] == []
    voices.put("again", directions[0])
    assert voices.nearest(directions[1], 3)[0] == ["again"]
