"""Search finds what a plain product finds."""

from __future__ import annotations

import numpy as np
import pytest

from speechbrain_siamese.inference import search
from speechbrain_siamese.inference.search import ExactSearch, FaissSearch


def unit(count, dim, seed):
    rng = np.random.default_rng(seed)
    voices = rng.standard_normal((count, dim)).astype(np.float32)
    return voices / np.linalg.norm(voices, axis=1, keepdims=True)


def naive(voices, queries, top):
    """Positions of the highest cosines, by NumPy in double precision."""
    cosines = queries.astype(float) @ voices.astype(float).T
    return np.argsort(-cosines, axis=1)[:, :top], -np.sort(-cosines, axis=1)


@pytest.mark.parametrize("queries", [1, 7])
def test_exact_search_is_the_plain_product(monkeypatch, queries):
    # Two queries at a time, and one that is left.
    monkeypatch.setattr(search, "SCORES", 2 * 3210)
    voices, asked = unit(3210, 24, 0), unit(queries, 24, 1)
    cosines, positions = ExactSearch(voices).search(asked, 10)
    expected, values = naive(voices, asked, 10)
    assert (positions == expected).all()
    assert cosines == pytest.approx(values[:, :10], abs=1e-6)


def test_no_more_than_there_are():
    voices = unit(3, 8, 0)
    cosines, positions = ExactSearch(voices).search(voices, 9)
    assert cosines.shape == positions.shape == (3, 3)
    assert ExactSearch(voices)[positions[0]] == pytest.approx(
        voices[positions[0]]
    )
    assert (positions[:, 0] == np.arange(3)).all()


@pytest.mark.parametrize("kind", [ExactSearch, FaissSearch])
def test_changed_voices_are_found_as_if_they_had_been_there(kind):
    """Added beyond the room there was, changed, and taken away."""
    if kind is FaissSearch:
        pytest.importorskip("faiss")
    found = kind(unit(5, 24, 0))
    expected = [*unit(5, 24, 0)]
    rng = np.random.default_rng(1)
    for number, voice in enumerate(unit(300, 24, 2)):
        place = rng.integers(len(expected))
        if number % 3:
            place = len(expected)
        found.put(place, voice)
        expected[place : place + 1] = [voice]
        if number % 7 == 0:
            place = rng.integers(len(expected))
            found.remove(place)
            last = expected.pop()
            expected[place : place + 1] = [last][: len(expected) - place]
    voices = np.stack(expected)
    everybody = np.arange(len(voices))
    assert (found[everybody] == voices).all()
    _, positions = found.search(voices, 3)
    assert (positions[:, 0] == everybody).all()
    assert positions.max() < len(voices)


def test_faiss_finds_nearly_all():
    pytest.importorskip("faiss")
    voices = unit(5000, 24, 0)
    asked = voices[:200] + 0.05 * unit(200, 24, 1)
    _, positions = FaissSearch(voices).search(asked, 1)
    assert (positions[:, 0] == np.arange(200)).mean() > 0.95


def test_faiss_of_few_voices():
    pytest.importorskip("faiss")
    voices = unit(3, 8, 0)
    _, positions = FaissSearch(voices).search(voices, 5)
    assert (positions[:, 0] == np.arange(3)).all()


def test_without_faiss_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(ImportError, match=r"speechbrain-siamese\[faiss\]"):
        FaissSearch(unit(3, 8, 0))
