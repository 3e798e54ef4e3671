"""Which windows, recordings and speakers are not who they are said to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
EXPLAINED = 0.15

#: Share of a recording from which all of it is suspicious.
MOST = 0.6


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
        Number of the recording, integers, (windows,).
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
        As of a stretch, over all windows of both.
    first, second : int
    """

    suspicion: float
    first: int
    second: int


def unit_directions(embeddings: np.ndarray) -> np.ndarray:
    """Embeddings without what all have in common, of length 1 each.

    Arguments
    ---------
    embeddings : np.ndarray
        (windows, dim)

    Returns
    -------
    np.ndarray
        (windows, dim)
    """
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    unit = unit - unit.mean(axis=0)
    return unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-9)


def likeness(windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """How much each window sounds like its own speaker, and like all others.

    The own speaker is known from other recordings. Where there is one alone,
    from windows of it that are not near, less what one room adds to likeness
    among those who have several.

    Arguments
    ---------
    windows : Windows

    Returns
    -------
    own : np.ndarray
        Mean cosine to windows of the own speaker, (windows,); NaN where there
        are none to compare with.
    others : np.ndarray
        The same to each speaker, (windows, speakers), minus infinity for the
        own one.
    """
    unit = unit_directions(windows.embeddings)
    count = windows.speakers.max() + 1
    sums = np.zeros((count, unit.shape[1]))
    np.add.at(sums, windows.speakers, unit)
    sizes = np.bincount(windows.speakers, minlength=count)
    others = unit @ (sums / np.maximum(sizes, 1)[:, None]).T
    elsewhere, within = np.full((2, len(unit)), np.nan)
    for speaker in np.unique(windows.speakers):
        mine = np.flatnonzero(windows.speakers == speaker)
        recordings = windows.recordings[mine]
        cosines = unit[mine] @ unit[mine].T
        other = recordings[:, None] != recordings
        far = ~other & (abs(mine[:, None] - mine) > NEAR)
        for found, usable in ((elsewhere, other), (within, far)):
            with np.errstate(invalid="ignore"):
                found[mine] = (cosines * usable).sum(axis=1) / usable.sum(
                    axis=1
                )
    # All others are known from other rooms.
    known = np.isfinite(elsewhere) & np.isfinite(within)
    room = (within - elsewhere)[known].mean() if known.any() else 0.0
    own = np.where(np.isfinite(elsewhere), elsewhere, within - room)
    others[np.arange(len(unit)), windows.speakers] = -np.inf
    return own, others


def suspicious_stretches(windows: Windows) -> list[Stretch]:
    """Find stretches that sound more like somebody else, of each recording.

    Arguments
    ---------
    windows : Windows

    Returns
    -------
    list of Stretch
        At most one of each recording, that with the most evidence; the most
        suspicious first.
    """
    own, others = likeness(windows)
    found = []
    for recording in np.unique(windows.recordings):
        mine = np.flatnonzero(windows.recordings == recording)
        if np.isnan(own[mine]).any():
            continue  # there is nothing else of this speaker
        # Who it sounds like has to be one person, not another each time.
        run = _best_run(others[mine] - own[mine, None])
        if run is None:
            continue
        first, last, like, suspicion = run
        found.append(
            Stretch(
                suspicion,
                int(windows.speakers[mine[0]]),
                int(recording),
                int(mine[first]),
                int(mine[last]),
                last - first + 1 >= MOST * len(mine),
                like,
            )
        )
    return sorted(found, key=lambda one: -one.suspicion)


def suspicious_pairs(windows: Windows) -> list[Pair]:
    """Hold every two speakers against each other.

    Arguments
    ---------
    windows : Windows

    Returns
    -------
    list of Pair
        All, the most suspicious first.
    """
    own, others = likeness(windows)
    count = others.shape[1]
    gaps, sizes = np.zeros((count, count)), np.zeros(count)
    for speaker in range(count):
        mine = np.isfinite(own) & (windows.speakers == speaker)
        sizes[speaker] = mine.sum()
        if mine.any():
            gaps[speaker] = (others[mine] - own[mine, None]).mean(axis=0)
    first, second = np.triu_indices(count, 1)
    found = [
        Pair(float((gaps[a, b] + gaps[b, a]) / 2), int(a), int(b))
        for a, b in zip(first, second, strict=True)
        if min(sizes[a], sizes[b]) >= SHORTEST
    ]
    return sorted(found, key=lambda pair: -pair.suspicion)


def _best_run(gaps: np.ndarray):
    """The run of windows and the speaker with the most evidence.

    The largest sum of a run (Bentley 1984), over all speakers.
    """
    best = None
    shortest = min(SHORTEST, len(gaps))
    for like in range(gaps.shape[1]):
        if not np.isfinite(gaps[:, like]).all():
            continue  # its own
        total, start = 0.0, 0
        for place, gap in enumerate(gaps[:, like]):
            if total <= 0:
                total, start = 0.0, place
            total += gap
            long = place - start + 1 >= shortest
            if total > 0 and long and (best is None or total > best[0]):
                best = total, start, place, like
    if best is None:
        return None
    total, first, last, like = best
    return first, last, like, float(total / (last - first + 1 + PRIOR))


def shown_first(
    stretches: Sequence[Stretch], pairs: Sequence[Pair], most: int
) -> list[Stretch | Pair]:
    """Both kinds in one list, the most suspicious first.

    Where two names are one person every recording of theirs sounds like the
    other one: the pair stands for them, as suspicious as the worst of them.

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
    by_names = {frozenset([one.first, one.second]): one for one in pairs}
    left = []
    for one in stretches:
        names = frozenset([one.speaker, one.like])
        pair = by_names.get(names)
        if pair is None or pair.suspicion < one.suspicion - EXPLAINED:
            left.append(one)
        elif pair.suspicion < one.suspicion:
            by_names[names] = replace(pair, suspicion=one.suspicion)
    rows = sorted([*left, *by_names.values()], key=lambda row: -row.suspicion)
    return rows[:most]
