"""Windows cover their rows; the nearest one overlaps most."""

from __future__ import annotations

import numpy as np
import pytest

from speechbrain_siamese.dataio.window_grid import WindowGrid

#: Rows that begin anywhere; one of a window, one shorter, one a bit longer.
STRETCHES = [(0, 1000), (300, 400), (50, 130), (7, 108), (900, 1555)]
WINDOW, HOP = 100, 50


def overlap(first, second) -> int:
    return max(0, min(first[1], second[1]) - max(first[0], second[0]))


@pytest.mark.parametrize("hop", [50, 33, 100, 170])
def test_windows_are_a_hop_apart_and_end_with_the_row(hop):
    """
    row            |----------------------|   7 to 108
    window 0       |---------------------|    7 to 107
    window 1        |---------------------|   8 to 108
    """
    grid = WindowGrid(STRETCHES, WINDOW, hop)
    for row, (start, stop) in enumerate(STRETCHES):
        own = np.flatnonzero(grid.rows == row)
        starts = grid.starts[own].tolist()
        assert starts[0] == start
        assert grid.stops[own][-1] == stop
        if stop - start <= WINDOW:
            assert len(own) == 1
            continue
        assert (grid.stops[own] - grid.starts[own] == WINDOW).all()
        gaps = np.diff(starts)
        assert (gaps[:-1] == hop).all()
        assert 0 < gaps[-1] <= hop
    assert len(grid) == len(grid.rows)


@pytest.mark.parametrize("hop", [50, 33, 100])
@pytest.mark.parametrize("length", [20, 100, 260])
def test_nearest_window_overlaps_most_of_all(hop, length):
    grid = WindowGrid(STRETCHES, WINDOW, hop)
    draws = [
        (row, first, min(stop, first + length))
        for row, (start, stop) in enumerate(STRETCHES)
        for first in range(start, max(start + 1, stop - length + 1), 7)
    ]
    found = grid.nearest(*zip(*draws, strict=True))
    for (row, *draw), window in zip(draws, found, strict=True):
        own = np.flatnonzero(grid.rows == row)
        windows = zip(grid.starts, grid.stops, strict=True)
        overlaps = [overlap(draw, each) for each in windows]
        assert window in own
        assert overlaps[window] == max(overlaps[i] for i in own)


def test_of_windows_that_hold_the_clip_it_lies_in_the_middle_of_the_nearest():
    grid = WindowGrid([(0, 400)], 100, 20)
    # From 0, 20, 40 and 60 on they hold it; its middle is that of the third.
    assert grid.nearest([0], [80], [100]).tolist() == [2]


@pytest.mark.parametrize(("window", "hop"), [(0, 5), (5, 0)])
def test_windows_without_samples_are_an_error(window, hop):
    with pytest.raises(ValueError, match="expected at least 1 of each"):
        WindowGrid(STRETCHES, window, hop)
