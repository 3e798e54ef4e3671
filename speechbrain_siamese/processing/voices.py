"""Which pieces of a recording are one voice: clustering of embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.ndimage import distance_transform_edt, gaussian_filter1d
from scipy.optimize import linear_sum_assignment

#: Seconds of speech below which a piece is too short to make a voice of its
#: own: it goes to the one that it is most like.
SHORT = 2.0

#: A voice has so many seconds of speech, or that share of all of it where that
#: is less. What is joined to less is mostly the odd piece that a missed change
#: left with two people in it.
LEAST, LEAST_SHARE = 10.0, 0.05

#: Pieces whose distances are in memory together.
MOST = 4000

#: Cosines that are tried as thresholds.
THRESHOLDS = np.linspace(-0.2, 0.9, 111).round(2)

#: Thresholds over which what they bring is smoothed, and share of the speech
#: that is as good as none: on few recordings the best is the best by chance.
_SMOOTH, _AS_GOOD = 2.0, 0.005


@dataclass(frozen=True)
class VoiceModel:
    """What is one voice.

    Arguments
    ---------
    threshold : float
        For ``join_voices``.
    online : float
        For ``OnlineVoices``.
    """

    threshold: float
    online: float


def join_voices(
    embeddings: np.ndarray, seconds: np.ndarray, threshold: float
) -> np.ndarray:
    """Join pieces of one voice; how many voices there are is found.

    Agglomerative clustering with average linkage: two groups are joined while
    the mean cosine between their pieces is above the threshold. Unlike Ward's
    linkage, which SpeechBrain's diarization has, what that means does not
    depend on how long a recording is and how many speak in it. Groups of less
    than ``LEAST`` seconds are given to the voices that they are most like.

    Arguments
    ---------
    embeddings : np.ndarray
        Of any length but 0, in the order of the recording, (pieces, dim).
    seconds : np.ndarray
        Of speech in each, (pieces,).
    threshold : float
        Cosine.

    Returns
    -------
    np.ndarray
        Number of each piece's voice, from 0 in the order in which they come,
        integers, (pieces,).

    Example
    -------
    >>> east, north = np.eye(2)
    >>> pieces = np.stack([north, east, north, 0.8 * north + 0.6 * east])
    >>> join_voices(pieces, np.array([5.0, 5.0, 5.0, 0.5]), threshold=0.9)
    array([0, 1, 0, 0])
    """
    if not len(embeddings):
        return np.zeros(0, dtype=int)
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    embeddings = embeddings / lengths
    long = np.flatnonzero(seconds >= SHORT)
    if 2 * seconds[long].sum() < seconds.sum():
        # Quick talk: the short ones are most of what there is.
        long = np.arange(len(embeddings))
    own, weights = embeddings[long], seconds[long]
    groups = _clusters(own, threshold)
    if len(own) > MOST:
        # They were joined lot by lot: now the groups of all lots.
        groups = _clusters(centres(own, weights, groups), threshold)[groups]
    spoken = np.bincount(groups, weights=weights)
    least = min(LEAST, LEAST_SHARE * seconds.sum(), spoken.max())
    voices = np.flatnonzero(spoken >= least)
    likeness = embeddings @ centres(own, weights, groups)[voices].T
    labels = voices[likeness.argmax(axis=1)]
    settled = np.isin(groups, voices)
    labels[long[settled]] = groups[settled]
    return _in_order(labels)


def _clusters(vectors: np.ndarray, threshold: float) -> np.ndarray:
    """Number of each vector's cluster, from 0; of many, lot by lot."""
    found, count = np.zeros(len(vectors), dtype=int), 0
    for start in range(0, len(vectors), MOST):
        lot = slice(start, start + MOST)
        if len(vectors[lot]) > 1:
            tree = linkage(vectors[lot], "average", metric="cosine")
            found[lot] = fcluster(tree, 1 - threshold, "distance") - 1
        found[lot] += count
        count = found[lot].max() + 1
    return found


def _in_order(labels: np.ndarray) -> np.ndarray:
    """Numbers from 0 in the order in which they come first."""
    _, first, inverse = np.unique(
        labels, return_index=True, return_inverse=True
    )
    return first.argsort().argsort()[inverse]


def centres(
    embeddings: np.ndarray, seconds: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Mean direction of each voice, weighed by seconds.

    Arguments
    ---------
    embeddings : np.ndarray
        (pieces, dim)
    seconds : np.ndarray
        (pieces,)
    labels : np.ndarray
        Numbers from 0, each used, integers, (pieces,).

    Returns
    -------
    np.ndarray
        Of length 1 each, (voices, dim).

    Example
    -------
    >>> east, north = np.eye(2)
    >>> pieces = np.stack([east, north, north])
    >>> centres(pieces, np.array([3.0, 4.0, 1.0]), np.array([0, 0, 1]))
    array([[0.6, 0.8],
           [0. , 1. ]])
    """
    sums = np.zeros((labels.max() + 1, embeddings.shape[1]))
    np.add.at(sums, labels, seconds[:, None] * embeddings)
    return sums / np.linalg.norm(sums, axis=1, keepdims=True)


class OnlineVoices:
    """Tell voices apart as they come, without a second look.

    A voice is the mean of the windows that were surely it; who is like none
    is a new one.

    Arguments
    ---------
    threshold : float
        Mean cosine to a voice below which it is another one.

    Attributes
    ----------
    centres : np.ndarray
        Of length 1 each, (voices, dim).

    Example
    -------
    >>> east, north = np.eye(2)
    >>> voices = OnlineVoices(threshold=0.5)
    >>> [voices.decide(one[None]) for one in (north, east, east, north)]
    [0, 1, 1, 0]
    """

    def __init__(self, threshold: float):
        self.threshold = threshold
        self._sums: list[np.ndarray] = []
        self._counts: list[int] = []
        self.centres = np.zeros((0, 0))

    def decide(self, windows: np.ndarray) -> int:
        """Tell whose a moment is.

        Arguments
        ---------
        windows : np.ndarray
            Embeddings of length 1 of the windows that hold the moment, in
            their order, (windows, dim).

        Returns
        -------
        int
            Number of the voice, from 0 in the order in which they come.
        """
        last = windows[-1]
        if self._sums:
            likeness = (windows @ self.centres.T).mean(axis=0)
            best = int(likeness.argmax())
            if likeness[best] > self.threshold:
                own = self.centres @ last
                # Where the next voice has begun, the last window is its.
                if own.argmax() == best and own[best] > self.threshold:
                    self._update(best, self._sums[best] + last)
                return best
            # Between two known voices nobody new has to speak.
            own = self.centres @ last
            if own.max() > self.threshold:
                return int(own.argmax())
        self._sums.append(np.zeros_like(last))
        self._counts.append(0)
        self._update(len(self._sums) - 1, last)
        return len(self._sums) - 1

    def mean(self, number: int) -> tuple[np.ndarray, int]:
        """Mean of the windows that were surely a voice.

        Arguments
        ---------
        number : int
            Of the voice.

        Returns
        -------
        mean : np.ndarray
            (dim,)
        count : int
            Of the windows.
        """
        count = self._counts[number]
        return self._sums[number] / count, count

    def _update(self, number: int, total: np.ndarray) -> None:
        self._sums[number] = total
        self._counts[number] += 1
        sums = np.stack(self._sums)
        self.centres = sums / np.linalg.norm(sums, axis=1, keepdims=True)


def rightly_labelled(labels: np.ndarray, shares: np.ndarray) -> float:
    """Seconds under the right label, with voices matched to speakers.

    Each voice is one speaker at most and the other way round, as in the
    diarization error rate.

    Arguments
    ---------
    labels : np.ndarray
        Voice of each piece, integers, (pieces,).
    shares : np.ndarray
        Seconds of each speaker in each piece, (pieces, speakers).

    Returns
    -------
    float

    Example
    -------
    >>> shares = np.array([[3.0, 1.0], [0.0, 5.0], [2.0, 0.0]])
    >>> rightly_labelled(np.array([1, 0, 2]), shares)  # 2 s of no speaker
    8.0
    """
    both = np.zeros((labels.max() + 1, shares.shape[1]))
    np.add.at(both, labels, shares)
    return float(both[linear_sum_assignment(both, maximize=True)].sum())


def choose_threshold(
    recordings: Sequence[tuple[Callable[[float], np.ndarray], np.ndarray]],
    thresholds: Sequence[float] = THRESHOLDS,
) -> float:
    """Choose what is one voice on known recordings.

    Arguments
    ---------
    recordings : sequence of (Callable, np.ndarray)
        Of each, what leads from a threshold to the voice of each piece,
        integers, (pieces,), and the shares as for ``rightly_labelled``.
    thresholds : Sequence[float]
        To try, rising, at equal steps.

    Returns
    -------
    float
        Several bring about the most seconds under the right label, when what
        they bring is smoothed: the one that is farthest from any that does
        not, or was not tried, is least likely to be wrong elsewhere.

    Raises
    ------
    ValueError
        If there is no piece.

    Example
    -------
    >>> pieces = np.array([[1.0, 0.0], [0.9, 0.44], [0.0, 1.0]])
    >>> choose_threshold(
    ...     [
    ...         (
    ...             lambda one: join_voices(pieces, np.full(3, 5.0), one),
    ...             np.array([[5.0, 0.0], [5.0, 0.0], [0.0, 5.0]]),
    ...         )
    ...     ],
    ...     thresholds=np.linspace(0, 1, 101).round(2),
    ... )
    0.55
    """
    total = sum(float(shares.sum()) for _, shares in recordings)
    if not total:
        raise ValueError(
            "there is no piece of speech to choose the threshold of one voice "
            "on"
        )
    right = sum(
        np.array([rightly_labelled(label(one), shares) for one in thresholds])
        for label, shares in recordings
    )
    right = gaussian_filter1d(right / total, _SMOOTH, mode="nearest")
    best = np.pad(right >= right.max() - _AS_GOOD, 1)
    depth = distance_transform_edt(best)[1:-1]
    return float(thresholds[depth.argmax()])
