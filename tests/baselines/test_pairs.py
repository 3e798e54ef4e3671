"""Pairs are drawn fairly, and a classifier of pairs learns what is there."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from speechbrain_siamese.baselines import pairs
from speechbrain_siamese.baselines.network import NetworkClassifier
from speechbrain_siamese.baselines.pairs import (
    NearestNeighbours,
    PairClassifier,
    draw_pairs,
    random_scores,
)


def clips(seed: int, spread: float, first_speaker: int = 0):
    """Ten clips of twelve people each; features of two widely apart scales."""
    generator = np.random.default_rng(seed)
    own = generator.standard_normal((12, 6)) * spread
    features = np.repeat(own, 10, axis=0) + generator.standard_normal((120, 6))
    names = np.repeat(np.arange(12) + first_speaker, 10).astype(str)
    return features * [1, 1, 1, 1e3, 1e3, 1e3], names


def test_half_of_the_pairs_is_of_the_same_speaker_and_never_a_clip_itself():
    names = np.array(["a"] * 50 + ["b"] * 2 + ["c"])
    names = np.random.default_rng(0).permutation(names)
    first, second, same = draw_pairs(names, 4001, seed=1)
    assert abs(2 * same.sum() - 4001) == 1
    np.testing.assert_array_equal(names[first] == names[second], same == 1)
    assert (first != second).all()


def test_every_speaker_counts_alike_however_many_clips():
    names = np.array(["a"] * 50 + ["b"] * 2 + ["c"])
    first, second, same = draw_pairs(names, 6000, seed=1)
    for name in "ab":
        share = np.mean(names[first][same == 1] == name)
        assert share == pytest.approx(1 / 2, abs=0.05)
    for side in (first, second):
        for name in "abc":
            share = np.mean(names[side][same == 0] == name)
            assert share == pytest.approx(1 / 3, abs=0.05)


def test_every_pair_of_clips_can_be_drawn():
    names = np.array(["b", "a", "b", "a", "b"])
    first, second, _ = draw_pairs(names, 2000, seed=0)
    assert len(set(zip(first.tolist(), second.tolist(), strict=True))) == 20


def test_the_same_seed_draws_the_same_pairs():
    one, again, other = (draw_pairs(list("aabbcc"), 50, s) for s in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert (np.array(one) != other).any()


@pytest.mark.parametrize(
    ("names", "count"), [("aaa", 10), ("abc", 10), ("", 10), ("aab", 1)]
)
def test_speakers_who_allow_no_pairs_are_refused(names, count):
    with pytest.raises(ValueError, match=f"{count} pairs are asked for"):
        draw_pairs(list(names), count, seed=0)


def test_neighbours_vote_by_their_share():
    x = np.arange(10.0)[:, None]
    model = NearestNeighbours(4).fit(x, [0, 0, 0, 1, 1, 0, 1, 1, 1, 1])
    # Nearest to 2.5 are 1, 2, 3 and 4, to 9.0 are 6, 7, 8 and 9.
    assert model.probability([[2.5], [9.0]]).tolist() == [0.5, 1.0]


@pytest.mark.parametrize("seen", [0, 1])
def test_neighbours_of_one_class_know_which(seen):
    model = NearestNeighbours(3).fit(np.zeros((3, 1)), [seen] * 3)
    assert model.probability([[0.0]]).tolist() == [seen]


@pytest.mark.parametrize("kind", [NearestNeighbours, NetworkClassifier])
def test_it_knows_unknown_speakers_apart_if_features_do(kind):
    features, names = clips(seed=0, spread=4.0)
    model = PairClassifier(kind()).fit(features, names, pairs=500, seed=0)
    features, names = clips(seed=1, spread=4.0, first_speaker=12)
    first, second, same = draw_pairs(names, 400, seed=1)
    scores = model.scores(features, first, second)
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert roc_auc_score(same, scores) > 0.95


@pytest.mark.parametrize("kind", [NearestNeighbours, NetworkClassifier])
def test_it_gives_chance_if_features_know_nothing(kind):
    features, names = clips(seed=0, spread=0.0)
    model = PairClassifier(kind()).fit(features, names, pairs=300, seed=0)
    features, names = clips(seed=1, spread=0.0)
    first, second, same = draw_pairs(names, 2000, seed=1)
    scores = model.scores(features, first, second)
    assert 0.45 < roc_auc_score(same, scores) < 0.55


def test_the_scale_of_a_feature_does_not_matter():
    features, names = clips(seed=0, spread=2.0)
    first, second, _ = draw_pairs(names, 100, seed=1)
    one, other = (
        PairClassifier(NearestNeighbours())
        .fit(scaled, names, pairs=200, seed=0)
        .scores(scaled, first, second)
        for scaled in (features, features * [8, 1, 1, 1 / 64, 1, 1] + 5)
    )
    np.testing.assert_allclose(one, other)


def test_order_of_the_two_sides_and_blocks_do_not_matter(monkeypatch):
    features, names = clips(seed=0, spread=2.0)
    model = PairClassifier(NearestNeighbours())
    model.fit(features, names, pairs=200, seed=0)
    first, second, _ = draw_pairs(names, 100, seed=1)
    scores = model.scores(features, first, second)
    monkeypatch.setattr(pairs, "BLOCK", 7)
    np.testing.assert_array_equal(model.scores(features, second, first), scores)


def test_clips_without_speaker_and_other_features_are_refused():
    features, names = clips(seed=0, spread=2.0)
    model = PairClassifier(NearestNeighbours())
    with pytest.raises(ValueError, match="120 feature vectors and 119"):
        model.fit(features, names[1:], pairs=20, seed=0)
    model.fit(features, names, pairs=200, seed=0)
    with pytest.raises(ValueError, match="5 columns, expected 6"):
        model.scores(features[:, 1:], [0], [1])


def test_random_scores_know_nothing_and_can_be_had_again():
    scores = random_scores(20000, seed=0)
    labels = np.arange(20000) % 2
    assert roc_auc_score(labels, scores) == pytest.approx(0.5, abs=0.02)
    np.testing.assert_array_equal(scores, random_scores(20000, seed=0))
    assert (scores != random_scores(20000, seed=1)).any()
