"""A teacher's embeddings of the training speech, computed once and kept.

The teacher listens to windows of every row before training begins; training
looks up the window nearest to the clip at hand.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from speechbrain.augment.time_domain import SpeedPerturb
from speechbrain.utils.logger import get_logger
from torch.nn.functional import normalize
from torchaudio.functional import resample
from tqdm import tqdm

from speechbrain_siamese.dataio.datasets import ReadStretch
from speechbrain_siamese.dataio.window_grid import WindowGrid
from speechbrain_siamese.inference.embeddings import SAVE_EVERY, EmbeddingCache
from speechbrain_siamese.inference.teacher import Teacher

logger = get_logger(__name__)

#: Windows that the teacher gets at a time.
_BATCH = 16


class TeacherTargets:
    """The teacher's embedding of any stretch of any row.

    As a dynamic item it takes ``id``, ``start`` and ``stop``; it pickles, for
    workers that are spawned.

    Arguments
    ---------
    names : Sequence[str]
        Ids of the rows.
    grid : WindowGrid
        Over these rows.
    embeddings : torch.Tensor
        (windows, dim), in the order of the grid, or (windows, speeds, dim);
        NaN where there is none.

    Example
    -------
    >>> targets = TeacherTargets(
    ...     ["a"], WindowGrid([(0, 90)], 40, 20), torch.eye(4)
    ... )
    >>> targets("a", 25, 45)  # of the second window; the mean is 1/4
    tensor([-0.2500,  0.7500, -0.2500, -0.2500])
    """

    def __init__(
        self,
        names: Sequence[str],
        grid: WindowGrid,
        embeddings: torch.Tensor,
    ):
        self._row_of = {name: row for row, name in enumerate(names)}
        self._grid = grid
        unit = normalize(embeddings, dim=-1)
        # What all of the corpus has in common tells nobody from another.
        self._targets = unit - unit.flatten(0, -2).nanmean(dim=0)

    @property
    def dim(self) -> int:
        """Size of the teacher's embedding."""
        return self._targets.shape[-1]

    def __call__(
        self, name: str, start: str | int, stop: str | int
    ) -> torch.Tensor:
        """Look one stretch up.

        Arguments
        ---------
        name : str
            Id of the row.
        start : str or int
            First sample.
        stop : str or int
            Sample after the last.

        Returns
        -------
        torch.Tensor
            Embedding of the window that overlaps most, of unit length before
            the corpus mean was taken off, (dim,) or (speeds, dim); NaN where
            there is none.
        """
        window = self._grid.nearest(
            [self._row_of[name]], [int(start)], [int(stop)]
        )
        return self._targets[int(window[0])]


def teacher_targets(
    teacher: Teacher,
    rows: Mapping[str, Mapping],
    sample_rate: int,
    folder: str | Path,
    window_seconds: float,
    hop_seconds: float,
    speed_perturb: SpeedPerturb | None = None,
) -> TeacherTargets:
    """What a teacher says of all rows, to be looked up in training.

    Arguments
    ---------
    teacher, rows, sample_rate, folder, window_seconds, hop_seconds
        As for ``window_embeddings``.
    speed_perturb : SpeedPerturb or None
        As there; with it targets have an axis for its speeds.

    Returns
    -------
    TeacherTargets

    Raises
    ------
    ValueError
        As ``window_embeddings``.
    """
    grid, found = window_embeddings(
        teacher,
        rows,
        sample_rate,
        folder,
        window_seconds,
        hop_seconds,
        speed_perturb,
    )
    if not speed_perturb:
        found = found[:, 0]
    return TeacherTargets(list(rows), grid, torch.from_numpy(found))


def window_embeddings(
    teacher: Teacher,
    rows: Mapping[str, Mapping],
    sample_rate: int,
    folder: str | Path,
    window_seconds: float,
    hop_seconds: float,
    speed_perturb: SpeedPerturb | None = None,
) -> tuple[WindowGrid, np.ndarray]:
    """Let an encoder listen to all rows, unless it has done so before.

    What a killed run has done for a minute or more is kept.

    Arguments
    ---------
    teacher : Teacher
    rows : Mapping[str, Mapping]
        By id, the path ``wav``, and ``start`` and ``stop`` in samples.
    sample_rate : int
        Of the files, Hz.
    folder : str or Path
        Where the embeddings are kept, a file for each teacher, grid and
        manifest.
    window_seconds : float
        Length of a window.
    hop_seconds : float
        From one window to the next.
    speed_perturb : SpeedPerturb or None
        SpeechBrain's. With it the teacher hears every window at each of its
        speeds.

    Returns
    -------
    WindowGrid
        Over the rows.
    np.ndarray
        (windows, speeds, dim), float32, one speed without ``speed_perturb``;
        NaN where there is none.

    Raises
    ------
    ValueError
        If no window can be embedded, or a file has changed since preparation.
    """
    stretches = [(int(row["start"]), int(row["stop"])) for row in rows.values()]
    window = round(window_seconds * sample_rate)
    hop = round(hop_seconds * sample_rate)
    grid = WindowGrid(stretches, window, hop)
    trait = [teacher.fingerprint, sample_rate, window, hop, _stamps(rows)]
    digest = hashlib.sha256(json.dumps(trait).encode()).hexdigest()[:16]
    cache = EmbeddingCache(folder, digest)
    names = list(rows)
    keys = [
        f"{names[row]}|{start}"
        for row, start in zip(grid.rows, grid.starts, strict=True)
    ]
    heard = [(keys, None)]
    if speed_perturb:
        heard = [
            # What is heard as it is has the key that it has without speeds.
            (keys if speed == 100 else [f"{k}|{speed}" for k in keys], change)
            for speed, change in zip(
                speed_perturb.speeds, speed_perturb.resamplers, strict=True
            )
        ]
    reasons = []
    for own, change in heard:
        windows = _Windows(grid, [r["wav"] for r in rows.values()], change)
        reasons += _embed_windows(teacher, windows, sample_rate, own, cache)
    if not cache.found:
        raise ValueError(
            f"the teacher can embed none of {len(keys)} windows; the first: "
            f"{reasons[0]}"
        )
    if reasons:
        logger.warning(
            "the teacher cannot embed %d of %d windows, which are learnt "
            "without it; the first: %s",
            len(reasons),
            len(keys) * len(heard),
            reasons[0],
        )
    nothing = np.full_like(next(iter(cache.found.values())), np.nan)
    found = np.stack(
        [[cache.found.get(key, nothing) for key in own] for own, _ in heard],
        axis=1,
    )
    return grid, found


def _stamps(rows) -> list:
    """Rows with size and time of their files: what was listened to."""
    paths = dict.fromkeys(row["wav"] for row in rows.values())
    stats = {path: Path(path).stat() for path in paths}
    return [
        [
            name,
            int(row["start"]),
            int(row["stop"]),
            stats[row["wav"]].st_size,
            stats[row["wav"]].st_mtime_ns,
        ]
        for name, row in rows.items()
    ]


@dataclass(frozen=True)
class _Windows:
    """Windows of files, as they are or changed."""

    grid: WindowGrid
    wavs: list[str]
    change: Callable | None
    read: ReadStretch = field(default_factory=ReadStretch)

    def sound(self, chosen: Sequence[int]) -> torch.Tensor:
        """Some of them, of one length, (windows, samples)."""
        grid = self.grid
        clips = torch.stack(
            [
                self.read(
                    self.wavs[grid.rows[i]], grid.starts[i], grid.stops[i]
                )
                for i in chosen
            ]
        )
        return self.change(clips) if self.change else clips


def _embed_windows(teacher, windows, rate, keys, cache) -> list[str]:
    """Fill the cache; the reasons of the windows that cannot be embedded."""
    grid, reasons = windows.grid, []
    left = [i for i, key in enumerate(keys) if key not in cache.found]
    saved = time.monotonic()
    # No bar where there is no terminal: a log has no use for it.
    with tqdm(
        total=len(keys),
        initial=len(keys) - len(left),
        desc="Embedding, teacher",
        unit="window",
        disable=None,
    ) as bar:
        for chosen in _batches(grid, left):
            sound = resample(windows.sound(chosen), rate, teacher.sample_rate)
            for i, answer in zip(chosen, teacher.embed(sound), strict=True):
                if isinstance(answer, str):
                    file, start = windows.wavs[grid.rows[i]], grid.starts[i]
                    reasons.append(f"{file} at {start / rate:.1f} s: {answer}")
                else:
                    cache.found[keys[i]] = answer
            bar.update(len(chosen))
            if time.monotonic() - saved > SAVE_EVERY:
                cache.save()
                saved = time.monotonic()
    if len(left) > len(reasons):
        cache.save()
    return reasons


def _batches(grid: WindowGrid, left) -> Iterator[list[int]]:
    """Windows that are left, of one length in each batch: none is padded."""
    lengths = grid.stops - grid.starts
    by_length: dict[int, list[int]] = {}
    for i in left:
        by_length.setdefault(int(lengths[i]), []).append(i)
    for same in by_length.values():
        for first in range(0, len(same), _BATCH):
            yield same[first : first + _BATCH]
