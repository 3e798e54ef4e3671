"""Voices: against scikit-learn's clustering, and against naive loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering

from speechbrain_siamese.processing import voices
from speechbrain_siamese.processing.voices import (
    OnlineVoices,
    centres,
    choose_threshold,
    join_voices,
    rightly_labelled,
)


def pieces(people=4, each=12, spread=0.5, dim=32, seed=0):
    """Embeddings around a direction for each person, and whose they are."""
    rng = np.random.default_rng(seed)
    means = np.linalg.qr(rng.normal(size=(dim, people)))[0].T
    whose = np.repeat(np.arange(people), each)
    rng.shuffle(whose)
    found = means[whose] + spread * rng.normal(size=(len(whose), dim)) / 5
    return found / np.linalg.norm(found, axis=1, keepdims=True), whose


def same_partition(one, other):
    pairs = {(a, b) for a, b in zip(one, other, strict=True)}
    return len(pairs) == len(set(one)) == len(set(other))


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5, 0.8])
def test_it_is_scikit_learns_average_linkage(monkeypatch, threshold):
    embeddings, _ = pieces(spread=1.5)
    theirs = AgglomerativeClustering(
        n_clusters=None,
        metric="cosine",
        linkage="average",
        distance_threshold=1 - threshold,
    ).fit_predict(embeddings)
    monkeypatch.setattr(voices, "LEAST", 0.0)
    ours = join_voices(embeddings, np.full(len(embeddings), 5.0), threshold)
    assert same_partition(ours, theirs)


def test_the_number_of_voices_is_found_and_they_are_numbered_as_they_come():
    embeddings, whose = pieces()
    found = join_voices(embeddings, np.full(len(whose), 5.0), 0.5)
    assert same_partition(found, whose)
    firsts = [int(np.flatnonzero(found == n)[0]) for n in range(4)]
    assert firsts == sorted(firsts)


def test_a_short_piece_makes_no_voice_of_its_own():
    embeddings, whose = pieces()
    odd = -embeddings[:1]
    everything = np.concatenate([embeddings, odd])
    seconds = np.append(np.full(len(whose), 5.0), 1.0)
    assert join_voices(everything, seconds, 0.5).max() == 3
    seconds[-1] = 20.0
    assert join_voices(everything, seconds, 0.5).max() == 4
    # In quick talk the short pieces are most of what there is.
    seconds = np.append(np.full(len(whose), 1.0), 3.0)
    assert join_voices(everything, seconds, 0.5).max() == 4
    alone = join_voices(embeddings, np.full(len(whose), 1.0), 0.5)
    assert same_partition(alone, whose)


def test_many_pieces_are_joined_in_lots(monkeypatch):
    embeddings, whose = pieces(each=50)
    monkeypatch.setattr(voices, "MOST", 30)
    found = join_voices(embeddings, np.full(len(whose), 5.0), 0.5)
    assert same_partition(found, whose)


def test_one_piece_and_none():
    one = np.array([[1.0, 0.0]])
    assert join_voices(one, np.array([3.0]), 0.5).tolist() == [0]
    assert join_voices(one[:0], np.zeros(0), 0.5).tolist() == []


def test_centres_are_the_naive_means():
    embeddings, whose = pieces()
    seconds = np.linspace(1, 9, len(whose))
    for number, found in enumerate(centres(embeddings, seconds, whose)):
        total = np.zeros(embeddings.shape[1])
        for embedding, length, own in zip(
            embeddings, seconds, whose, strict=True
        ):
            if own == number:
                total += length * embedding
        assert found == pytest.approx(total / np.linalg.norm(total))


def test_rightly_labelled_is_the_best_of_all_matches():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, size=20)
    labels[:4] = range(4)
    shares = rng.uniform(size=(20, 3))
    best = 0.0
    for matched in itertools.permutations([0, 1, 2, None]):
        right = sum(
            shares[piece, matched[voice]]
            for piece, voice in enumerate(labels)
            if matched[voice] is not None
        )
        best = max(best, right)
    assert rightly_labelled(labels, shares) == pytest.approx(best)


@pytest.mark.parametrize(
    "minutes, odd, found", [(10, 9.9, 4), (10, 10.1, 5), (2, 7, 5), (2, 6, 4)]
)
def test_a_voice_has_ten_seconds_or_a_twentieth(minutes, odd, found):
    """The odd piece is of the voice that it is most like."""
    embeddings, whose = pieces(spread=0.1)
    rest = np.full(len(whose), 60 * minutes / len(whose))
    piece = 0.6 * embeddings[7] + 0.8 * np.linalg.svd(embeddings)[2][-1]
    labels = join_voices(
        np.concatenate([embeddings, piece[None]]), np.append(rest, odd), 0.9
    )
    assert labels.max() + 1 == found
    assert same_partition(labels[:-1], whose)
    if found == 4:
        assert labels[-1] == labels[7]


def test_the_longest_of_short_voices_stays(monkeypatch):
    monkeypatch.setattr(voices, "LEAST_SHARE", 0.9)
    assert join_voices(np.eye(3), np.array([3.0, 4.0, 3.0]), 0.5).max() == 0


def known(good):
    """A recording labelled rightly by the thresholds with a ``#``."""

    def label(threshold):
        right = good[round(100 * threshold)] == "#"
        return np.array([0, 1]) if right else np.array([0, 0])

    return label, np.eye(2)


@pytest.mark.parametrize(
    "good, chosen",
    [
        (40 * "." + 20 * "#" + 40 * ".", 0.5),
        # Not the one that is as good, but narrow.
        (10 * "." + 4 * "#" + 40 * "." + 20 * "#" + 26 * ".", 0.64),
        (100 * "#", 0.5),
        (80 * "." + 20 * "#", 0.9),
    ],
)
def test_the_threshold_is_the_middle_of_the_widest_plateau(good, chosen):
    thresholds = np.linspace(0, 0.99, 100)
    found = choose_threshold([known(good)], thresholds)
    assert found == pytest.approx(chosen, abs=0.051)


def test_the_threshold_is_good_for_all_recordings():
    thresholds = np.linspace(0, 0.99, 100)
    one = known(20 * "." + 60 * "#" + 20 * ".")
    other = known(70 * "." + 30 * "#")
    found = choose_threshold([one, other], thresholds)
    assert 0.7 < found < 0.8


def test_there_has_to_be_a_piece():
    label, shares = known("##")
    with pytest.raises(ValueError, match="no piece"):
        choose_threshold([(label, shares[:0])], [0.0, 0.01])
    with pytest.raises(ValueError, match="no piece"):
        choose_threshold([])


def test_online_voices_are_those_of_the_people():
    embeddings, whose = pieces(each=30)
    online = OnlineVoices(0.5)
    found = np.array([online.decide(one[None]) for one in embeddings])
    assert same_partition(found, whose)
    assert np.linalg.norm(online.centres, axis=1) == pytest.approx(1.0)
    for number in range(4):
        mean = embeddings[found == number].mean(axis=0)
        own, count = online.mean(number)
        assert own == pytest.approx(mean, abs=0.05)
        assert 0 < count <= 30


def test_between_two_known_voices_nobody_new_speaks():
    one, two, _ = np.eye(3)
    online = OnlineVoices(0.5)
    online.decide(one[None])
    online.decide(two[None])
    # Windows across the change are like neither, the last is the second's.
    across = np.array([[0.7, 0, 0.714], [0.4, 0.1, 0.911], [0.1, 0.4, 0.911]])
    assert online.decide(np.concatenate([across, two[None]])) == 1
    assert len(online.centres) == 2


def test_a_moment_between_two_voices_moves_neither():
    east, north = np.eye(2)
    online = OnlineVoices(0.5)
    online.decide(east[None])
    online.decide(north[None])
    before = online.centres.copy()
    # The last window is the next speaker's already.
    assert online.decide(np.stack([east, east, 0.6 * east + 0.8 * north])) == 0
    assert online.centres == pytest.approx(before)
