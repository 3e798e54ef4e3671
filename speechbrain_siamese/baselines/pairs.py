"""Same speaker or not, from one feature vector per clip.

A pair becomes the absolute difference of its two standardised vectors, which
a classifier of two classes learns. So that there is a floor as well: scores
by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from speechbrain_siamese.baselines.matrices import finite_matrix

#: Pairs whose vectors are gathered at a time: some 6 MB of them.
BLOCK = 1 << 14


class Classifier(Protocol):
    """What a pair classifier learns with, e.g. ``NearestNeighbours``."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> object:
        """Learn from (n, dim) and (n,) of 0 and 1."""

    def probability(self, x: np.ndarray) -> np.ndarray:
        """Probability of 1, (n,), of (n, dim)."""


class NearestNeighbours:
    """Share of the nearest training vectors that are of class 1.

    Arguments
    ---------
    neighbours : int
        How many are asked; all, if there are fewer.

    Example
    -------
    >>> model = NearestNeighbours(2).fit([[0.0], [1.0], [8.0]], [0, 0, 1])
    >>> model.probability([[0.4], [7.0]]).tolist()
    [0.0, 0.5]
    """

    def __init__(self, neighbours: int = 25):
        self.neighbours = neighbours

    def fit(self, x: np.ndarray, y: np.ndarray) -> NearestNeighbours:
        """Keep the training vectors.

        Arguments
        ---------
        x : np.ndarray
            (n, dim)
        y : np.ndarray
            (n,), 0 or 1.

        Returns
        -------
        NearestNeighbours
            Itself.

        Raises
        ------
        ValueError
            If ``x`` is no finite matrix.
        """
        x = finite_matrix(x, "features", "(clips, dim)")
        self._votes = KNeighborsClassifier(min(self.neighbours, len(x)))
        self._votes.fit(x, np.asarray(y, dtype=np.int64))
        return self

    def probability(self, x: np.ndarray) -> np.ndarray:
        """Probability of class 1.

        Arguments
        ---------
        x : np.ndarray
            (n, dim)

        Returns
        -------
        np.ndarray
            float64, (n,), in steps of one by the number of neighbours.
        """
        # A column for each class that was seen, and it may be one only.
        votes = self._votes.predict_proba(x)
        return votes @ self._votes.classes_.astype(np.float64)


class PairClassifier:
    """Probability that two clips are of the same speaker.

    Arguments
    ---------
    classifier : Classifier
        What learns the two classes; it is fitted here.

    Example
    -------
    >>> features = np.repeat([[0.0], [5.0]], 10, axis=0)
    >>> features += np.linspace(0, 1, 20)[:, None]
    >>> model = PairClassifier(NearestNeighbours(5))
    >>> model = model.fit(features, ["a"] * 10 + ["b"] * 10, pairs=100, seed=0)
    >>> model.scores(features, [0, 0], [1, 10]).tolist()
    [1.0, 0.0]
    """

    def __init__(self, classifier: Classifier):
        self.classifier = classifier

    def fit(
        self,
        features: np.ndarray,
        speakers: Sequence[str],
        pairs: int,
        seed: int,
    ) -> PairClassifier:
        """Learn from pairs drawn among the training clips.

        Arguments
        ---------
        features : np.ndarray
            One vector per training clip, (clips, dim).
        speakers : Sequence[str]
            Who speaks in each clip, (clips,).
        pairs : int
            How many are drawn, half of them of the same speaker.
        seed : int
            The same seed draws the same pairs.

        Returns
        -------
        PairClassifier
            Itself.

        Raises
        ------
        ValueError
            If the features are no finite matrix, or if the speakers allow
            no such pairs (see ``draw_pairs``).
        """
        features = finite_matrix(features, "features", "(clips, dim)")
        if len(speakers) != len(features):
            raise ValueError(
                f"{len(features)} feature vectors and {len(speakers)} "
                "speakers: give one speaker per clip"
            )
        first, second, same = draw_pairs(speakers, pairs, seed)
        self._scaler = StandardScaler().fit(features)
        self._width = features.shape[1]
        scaled = self._scaler.transform(features)
        self.classifier.fit(np.abs(scaled[first] - scaled[second]), same)
        return self

    def scores(
        self, features: np.ndarray, first: np.ndarray, second: np.ndarray
    ) -> np.ndarray:
        """Score trials, in blocks.

        Arguments
        ---------
        features : np.ndarray
            One vector per clip, (clips, dim).
        first, second : np.ndarray
            Positions in ``features``, integers, (trials,).

        Returns
        -------
        np.ndarray
            float64, (trials,), 0 to 1, higher is more alike.

        Raises
        ------
        ValueError
            If the features are no finite matrix of the trained width.
        """
        features = finite_matrix(
            features, "features", "(clips, dim)", self._width
        )
        scaled = self._scaler.transform(features)
        first, second = np.asarray(first), np.asarray(second)
        scores = np.empty(len(first))
        for start in range(0, len(first), BLOCK):
            part = slice(start, start + BLOCK)
            differences = np.abs(scaled[first[part]] - scaled[second[part]])
            scores[part] = self.classifier.probability(differences)
        return scores


def draw_pairs(
    speakers: Sequence[str], count: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw pairs of clips, half of them of the same speaker.

    Speakers are drawn first and then their clips, so that who has many clips
    doesn't speak for all.

    Arguments
    ---------
    speakers : Sequence[str]
        Who speaks in each clip, (clips,).
    count : int
        Pairs, at least 2; they may repeat.
    seed : int
        The same seed draws the same pairs.

    Returns
    -------
    first, second : np.ndarray
        Positions of two different clips, (count,).
    same : np.ndarray
        1 same speaker, 0 different, (count,).

    Raises
    ------
    ValueError
        If fewer than 2 pairs are asked for, there are fewer than two
        speakers, or nobody has two clips.

    Example
    -------
    >>> first, second, same = draw_pairs(["a", "a", "b"], 4, seed=0)
    >>> sorted(same.tolist())
    [0, 0, 1, 1]
    """
    _, numbers, clips = np.unique(
        np.asarray(speakers), return_inverse=True, return_counts=True
    )
    several = np.flatnonzero(clips > 1)
    if count < 2 or len(clips) < 2 or not len(several):
        raise ValueError(
            f"{count} pairs are asked for among {len(clips)} speakers, "
            f"{len(several)} of them with two clips or more; expected at "
            "least 2 pairs, 2 speakers and one with two clips: give more "
            "training clips"
        )
    generator = np.random.default_rng(seed)
    same = generator.permutation(np.arange(count) % 2)
    one = generator.integers(len(clips), size=count)
    other = (one + generator.integers(1, len(clips), size=count)) % len(clips)
    one[same == 1] = generator.choice(several, size=same.sum())
    other = np.where(same == 1, one, other)
    place = generator.integers(clips[one])
    # Never the same clip twice: any but itself counted from itself.
    step = generator.integers(1, np.maximum(clips[one], 2))
    elsewhere = np.where(
        same == 1, (place + step) % clips[one], generator.integers(clips[other])
    )
    # Clips in the order of their speakers; where each speaker's begin.
    order = np.argsort(numbers, kind="stable")
    begin = np.cumsum(clips) - clips
    return order[begin[one] + place], order[begin[other] + elsewhere], same


def random_scores(count: int, seed: int) -> np.ndarray:
    """Scores that know nothing: what chance gives on a list of trials.

    Arguments
    ---------
    count : int
        Trials.
    seed : int
        The same seed gives the same scores.

    Returns
    -------
    np.ndarray
        float64, (count,), uniform from 0 to 1.

    Example
    -------
    >>> random_scores(3, seed=0).round(2).tolist()
    [0.64, 0.27, 0.04]
    """
    return np.random.default_rng(seed).random(count)
