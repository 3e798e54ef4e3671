"""Which windows, recordings and speakers are not who they are said to be."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Windows on each side of a window that are too near to speak for it.
NEAR = 3

#: Windows of nothing in particular that are added to each mean: what is short
#: has to be the more suspicious to come first.
PRIOR = 4.0

#: Windows that a suspicious stretch has at least, if its recording has them.
SHORTEST = 3

#: By how much a stretch has to be more suspicious than the pair of its two
#: speakers, or it is explained by their being one.
EXPLAINED = 0.1

#: Share of a recording from which all of it is suspicious.
MOST = 0.75

#: Quantile of a speaker's recordings that speaks for a pair: where two names
#: are one person nearly every recording sounds like the other name, where one
#: recording lies in a wrong folder only that one does.
NEARLY_ALL = 0.25

#: A pair is suspicious from this share of the way between one person, whose
#: rooms differ, and two who are as unlike as most are.
PART_OF_THE_WAY = 0.25


@dataclass(frozen=True)
class Windows:
    """Windows of a corpus, in the order of their recordings and times.

    Arguments
    ---------
    embeddings : np.ndarray
        (windows, dim)
    speakers : np.ndarray
        Number of the speaker who is said to speak, integers, (windows,).
    recordings : np.ndarray
        Number of the recording, integers that do not fall, (windows,).
    """

    embeddings: np.ndarray
    speakers: np.ndarray
    recordings: np.ndarray


@dataclass(frozen=True)
class Stretch:
    """Windows in a row that sound like somebody else.

    Arguments
    ---------
    suspicion : float
        Mean cosine to the other speaker less that to the own one; above 0 the
        other one is nearer.
    speaker : int
        Who is said to speak.
    recording : int
    first, last : int
        Numbers of the first window and of the last.
    whole : bool
        Whether it is most of the recording.
    like : int
        Number of the speaker it sounds like.
    """

    suspicion: float
    speaker: int
    recording: int
    first: int
    last: int
    whole: bool
    like: int


@dataclass(frozen=True)
class Pair:
    """Two speakers who may be one.

    Arguments
    ---------
    suspicion : float
        As of a stretch, of nearly all recordings of both; above 0 they are
        nearer to one person than other two are.
    first, second : int
    """

    suspicion: float
    first: int
    second: int


class Likeness:
    """How much each window sounds like its own speaker, and like all others.

    The own speaker is known from other recordings. Where there is one alone,
    from windows of it that are not near, less what one room adds to likeness
    among those who have several.

    Arguments
    ---------
    windows : Windows
    speaking : np.ndarray or None
        Whether a window speaks for its speaker, booleans, (windows,); the
        others are only judged. None for all.

    Attributes
    ----------
    own : np.ndarray
        Mean cosine to windows of the own speaker, (windows,); NaN where there
        are none to compare with.
    """

    def __init__(self, windows: Windows, speaking: np.ndarray | None = None):
        # One recording at a time: no second copy of all has to fit in memory.
        count = len(windows.speakers)
        if speaking is None:
            speaking = np.ones(count, dtype=bool)
        self._windows = windows
        self._common = np.zeros(windows.embeddings.shape[1])
        for every in _by_recording(windows):
            own = _of_length_one(windows.embeddings[every])
            self._common += own.sum(axis=0) / count
        sums = np.zeros((windows.speakers.max() + 1, len(self._common)))
        for every in _by_recording(windows):
            heard = self._directions(every[speaking[every]])
            sums[windows.speakers[every[0]]] += heard.sum(axis=0)
        sizes = np.bincount(windows.speakers, weights=speaking)
        self._centres = sums / np.maximum(sizes, 1)[:, None]
        self._unheard = sizes == 0
        elsewhere, within = np.empty((2, count))
        for every in _by_recording(windows):
            unit, speaks = self._directions(every), speaking[every]
            # Sums of the neighbours follow from running sums.
            running = np.zeros((len(every) + 1, unit.shape[1]))
            np.cumsum(unit * speaks[:, None], axis=0, out=running[1:])
            counted = np.r_[0, speaks.cumsum()]
            speaker = windows.speakers[every[0]]
            elsewhere[every] = _mean_cosines(
                unit, sums[speaker] - running[-1], sizes[speaker] - counted[-1]
            )
            place = np.arange(len(every))
            low = np.maximum(0, place - NEAR)
            high = np.minimum(len(every), place + NEAR + 1)
            within[every] = _mean_cosines(
                unit,
                running[-1] - (running[high] - running[low]),
                counted[-1] - (counted[high] - counted[low]),
            )
        # All others are known from other rooms.
        known = np.isfinite(elsewhere) & np.isfinite(within) & speaking
        room = (within - elsewhere)[known].mean() if known.any() else 0.0
        self.own = np.where(np.isfinite(elsewhere), elsewhere, within - room)

    def _directions(self, rows: np.ndarray) -> np.ndarray:
        """Embeddings without what all have in common, of length 1 each."""
        own = _of_length_one(self._windows.embeddings[rows])
        return _of_length_one(own - self._common)

    def gaps(self, rows: np.ndarray) -> np.ndarray:
        """How much more windows sound like each speaker than like their own.

        Arguments
        ---------
        rows : np.ndarray
            Numbers of windows, (rows,).

        Returns
        -------
        np.ndarray
            Differences of mean cosines, (rows, speakers); minus infinity for
            the own one, NaN where the own one is not known.
        """
        others = self._directions(rows) @ self._centres.T
        others[:, self._unheard] = -np.inf
        others[np.arange(len(rows)), self._windows.speakers[rows]] = -np.inf
        return others - self.own[rows, None]


def _of_length_one(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-9)


def _mean_cosines(unit, sums, sizes):
    """Mean cosine of each vector to so many; NaN to none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (unit * sums).sum(axis=1) / sizes
    return np.where(sizes > 0, means, np.nan)


def find_suspects(windows: Windows) -> tuple[list[Stretch], list[Pair]]:
    """Find what sounds more like somebody else.

    Twice: what is found first speaks for nobody the second time. Somebody
    else's recording makes those beside it sound wrong, too.

    Arguments
    ---------
    windows : Windows

    Returns
    -------
    stretches : list of Stretch
        At most one of each recording, that with the most evidence; the most
        suspicious first. Where two names are one person every recording of
        theirs sounds like the other one: the pair stands for these.
    pairs : list of Pair
        Every two speakers held against each other, the most suspicious first.
    """
    stretches, pairs = _find(windows, None)
    speaking = np.ones(len(windows.speakers), dtype=bool)
    seen = set()
    for one in unexplained(stretches, pairs):
        # Of two recordings of a speaker one has to speak.
        if one.speaker not in seen:
            seen.add(one.speaker)
            own = windows.recordings == one.recording
            if not one.whole:
                own[: one.first] = own[one.last + 1 :] = False
            speaking &= ~own
    stretches, pairs = _find(windows, speaking)
    return unexplained(stretches, pairs), pairs


def _find(windows, speaking) -> tuple[list[Stretch], list[Pair]]:
    """Best run of each recording, and every pair."""
    likeness, stretches = Likeness(windows, speaking), []
    of_speaker: dict[int, list[np.ndarray]] = {}
    for every in _by_recording(windows):
        gaps = likeness.gaps(every)
        # Those to which there is nothing else of this speaker are not known.
        known = ~np.isnan(gaps).any(axis=1)
        mine, gaps = every[known], gaps[known]
        if not len(mine):
            continue
        speaker = int(windows.speakers[mine[0]])
        if len(mine) >= SHORTEST:
            of_speaker.setdefault(speaker, []).append(gaps.mean(axis=0))
        run = _best_run(gaps)
        if run is None:
            continue
        first, last, like, suspicion = run
        stretches.append(
            Stretch(
                suspicion,
                speaker,
                int(windows.recordings[mine[0]]),
                int(mine[first]),
                int(mine[last]),
                last - first + 1 >= MOST * len(mine),
                like,
            )
        )
    stretches.sort(key=lambda one: -one.suspicion)
    return stretches, _pairs(of_speaker)


def _pairs(of_speaker: dict[int, list[np.ndarray]]) -> list[Pair]:
    """Every two speakers, from the mean gaps of their recordings."""
    nearly_all = {
        # No two cosines are farther apart than 2.
        speaker: np.quantile(np.maximum(gaps, -2.0), NEARLY_ALL, axis=0)
        for speaker, gaps in of_speaker.items()
    }
    found = [
        (float(nearly_all[a][b] + nearly_all[b][a]) / 2, a, b)
        for a, b in itertools.combinations(sorted(nearly_all), 2)
    ]
    if not found:
        return []
    usual = min(0.0, float(np.median([gap for gap, _, _ in found])))
    pairs = [Pair(gap - PART_OF_THE_WAY * usual, a, b) for gap, a, b in found]
    return sorted(pairs, key=lambda pair: -pair.suspicion)


def unexplained(
    stretches: Sequence[Stretch], pairs: Sequence[Pair]
) -> list[Stretch]:
    """Stretches for which no pair stands that is suspicious itself.

    Arguments
    ---------
    stretches : Sequence[Stretch]
    pairs : Sequence[Pair]

    Returns
    -------
    list of Stretch

    Example
    -------
    >>> visit = Stretch(0.05, 2, 5, 0, 3, False, 9)
    >>> unexplained([visit], [Pair(0.01, 2, 9)])
    []
    >>> unexplained([visit], [Pair(-0.01, 2, 9)]) == [visit]
    True
    """
    suspicion_of = {
        frozenset([one.first, one.second]): one.suspicion for one in pairs
    }

    def explained(one: Stretch) -> bool:
        pair = suspicion_of.get(frozenset([one.speaker, one.like]), -np.inf)
        return pair > 0 and one.suspicion < pair + EXPLAINED

    return [one for one in stretches if not explained(one)]


def unjudged(windows: Windows) -> tuple[list[int], list[int]]:
    """What cannot be told of speakers with one recording.

    Arguments
    ---------
    windows : Windows

    Returns
    -------
    nothing : list of int
        Recordings too short to be held against themselves.
    alone : list of int
        The others: a visitor is found in them, but not whether all of one is
        somebody else's.
    """
    numbers, first, counts = np.unique(
        windows.recordings, return_index=True, return_counts=True
    )
    speakers = windows.speakers[first]
    single = np.bincount(speakers)[speakers] == 1
    short = counts <= NEAR + 1
    return (
        numbers[single & short].tolist(),
        numbers[single & ~short].tolist(),
    )


def _by_recording(windows: Windows) -> list[np.ndarray]:
    """Numbers of the windows of each recording."""
    edges = np.flatnonzero(np.diff(windows.recordings)) + 1
    return np.split(np.arange(len(windows.recordings)), edges)


def _best_run(gaps: np.ndarray) -> tuple[int, int, int, float] | None:
    """The run of windows and the speaker with the most evidence.

    The largest sum of a run (Bentley 1984), over all speakers at a time: whom
    it sounds like has to be one person, not another in each window.
    """
    shortest = min(SHORTEST, len(gaps))
    totals = np.zeros(gaps.shape[1])
    starts = np.zeros(gaps.shape[1], dtype=int)
    best = 0.0, 0, 0, 0
    for place, own in enumerate(gaps):
        fresh = totals <= 0
        starts[fresh], totals[fresh] = place, 0.0
        totals = totals + own
        reached = np.where(place - starts + 1 >= shortest, totals, -np.inf)
        like = int(reached.argmax())
        if reached[like] > best[0]:
            best = float(reached[like]), int(starts[like]), place, like
    total, first, last, like = best
    if not total:
        return None
    return first, last, like, total / (last - first + 1 + PRIOR)


def shown_first(
    stretches: Sequence[Stretch], pairs: Sequence[Pair], most: int
) -> list[Stretch | Pair]:
    """Both kinds in one list, the most suspicious first.

    Arguments
    ---------
    stretches : Sequence[Stretch]
    pairs : Sequence[Pair]
    most : int
        Rows at most.

    Returns
    -------
    list of (Stretch or Pair)
    """
    rows = sorted([*stretches, *pairs], key=lambda row: -row.suspicion)
    return rows[:most]
