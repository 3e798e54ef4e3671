"""Scores of many trials are those of each alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from speechbrain_siamese.processing import scoring
from speechbrain_siamese.processing.scoring import (
    cosine_scores,
    euclidean_scores,
)


def test_scores_are_those_of_a_plain_loop(monkeypatch):
    monkeypatch.setattr(scoring, "BLOCK", 7)
    torch.manual_seed(0)
    embeddings = torch.randn(20, 5)
    enrol, test = np.random.default_rng(0).integers(20, size=(2, 50))
    found = cosine_scores(embeddings, enrol.astype(np.int32), test)
    for trial in range(50):
        a, b = embeddings[enrol[trial]], embeddings[test[trial]]
        expected = float(a @ b / (a.norm() * b.norm()))
        assert float(found[trial]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        (torch.zeros(3), r"shape \(3,\), expected \(utterances, dim\)"),
        (torch.full((2, 3), torch.nan), "NaN or infinite"),
        (torch.ones(1, 3), "names utterance 1, but there are embeddings of 1"),
    ],
)
def test_what_cannot_be_scored_is_told(embeddings, message):
    with pytest.raises(ValueError, match=message):
        cosine_scores(embeddings, np.array([0]), np.array([1]))


def test_distances_are_those_of_scipy_with_the_sign_turned_round(monkeypatch):
    monkeypatch.setattr(scoring, "BLOCK", 7)
    embeddings = np.random.default_rng(0).normal(size=(20, 5))
    enrol, test = np.random.default_rng(1).integers(20, size=(2, 50))
    found = euclidean_scores(torch.from_numpy(embeddings), enrol, test)
    expected = cdist(embeddings, embeddings)[enrol, test]
    assert np.allclose(found, -expected, atol=1e-6)
