"""Embeddings that lie in groups are found so, and figures are by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from speechbrain_siamese.baselines.clusterings import (
    METHODS,
    cluster,
    clustering_figures,
)

SPEAKERS = np.repeat(list("abcde"), 12)
LEARNT = ["k-means", "gmm", "spectral"]


def embeddings(noise: float, dim: int = 16) -> np.ndarray:
    generator = np.random.default_rng(0)
    own = np.repeat(np.eye(dim)[:5], 12, axis=0)
    spread = noise * generator.standard_normal((60, dim))
    # Only the direction says who it is.
    return (own + spread) * generator.uniform(0.1, 10, (60, 1))


@pytest.mark.parametrize("method", LEARNT)
@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_groups_are_found(method, noise):
    found = cluster(embeddings(noise), 5, method, seed=0)
    figures = clustering_figures(SPEAKERS, found)
    assert figures["adjusted_rand"] == 1
    assert figures["mutual_information"] == pytest.approx(math.log(5))


@pytest.mark.parametrize("method", list(METHODS))
def test_noise_gives_chance(method):
    found = cluster(embeddings(100.0), 5, method, seed=0)
    assert found.shape == (60,)
    assert set(found) == set(range(5))
    figures = clustering_figures(SPEAKERS, found)
    assert abs(figures["adjusted_rand"]) < 0.15
    assert abs(figures["adjusted_mutual_information"]) < 0.15


@pytest.mark.parametrize("method", list(METHODS))
def test_the_same_seed_gives_the_same_clusters(method):
    points = embeddings(1.0)
    np.testing.assert_array_equal(
        cluster(points, 5, method, seed=3), cluster(points, 5, method, seed=3)
    )


def test_a_random_assignment_knows_nothing_of_the_embeddings():
    one, other = (
        cluster(embeddings(noise), 5, "random", seed=0) for noise in (0.1, 9.0)
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("method", LEARNT)
def test_fewer_utterances_than_dimensions_will_do(method):
    found = cluster(embeddings(0.02, dim=256), 5, method, seed=0)
    assert clustering_figures(SPEAKERS, found)["adjusted_rand"] == 1


def test_figures_worked_out_by_hand():
    """
    speakers  a a a b b b
    clusters  0 0 1 1 1 1

    Of 15 pairs, 4 are together in both (aa, bb bb bb) and 6 apart in both
    (2 of cluster 0 with 3 b): Rand index 10 / 15.
    Together by speaker 6, by cluster 7: by chance 6·7 / 15 = 2.8, at most
    (6 + 7) / 2 = 6.5, adjusted (4 - 2.8) / (6.5 - 2.8).
    Mutual information: (a, 0) 2/6 · ln(2·6 / (3·2)), (a, 1)
    1/6 · ln(1·6 / (3·4)), (b, 1) 3/6 · ln(3·6 / (3·4)).
    """
    figures = clustering_figures(list("aaabbb"), [0, 0, 1, 1, 1, 1])
    assert figures["rand"] == pytest.approx(10 / 15)
    assert figures["adjusted_rand"] == pytest.approx(1.2 / 3.7)
    information = (
        2 / 6 * math.log(2) + 1 / 6 * math.log(1 / 2) + 1 / 2 * math.log(1.5)
    )
    assert figures["mutual_information"] == pytest.approx(information)
    assert 0 < figures["adjusted_mutual_information"] < 1


def test_names_of_clusters_do_not_matter():
    one = clustering_figures(list("aabbc"), [0, 0, 1, 1, 2])
    other = clustering_figures(list("aabbc"), [7, 7, 0, 0, 3])
    assert one == other
    assert one["adjusted_mutual_information"] == pytest.approx(1)


def test_what_cannot_be_clustered_is_refused():
    points = embeddings(0.1)
    with pytest.raises(ValueError, match="'kmeans', expected one of"):
        cluster(points, 5, "kmeans", seed=0)
    for clusters in (1, 60):
        with pytest.raises(ValueError, match=f"{clusters} clusters of 60"):
            cluster(points, clusters, "k-means", seed=0)
    points[3] = 0
    with pytest.raises(ValueError, match="embedding 3 is zero"):
        cluster(points, 5, "k-means", seed=0)
    points[4, 0] = np.nan
    with pytest.raises(ValueError, match="row 4"):
        cluster(points, 5, "k-means", seed=0)
    with pytest.raises(ValueError, match="2 speakers and 3 clusters"):
        clustering_figures(["a", "b"], [0, 1, 2])
