"""Pairs of windows that are fixed before training, as a two-tower design has.

The design of 2023 learns from a list: so many similar pairs of each speaker,
so many dissimilar pairs of each ordered pair of different speakers (a then b
and b then a are two). The list follows from a seed alone; each epoch goes
through it once, in an order of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechbrain_siamese.dataio.draws import (
    Draw,
    WindowSampler,
    draw_windows,
    rows_by_speaker,
    windows_in,
)
from speechbrain_siamese.utils.ranges import check_range
from speechbrain_siamese.utils.whole_file import write_csv

#: Columns of a pair manifest.
COLUMNS = (
    "label",
    "left_ID",
    "left_start",
    "left_stop",
    "right_ID",
    "right_start",
    "right_stop",
)

#: Pairs that become Python objects together: bounds memory.
_BLOCK = 10_000


@dataclass(frozen=True)
class Pairs:
    """Pairs of windows, 41 bytes each; the left window comes first.

    Arguments
    ---------
    same : np.ndarray
        True where both windows are one speaker's, (pairs,), bool.
    rows : np.ndarray
        Manifest rows of the windows, (pairs, 2), int32.
    starts : np.ndarray
        First sample of each window in its row's file, (pairs, 2), int64.
    stops : np.ndarray
        Sample after the last, (pairs, 2), int64.
    """

    same: np.ndarray
    rows: np.ndarray
    starts: np.ndarray
    stops: np.ndarray

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.same)

    def draws(self, pair: np.ndarray) -> list[Draw]:
        """Windows of some pairs.

        Arguments
        ---------
        pair : np.ndarray
            Positions of the pairs, (chosen,).

        Returns
        -------
        list of Draw
            All left windows, then all right ones in the same order.
        """
        sides = (
            numbers[pair].T.ravel().tolist()
            for numbers in (self.rows, self.starts, self.stops)
        )
        return [Draw(*window) for window in zip(*sides, strict=True)]


def make_pairs(
    speakers: Sequence[str],
    stretches: Sequence[tuple[int, int]],
    window_samples: int,
    similar_per_speaker: int = 100,
    dissimilar_per_pair: int = 25,
    seed: int = 0,
) -> Pairs:
    """Draw the pairs of a training.

    Windows are drawn at random, more often from the longer rows. The two of a
    similar pair differ wherever a speaker has more than one window; they may
    overlap.

    Arguments
    ---------
    speakers : Sequence[str]
        Speaker of each manifest row.
    stretches : Sequence[tuple[int, int]]
        First sample and the sample after the last of each row.
    window_samples : int
        Samples of a window; a shorter row is one window by itself.
    similar_per_speaker : int
        Similar pairs of each speaker.
    dissimilar_per_pair : int
        Dissimilar pairs of each ordered pair of different speakers.
    seed : int
        Of every draw.

    Returns
    -------
    Pairs
        The similar ones first, speaker by speaker.

    Raises
    ------
    ValueError
        If there are fewer than two speakers, or a number is out of its range.

    Example
    -------
    >>> pairs = make_pairs(
    ...     ["a", "b", "c"], [(0, 9000)] * 3, 2000, 100, dissimilar_per_pair=25
    ... )
    >>> len(pairs), int(pairs.same.sum())  # 3 x 100, and 3 x 2 x 25
    (450, 300)
    """
    check_range("window_samples", window_samples, 1, 1e9, whole=True)
    for key, count in (
        ("similar_per_speaker", similar_per_speaker),
        ("dissimilar_per_pair", dissimilar_per_pair),
    ):
        check_range(key, count, 1, 100_000, whole=True)
    rows_of = list(rows_by_speaker(speakers).values())
    bounds = np.asarray(stretches, dtype=np.int64)
    generator = np.random.default_rng(seed)
    everyone = np.arange(len(rows_of))
    different = np.argwhere(everyone[:, None] != everyone)
    people = np.concatenate(
        [
            np.stack([everyone] * 2, axis=1).repeat(similar_per_speaker, 0),
            different.repeat(dissimilar_per_pair, 0),
        ]
    )
    same = people[:, 0] == people[:, 1]
    rows = np.empty(people.size, dtype=np.int32)
    starts = np.empty(people.size, dtype=np.int64)
    # All sides of one speaker are drawn together, wherever they stand.
    order = people.ravel().argsort(kind="stable")
    edges = np.bincount(people.ravel()).cumsum()
    for own, sides in zip(rows_of, np.split(order, edges[:-1]), strict=True):
        rows[sides], starts[sides] = draw_windows(
            own, bounds, window_samples, len(sides), generator
        )
    rows, starts = rows.reshape(-1, 2), starts.reshape(-1, 2)
    for pair in np.flatnonzero(
        same & (rows[:, 0] == rows[:, 1]) & (starts[:, 0] == starts[:, 1])
    ):
        rows[pair, 1], starts[pair, 1] = _another_window(
            np.array(rows_of[people[pair, 0]]),
            bounds,
            window_samples,
            (rows[pair, 0], starts[pair, 0]),
            generator,
        )
    stops = np.minimum(starts + window_samples, bounds[rows, 1])
    return Pairs(same, rows, starts, stops)


def write_pairs(path: str | Path, pairs: Pairs, ids: Sequence[str]) -> None:
    """Write a pair manifest (CSV with ``COLUMNS``), whole or not at all.

    Arguments
    ---------
    path : str or Path
        Where the file shall appear.
    pairs : Pairs
        Label 1 for similar ones, 0 for the others; samples in the files that
        the training manifest names.
    ids : Sequence[str]
        ID of each row of the training manifest.
    """
    write_csv(path, COLUMNS, _lines(pairs, ids))


def _lines(pairs: Pairs, ids: Sequence[str]) -> Iterator[tuple]:
    """Values of each line of a pair manifest."""
    for first in range(0, len(pairs), _BLOCK):
        pair = np.arange(first, min(first + _BLOCK, len(pairs)))
        draws = pairs.draws(pair)
        for label, left, right in zip(
            pairs.same[pair].astype(int).tolist(),
            draws[: len(pair)],
            draws[len(pair) :],
            strict=True,
        ):
            yield label, ids[left.row], *left[1:], ids[right.row], *right[1:]


class PairBatchSampler(WindowSampler):
    """Yield batches of pairs: all left windows, then all right ones.

    Item ``i`` of a batch belongs to item ``i + half``: what
    ``nnet.losses.PairContrastiveLoss`` compares. Stands where
    ``SpeakerBatchSampler`` does; the order follows from seed and epoch, so
    that a resumed training sees what an uninterrupted one would have seen.

    Arguments
    ---------
    pairs : Pairs
        As ``make_pairs`` gives them.
    speakers : Sequence[str]
        Speaker of each manifest row.
    stretches : Sequence[tuple[int, int]]
        First sample and the sample after the last of each row.
    window_samples : int
        Samples of a window.
    pairs_per_batch : int
        The last batch of an epoch may hold fewer.
    seed : int
        Of the order, together with the epoch.
    steps : int or None
        Batches of an epoch, at most; None for every pair once.
    rank, world_size : int
        As for ``WindowSampler``. The two windows of a pair may go to
        different processes; a pair or two that more than two processes cannot
        share are left out at the end of an epoch.

    Raises
    ------
    ValueError
        If there are fewer than two speakers, a number is out of its range, or
        the processes cannot get as many windows each.

    Example
    -------
    >>> manifest = ["a", "b"], [(0, 9000), (0, 9000)], 2000
    >>> pairs = make_pairs(*manifest, similar_per_speaker=3)
    >>> sampler = PairBatchSampler(pairs, *manifest, pairs_per_batch=10)
    >>> [len(batch) for batch in sampler]  # 2 x 3 + 2 x 25 pairs
    [20, 20, 20, 20, 20, 12]
    """

    def __init__(
        self,
        pairs: Pairs,
        speakers: Sequence[str],
        stretches: Sequence[tuple[int, int]],
        window_samples: int,
        pairs_per_batch: int,
        seed: int = 0,
        steps: int | None = None,
        rank: int = 0,
        world_size: int = 1,
    ):
        check_range("pairs_per_batch", pairs_per_batch, 1, 10_000, whole=True)
        super().__init__(
            speakers, stretches, window_samples, seed, rank, world_size
        )
        # So many pairs are as many windows for each process.
        together = math.lcm(2, world_size) // 2
        if pairs_per_batch % together:
            raise ValueError(
                f"pairs_per_batch is {pairs_per_batch}, which {world_size} "
                f"processes cannot share: set a multiple of {together}"
            )
        self.pairs = pairs
        self.pairs_per_batch = pairs_per_batch
        self._used = len(pairs) - len(pairs) % together
        every = math.ceil(self._used / pairs_per_batch)
        self.steps = every if steps is None else min(steps, every)

    def batches(self) -> Iterator[list[Draw]]:
        """Yield the batches of the epoch, for all processes together."""
        generator = np.random.default_rng([self.seed, self.epoch])
        order = generator.permutation(len(self.pairs))[: self._used]
        for step in range(self.steps):
            first = step * self.pairs_per_batch
            yield self.pairs.draws(order[first : first + self.pairs_per_batch])


def _another_window(own, bounds, window_samples: int, taken, generator):
    """Any window of a speaker but one, as row and first sample.

    That one where there is no other.
    """
    counts = windows_in(bounds[own], window_samples)
    if counts.sum() == 1:
        return taken
    ends = counts.cumsum()
    row, start = taken
    place = int(np.flatnonzero(own == row)[0])
    position = ends[place] - counts[place] + start - bounds[row, 0]
    other = generator.integers(ends[-1] - 1)
    other += other >= position
    place = int(ends.searchsorted(other, side="right"))
    first = ends[place] - counts[place]
    return own[place], bounds[own[place], 0] + other - first
