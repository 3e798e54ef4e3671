"""Finds sound that recurs across recordings: jingles, adverts, intros.

Landmarks as in Wang 2003, "An industrial-strength audio search algorithm":
peaks of the spectrogram in pairs, whose frequencies and distance in time stay
what they are through codecs, noise and a voice on top. Two recordings share a
stretch where many of their landmarks are alike at one offset. Nobody says the
same words with the same voice at the same speed twice, so speech does not
recur.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter
from scipy.signal import stft

#: Hz of what is listened to: jingles are known by what lies below 4 kHz.
RATE = 8000

#: Samples of a spectrogram's frame, and from one to the next: 128 and 32 ms.
FRAME, HOP = 1024, 256

#: Seconds of a spectrogram's frame.
STEP = HOP / RATE

#: A peak is the highest within so many frames and bins to each side.
NEAR_FRAMES, NEAR_BINS = 6, 12

#: dB below the loudest of its block under which nothing is a peak.
QUIET = 60.0

#: Later peaks that each peak is paired with, frames that they are later by,
#: and bins that they are apart at most.
PARTNERS, LATEST, APART = 4, 63, 63

#: Share of the shorter recording from which two are copies.
COPY = 0.8

#: Landmarks of whole recordings that are held against all others at a time.
LOT = 300_000

#: Bins of 7.8 Hz that a landmark tells, low ones: room for nine bits.
BINS = FRAME // 2


@dataclass(frozen=True)
class Landmarks:
    """What is remembered of a recording.

    Arguments
    ---------
    hashes : np.ndarray
        Two frequencies and the time between them in one number, uint32,
        (landmarks,).
    frames : np.ndarray
        Where each begins, in frames of ``STEP`` seconds, int32, (landmarks,),
        rising.
    seconds : float
        Length of the recording.
    """

    hashes: np.ndarray
    frames: np.ndarray
    seconds: float


@dataclass(frozen=True)
class Recurrence:
    """How alike two stretches have to be.

    Arguments
    ---------
    min_seconds : float
        Length of the shortest stretch that counts.
    min_rate : float
        Landmarks in common for a second of it.
    max_gap : float
        Seconds without any in common that end a stretch.
    bridge : float
        Seconds between two stretches, or between one and an end of the
        recording, that are taken for part of them.
    neighbours : int
        Each landmark is held against so many others like it, the next ones
        by recording and time: what is everywhere is among them, what two of
        very many recordings share may not be.
    most : int
        A landmark that occurs more often, and more than three times a
        recording, tells nothing.
    """

    min_seconds: float = 2.0
    min_rate: float = 1.5
    max_gap: float = 2.0
    bridge: float = 3.0
    neighbours: int = 20
    most: int = 200


def landmarks(blocks: Iterable[np.ndarray]) -> Landmarks:
    """Listen to a recording, in memory that does not grow with the sound.

    Arguments
    ---------
    blocks : Iterable[np.ndarray]
        Consecutive mono samples at ``RATE``, (samples,) each.

    Returns
    -------
    Landmarks

    Example
    -------
    >>> noise = np.random.default_rng(0).standard_normal(5 * RATE)
    >>> whole, parts = landmarks([noise]), landmarks(np.split(noise, 8))
    >>> bool((whole.hashes == parts.hashes).all()), len(whole.hashes) > 100
    (True, True)
    """
    samples = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal samples
        for block in blocks:
            samples += len(block)
            yield block

    none = np.zeros((0, 2), dtype=np.int64)
    peaks = np.concatenate([none, *_peaks(counted())])
    hashes = []
    # The partners of each peak are the next ones that are near enough.
    for later in range(1, PARTNERS * 4 + 1):
        first, second = peaks[:-later], peaks[later:]
        if not len(first):
            break
        time = second[:, 0] - first[:, 0]
        bins = second[:, 1] - first[:, 1]
        good = (time > 1) & (time <= LATEST) & (abs(bins) <= APART)
        code = (first[:, 1] << 13) | ((bins + APART + 1) << 6) | time
        hashes.append(np.where(good, code, -1))
    seconds = samples / RATE
    if not hashes:
        return no_landmarks(seconds)
    size = len(hashes[0])
    table = np.full((len(hashes), size), -1)
    for row, code in zip(table, hashes, strict=True):
        row[: len(code)] = code
    # Of each peak no more than PARTNERS.
    good = (table >= 0) & (
        (table >= 0).cumsum(axis=0, dtype=np.int8) <= PARTNERS
    )
    partner, peak = np.nonzero(good)
    order = peak.argsort(kind="stable")
    return Landmarks(
        table[partner, peak][order].astype(np.uint32),
        peaks[peak[order], 0].astype(np.int32),
        seconds,
    )


def no_landmarks(seconds: float) -> Landmarks:
    """What is remembered of silence.

    Arguments
    ---------
    seconds : float

    Returns
    -------
    Landmarks
    """
    return Landmarks(np.zeros(0, np.uint32), np.zeros(0, np.int32), seconds)


def recurring(
    recordings: Sequence[Landmarks], settings: Recurrence | None = None
) -> list[list[tuple[float, float]]]:
    """Find what recurs in other recordings, or later in the same one.

    Arguments
    ---------
    recordings : Sequence[Landmarks]
    settings : Recurrence or None
        None for the default.

    Returns
    -------
    list of list of (float, float)
        Of each recording the stretches in seconds, in order, without overlap.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> jingle, first, second = rng.standard_normal((3, 6 * RATE))
    >>> heard = [landmarks([first, jingle]), landmarks([jingle, second])]
    >>> [[(round(a), round(b)) for a, b in own] for own in recurring(heard)]
    [[(6, 12)], [(0, 6)]]
    """
    settings = settings or Recurrence()
    found: list[list[tuple[float, float]]] = [[] for _ in recordings]
    for (left, right), own in _in_common(recordings, settings).items():
        # A copy is no jingle: cutting both would leave nothing of it.
        if left != right and _share(recordings, left, right, own) > COPY:
            continue
        for start, stop, offset in own:
            found[left].append((start, stop))
            found[right].append((start + offset, stop + offset))
    return [
        _joined(own, settings.bridge, recording.seconds)
        for own, recording in zip(found, recordings, strict=True)
    ]


def copies(
    recordings: Sequence[Landmarks], share: float
) -> list[tuple[int, int]]:
    """Find recordings of which one holds another, in whatever codec and rate.

    Arguments
    ---------
    recordings : Sequence[Landmarks]
    share : float
        How much of the shorter one has to be in the longer one, 0 to 1.

    Returns
    -------
    list of (int, int)
        Numbers of two recordings each, the lower first.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> first, second = rng.standard_normal((2, 20 * RATE))
    >>> louder = 2 * first[5 * RATE :] + 0.1 * second[5 * RATE :]
    >>> copies([landmarks([s]) for s in (first, second, louder)], 0.5)
    [(0, 2)]
    """
    return sorted(
        (int(left), int(right))
        for (left, right), own in _in_common(recordings, Recurrence()).items()
        if left != right and _share(recordings, left, right, own) > share
    )


def _in_common(recordings, settings) -> dict:
    """Of two recordings what they share: start, stop, and offset in seconds."""
    shared = defaultdict(list)
    if recordings:
        for left, right, offset, frames in _shared(recordings, settings):
            if stretch := _stretch(frames, settings):
                shared[left, right].append((*stretch, offset))
    return shared


def _share(recordings, left, right, own) -> float:
    """How much of the shorter recording is in the other one."""
    covered = _joined([(start, stop) for start, stop, _ in own], 0.0, 1e9)
    shorter = min(recordings[left].seconds, recordings[right].seconds)
    return sum(stop - start for start, stop in covered) / shorter


def _peaks(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Frames and bins of the spectrogram's peaks, (peaks, 2), by time."""
    # A stretch is looked at with its neighbours: what is a peak does not
    # depend on where blocks begin.
    lot, margin = 1024, NEAR_FRAMES
    pending, done = np.zeros(0), 0  # frame at which pending begins
    for block in itertools.chain(blocks, [None]):
        last = block is None
        if not last:
            pending = np.concatenate([pending, block])
        while True:
            count = 1 + (len(pending) - FRAME) // HOP
            if count < lot + 2 * margin and not last:
                break
            count = min(count, lot + 2 * margin)
            if count <= 0:
                break
            whole = last and count < lot + 2 * margin
            levels = _levels(pending[: (count - 1) * HOP + FRAME])
            own = _highest(levels)
            begin = margin if done else 0
            end = count if whole else count - margin
            own = own[(own[:, 0] >= begin) & (own[:, 0] < end)]
            yield own + np.array([done, 0])
            if whole:
                return
            # The next lot begins where this one's answer ends.
            step = end - margin
            pending, done = pending[step * HOP :], done + step


def _levels(samples: np.ndarray) -> np.ndarray:
    """Spectrogram in dB, (frames, bins)."""
    _, _, spectrum = stft(
        samples,
        nperseg=FRAME,
        noverlap=FRAME - HOP,
        boundary=None,
        padded=False,
    )
    return 20 * np.log10(np.abs(spectrum[:BINS]).T + 1e-10)


def _highest(levels: np.ndarray) -> np.ndarray:
    """Where the peaks are, (peaks, 2), by time."""
    size = (2 * NEAR_FRAMES + 1, 2 * NEAR_BINS + 1)
    top = levels == maximum_filter(levels, size, mode="constant", cval=-np.inf)
    # Digital silence is one plain; a codec's ripples are no peaks.
    top &= levels > max(levels.max() - QUIET, -150.0)
    return np.argwhere(top)


def _shared(recordings, settings) -> Iterator[tuple]:
    """Pairs of recordings, the offset in seconds, the frames of the first."""
    lengths = [len(own.hashes) for own in recordings]
    hashes = np.concatenate([own.hashes for own in recordings]).astype(int)
    frames = np.concatenate([own.frames for own in recordings])
    owners = np.repeat(np.arange(len(recordings)), lengths)
    # The same landmarks beside each other, by recording and time.
    order = hashes.argsort(kind="stable")
    hashes, frames, owners = hashes[order], frames[order], owners[order]
    edges = np.flatnonzero(np.diff(hashes, prepend=-1, append=-1))
    counts = np.diff(edges)
    usable = counts <= max(settings.most, 3 * len(recordings))
    by_owner = owners.argsort(kind="stable")
    by_owner = by_owner[np.repeat(usable, counts)[by_owner]]
    bounds = np.searchsorted(owners[by_owner], np.arange(len(lengths) + 1))
    # Some recordings at a time: what they have in common fits in memory.
    starts = [0]
    for place in range(1, len(lengths) + 1):
        if bounds[place] - bounds[starts[-1]] > LOT or place == len(lengths):
            starts.append(place)
    for start, stop in itertools.pairwise(starts):
        own = by_owner[bounds[start] : bounds[stop]]
        parts = []
        for later in range(1, settings.neighbours + 1):
            first = own[own + later < len(hashes)]
            first = first[hashes[first] == hashes[first + later]]
            second = first + later
            gap = frames[second] - frames[first]
            # A note that is held is no recurrence.
            other = (owners[first] != owners[second]) | (
                gap * STEP > settings.min_seconds
            )
            found = owners[first], owners[second], gap, frames[first]
            parts.append(np.stack(found)[:, other])
        yield from _at_one_offset(np.concatenate(parts, axis=1), settings)


def _at_one_offset(pairs: np.ndarray, settings) -> Iterator[tuple]:
    """Groups of landmarks that two recordings share at one offset."""
    least = settings.min_rate * settings.min_seconds
    # Rounding puts a stretch's landmarks at two neighbouring offsets: both
    # ways to join two of them are looked at.
    for phase in (0, 1):
        key = np.stack([pairs[0], pairs[1], (pairs[2] + phase) // 2])
        order = np.lexsort((pairs[3], *key[::-1]))
        own = key[:, order]
        ends = (own[:, 1:] != own[:, :-1]).any(axis=0)
        # A gap ends a stretch: landmarks far apart need not be looked at.
        ends |= np.diff(pairs[3, order]) * STEP > settings.max_gap
        edges = np.flatnonzero(np.r_[True, ends, True])
        large = np.flatnonzero(np.diff(edges) >= least)
        for start, stop in zip(edges[large], edges[large + 1], strict=True):
            left, right, gap, when = pairs[:, order[start:stop]]
            yield left[0], right[0], float(gap.mean()) * STEP, when


def _stretch(frames, settings) -> tuple[float, float] | None:
    """From the first of these frames to the last, if that is long and full."""
    # A landmark reaches over its frame.
    start, stop = frames[0] * STEP, frames[-1] * STEP + FRAME / RATE
    seconds = stop - start
    if (
        seconds < settings.min_seconds
        or len(frames) < settings.min_rate * seconds
        # A single chord has many landmarks at one time.
        or len(np.unique(frames)) < settings.min_rate * seconds / PARTNERS
    ):
        return None
    return float(start), float(stop)


def _joined(
    stretches: list[tuple[float, float]], bridge: float, seconds: float
) -> list[tuple[float, float]]:
    """The same in order, without gaps that are shorter than a bridge."""
    joined: list[tuple[float, float]] = []
    for start, stop in sorted(stretches):
        if start < bridge:
            start = 0.0
        if seconds - stop < bridge:
            stop = seconds
        if joined and start - joined[-1][1] < bridge:
            start, last = joined.pop()
            stop = max(stop, last)
        joined.append((start, stop))
    return joined
