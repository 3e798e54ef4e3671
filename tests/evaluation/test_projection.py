"""Embeddings in two dimensions."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from speechbrain_siamese.evaluation.projection import project


def voices(speakers, each, seed=0):
    generator = np.random.default_rng(seed)
    own = np.repeat(np.arange(speakers), each)
    centres = generator.normal(size=(speakers, 16))
    return centres[own] + generator.normal(0, 0.3, (len(own), 16)), own


def test_neighbours_stay_neighbours_by_angle_not_by_length():
    embeddings, own = voices(4, 12)
    lengths = np.random.default_rng(1).uniform(0.1, 10, (len(own), 1))
    points = project(embeddings * lengths, seed=0)
    assert points.shape == (48, 2)
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert (own[distances.argmin(axis=1)] == own).mean() > 0.95


def test_same_seed_gives_the_same_picture():
    embeddings, _ = voices(3, 4)
    np.testing.assert_array_equal(
        project(embeddings, 3), project(embeddings, 3)
    )


@pytest.mark.parametrize("utterances", [2, 4])
def test_fewer_than_five_utterances_are_their_principal_components(utterances):
    embeddings, _ = voices(utterances, 1)
    np.testing.assert_allclose(
        project(embeddings, 0), PCA(2).fit_transform(embeddings), atol=1e-9
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("utterances", [2, 5, 6, 31, 100])
def test_any_number_of_utterances_has_places(utterances):
    embeddings, _ = voices(utterances, 1)
    points = project(embeddings, 0)
    assert points.shape == (utterances, 2)
    assert np.isfinite(points).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("utterances", [3, 20])
def test_a_collapsed_model_is_one_place(utterances):
    points = project(np.ones((utterances, 8), np.float32), 0)
    np.testing.assert_array_equal(points, np.zeros((utterances, 2)))


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        (np.zeros(8), r"shape \(8,\)"),
        (np.zeros((1, 8)), r"shape \(1, 8\)"),
        (np.array([[0.0, 1.0], [np.nan, 1.0]]), "number 1"),
    ],
)
def test_unusable_embeddings_are_named(embeddings, message):
    with pytest.raises(ValueError, match=message):
        project(embeddings, 0)
