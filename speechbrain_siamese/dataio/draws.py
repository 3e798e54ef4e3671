"""Random windows of manifest rows, and what samplers of them share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler


class Draw(NamedTuple):
    """One window of one manifest row.

    Arguments
    ---------
    row : int
        Position of the row in the manifest.
    start : int
        First sample in the row's file.
    stop : int
        Sample after the last. ``stop - start`` is shorter than the window
        where the row is.
    """

    row: int
    start: int
    stop: int


def samples_to_draw(window_samples: int, speeds: Sequence[float]) -> int:
    """Samples of which a window is left at any speed.

    Arguments
    ---------
    window_samples : int
        Of the window.
    speeds : Sequence[float]
        Percent.

    Returns
    -------
    int

    Example
    -------
    >>> samples_to_draw(32000, [95, 100, 105])
    33600
    """
    return math.ceil(window_samples * max(speeds) / 100)


def rows_by_speaker(speakers: Sequence[str]) -> dict[str, list[int]]:
    """Manifest rows of each speaker, in the order of the manifest.

    Arguments
    ---------
    speakers : Sequence[str]
        Speaker of each manifest row.

    Returns
    -------
    dict of str : list of int

    Raises
    ------
    ValueError
        If there are fewer than two speakers.
    """
    rows_of: dict[str, list[int]] = {}
    for row, speaker in enumerate(speakers):
        rows_of.setdefault(speaker, []).append(row)
    if len(rows_of) < 2:
        raise ValueError(
            f"the training manifest holds {len(rows_of)} speaker(s), expected "
            "at least 2: dissimilar pairs are of two. Add recordings, or hold "
            "out fewer speakers"
        )
    return rows_of


def windows_in(bounds: np.ndarray, window_samples: int) -> np.ndarray:
    """Number of different windows in each row.

    Arguments
    ---------
    bounds : np.ndarray
        First sample and the sample after the last, (rows, 2).
    window_samples : int
        Samples of a window; a shorter row is one window by itself.

    Returns
    -------
    np.ndarray
        (rows,)
    """
    return np.maximum(0, bounds[:, 1] - bounds[:, 0] - window_samples) + 1


def draw_windows(
    own: Sequence[int],
    bounds: np.ndarray,
    window_samples: int,
    count: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw windows of some rows, more often from the longer ones.

    Arguments
    ---------
    own : Sequence[int]
        The rows, such as those of one speaker.
    bounds : np.ndarray
        First sample and the sample after the last of every row, (rows, 2).
    window_samples : int
        Samples of a window.
    count : int
        Windows.
    generator : np.random.Generator

    Returns
    -------
    rows, starts : np.ndarray
        Row and first sample of each window, (count,).
    """
    lengths = bounds[own, 1] - bounds[own, 0]
    rows = generator.choice(own, size=count, p=lengths / lengths.sum())
    return rows, bounds[rows, 0] + generator.integers(
        windows_in(bounds[rows], window_samples)
    )


def as_draws(
    rows: np.ndarray,
    starts: np.ndarray,
    bounds: np.ndarray,
    window_samples: int,
) -> list[Draw]:
    """Windows as a dataset is asked for them.

    Arguments
    ---------
    rows, starts : np.ndarray
        As ``draw_windows`` gives them, (count,).
    bounds : np.ndarray
        First sample and the sample after the last of every row, (rows, 2).
    window_samples : int
        Samples of a window.

    Returns
    -------
    list of Draw
    """
    stops = np.minimum(starts + window_samples, bounds[rows, 1])
    windows = (part.tolist() for part in (rows, starts, stops))
    return [Draw(*window) for window in zip(*windows, strict=True)]


class WindowSampler(Sampler):
    """What samplers of training windows share; ``steps`` is each one's own.

    Where several processes train as one, each draws the same batches and
    yields its own share of each: joined in the order of their ranks the
    shares are the batch again.

    Arguments
    ---------
    speakers : Sequence[str]
        Speaker of each manifest row.
    stretches : Sequence[tuple[int, int]]
        First sample and the sample after the last of each row.
    window_samples : int
        Samples of a window.
    seed : int
        Of what is drawn.
    rank : int
        Which process this is, from 0.
    world_size : int
        Number of processes.

    Raises
    ------
    ValueError
        If there are fewer than two speakers.
    """

    steps: int

    def __init__(
        self,
        speakers: Sequence[str],
        stretches: Sequence[tuple[int, int]],
        window_samples: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ):
        self.rows_of = rows_by_speaker(speakers)
        self.bounds = np.asarray(stretches, dtype=np.int64)
        self.window_samples = window_samples
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 1

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yield this process's share of the batches of the epoch."""
        for batch in self.batches():
            share = len(batch) // self.world_size
            yield batch[self.rank * share : (self.rank + 1) * share]

    def batches(self) -> Iterator[list[Draw]]:
        """Yield the batches of the epoch, for all processes together."""
        raise NotImplementedError

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self.steps

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose batches come next.

        Arguments
        ---------
        epoch : int
        """
        self.epoch = epoch

    def draw_clips(
        self,
        speaker: str,
        count: int,
        generator: np.random.Generator,
        samples: int | None = None,
    ) -> list[Draw]:
        """Draw windows of one speaker, more often from the longer rows.

        Arguments
        ---------
        speaker : str
        count : int
        generator : np.random.Generator
        samples : int or None
            Of a window; None for ``window_samples``.

        Returns
        -------
        list of Draw
        """
        samples = samples or self.window_samples
        rows, starts = draw_windows(
            self.rows_of[speaker], self.bounds, samples, count, generator
        )
        return as_draws(rows, starts, self.bounds, samples)
