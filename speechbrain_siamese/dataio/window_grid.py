"""Windows at equal distances over the rows of a manifest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class WindowGrid:
    """Windows of one length, a hop apart, over each row.

    The last window of a row ends where the row ends; a row that is shorter
    than a window is one window.

    Arguments
    ---------
    stretches : Sequence[tuple[int, int]]
        First sample and the sample after the last of each row.
    window_samples : int
        Samples of a window, at least 1.
    hop_samples : int
        Samples from one window to the next, at least 1.

    Raises
    ------
    ValueError
        If a window or a hop has no sample.

    Example
    -------
    >>> grid = WindowGrid([(100, 190), (0, 30)], 40, 20)
    >>> grid.rows.tolist()
    [0, 0, 0, 0, 1]
    >>> list(zip(grid.starts.tolist(), grid.stops.tolist(), strict=True))
    [(100, 140), (120, 160), (140, 180), (150, 190), (0, 30)]
    >>> grid.nearest([0, 1], [131, 5], [151, 25]).tolist()
    [1, 4]
    """

    def __init__(
        self,
        stretches: Sequence[tuple[int, int]],
        window_samples: int,
        hop_samples: int,
    ):
        if min(window_samples, hop_samples) < 1:
            raise ValueError(
                f"a window has {window_samples} samples and a hop "
                f"{hop_samples}, expected at least 1 of each"
            )
        self.window_samples = window_samples
        self.hop_samples = hop_samples
        bounds = np.array(stretches, dtype=np.int64).reshape(-1, 2)
        self._firsts = bounds[:, 0]
        # How far a window can be moved within its row.
        spare = bounds[:, 1] - bounds[:, 0] - window_samples
        self._spares = np.maximum(spare, 0)
        self._counts = 1 + -(-self._spares // hop_samples)
        self._offsets = np.cumsum(self._counts) - self._counts
        self.rows = np.repeat(np.arange(len(bounds)), self._counts)
        places = np.arange(len(self.rows)) - self._offsets[self.rows]
        self.starts = self._firsts[self.rows] + self._shifts(self.rows, places)
        self.stops = np.minimum(
            self.starts + window_samples, bounds[self.rows, 1]
        )

    def __len__(self) -> int:
        """Windows of all rows."""
        return len(self.rows)

    def nearest(
        self,
        rows: Sequence[int],
        starts: Sequence[int],
        stops: Sequence[int],
    ) -> np.ndarray:
        """Find the windows that overlap most with stretches of rows.

        Windows of a row are equally long, so it is the one whose middle is
        nearest to the stretch's.

        Arguments
        ---------
        rows : Sequence[int]
            Positions of the rows, (stretches,).
        starts : Sequence[int]
            First samples, (stretches,).
        stops : Sequence[int]
            Samples after the last, (stretches,).

        Returns
        -------
        np.ndarray
            Positions of the windows, int64, (stretches,).
        """
        rows = np.asarray(rows)
        middles = (np.asarray(starts) + np.asarray(stops)) / 2
        # Where in its row a window around that middle would begin.
        wanted = middles - self.window_samples / 2 - self._firsts[rows]
        last = self._counts[rows] - 1
        before = np.clip(wanted // self.hop_samples, 0, last).astype(np.int64)
        after = np.minimum(before + 1, last)
        closer = np.abs(self._shifts(rows, after) - wanted) < np.abs(
            self._shifts(rows, before) - wanted
        )
        return self._offsets[rows] + np.where(closer, after, before)

    def _shifts(self, rows, places):
        """Samples from the row's first to the window's."""
        return np.minimum(places * self.hop_samples, self._spares[rows])
