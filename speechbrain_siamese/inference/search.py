"""The most similar voices of many: exact search, and FAISS beyond that.

They are compared by their inner products, which are cosines where all are of
length 1.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

#: Scores that are in memory at a time, where many queries are asked.
SCORES = 1 << 24

#: Candidates of FAISS for each that is asked for, and more: its 8 bits are
#: wrong by some hundredths.
SPARE = 4, 200


class Search(Protocol):
    """Finds the voices that are most similar to others."""

    def __getitem__(self, positions: np.ndarray) -> np.ndarray:
        """Voices by position, (positions, dim)."""

    def search(
        self, queries: np.ndarray, top: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Products, highest first, and positions, (queries, top) each."""

    def put(self, position: int, voice: np.ndarray) -> None:
        """Change a voice, (dim,), or add one behind the last."""

    def remove(self, position: int) -> None:
        """Drop a voice; the last takes its position. One must stay."""


def _with_more_room(voices: np.ndarray, axis: int) -> np.ndarray:
    """A copy with room for half as many more: few copies in the long run."""
    shape = [*voices.shape]
    shape[axis] += shape[axis] // 2 + 16
    grown = np.zeros(shape, dtype=voices.dtype)
    grown[tuple(map(slice, voices.shape))] = voices
    return grown


class ExactSearch:
    """Compare with every voice.

    Voices are held column by column: the product with a single query then
    reads memory at its full rate, which is what the time goes into.

    Arguments
    ---------
    voices : np.ndarray
        (people, dim), float32.

    Example
    -------
    >>> search = ExactSearch(np.eye(3, dtype=np.float32))
    >>> query = np.array([[0.0, 0.6, 0.8]], dtype=np.float32)
    >>> products, positions = search.search(query, 2)
    >>> products.round(1), positions
    (array([[0.8, 0.6]], dtype=float32), array([[2, 1]]))
    """

    def __init__(self, voices: np.ndarray):
        self._room = np.ascontiguousarray(voices.T)
        self._people = len(voices)

    @property
    def _columns(self) -> np.ndarray:
        return self._room[:, : self._people]

    def __getitem__(self, positions: np.ndarray) -> np.ndarray:
        """Voices by position, (positions, dim)."""
        return self._columns[:, positions].T

    def put(self, position: int, voice: np.ndarray) -> None:
        """Change a voice, (dim,), or add one behind the last."""
        if position == self._room.shape[1]:
            self._room = _with_more_room(self._room, axis=1)
        self._room[:, position] = voice
        self._people = max(self._people, position + 1)

    def remove(self, position: int) -> None:
        """Drop a voice; the last takes its position. One must stay."""
        self._people -= 1
        self._room[:, position] = self._room[:, self._people]
        # A voice is personal data, in memory, too.
        self._room[:, self._people] = 0

    def search(
        self, queries: np.ndarray, top: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the most similar voices.

        Arguments
        ---------
        queries : np.ndarray
            (queries, dim), float32.
        top : int
            How many are asked for; as many as there are at most.

        Returns
        -------
        products : np.ndarray
            Highest first, float32, (queries, top).
        positions : np.ndarray
            In ``voices``, integers, (queries, top).
        """
        people = self._columns.shape[1]
        lot = max(1, SCORES // people)
        found = [
            torch.from_numpy(queries[start : start + lot] @ self._columns).topk(
                min(top, people), dim=-1
            )
            for start in range(0, len(queries), lot)
        ]
        return (
            np.concatenate([own.values.numpy() for own in found]),
            np.concatenate([own.indices.numpy() for own in found]),
        )


class FaissSearch:
    """Compare with the voices of the nearest cells only (Johnson et al. 2017).

    Inverted lists with scalar quantisation to 8 bits: a quarter of the memory.
    What is found is compared in full.

    Arguments
    ---------
    voices : np.ndarray
        (people, dim), float32; is kept and changed, not
        copied.
    cells : int or None
        How many there are; None for four times the root of the people.
    probes : int
        Cells that a query looks into: more find more and take longer.

    Raises
    ------
    ImportError
        If FAISS is not installed.
    """

    def __init__(
        self, voices: np.ndarray, cells: int | None = None, probes: int = 32
    ):
        try:
            import faiss
        except ImportError as error:
            raise ImportError(
                "index is faiss, which is not installed: "
                "pip install 'speechbrain-siamese[faiss]'"
            ) from error
        self._faiss, self._given = faiss, (cells, probes)
        self._build(voices)

    def _build(self, voices: np.ndarray) -> None:
        cells, probes = self._given
        people, dim = voices.shape
        self._room, self._people, self._learnt = voices, people, people
        cells = cells or max(1, round(4 * people**0.5))
        # FAISS wants some 39 voices a cell to learn it from.
        cells = max(1, min(cells, people // 39))
        self.index = self._faiss.index_factory(
            dim, f"IVF{cells},SQ8", self._faiss.METRIC_INNER_PRODUCT
        )
        generator = np.random.default_rng(0)
        lot = generator.permutation(people)[: 64 * cells]
        self.index.train(voices[np.sort(lot)])
        self.index.add(voices)
        self.index.nprobe = min(probes, cells)

    def __getitem__(self, positions: np.ndarray) -> np.ndarray:
        """Voices by position, (positions, dim)."""
        return self._room[positions]

    def put(self, position: int, voice: np.ndarray) -> None:
        """Change a voice, (dim,), or add one behind the last."""
        if position < self._people:
            self._forget(position)
        elif position == len(self._room):
            self._room = _with_more_room(self._room, axis=0)
        self._room[position] = voice
        self._people = max(self._people, position + 1)
        if self._people > 2 * self._learnt:
            # There are too few cells for so many, learnt from too few.
            self._build(self._room[: self._people])
        else:
            self._know(position)

    def remove(self, position: int) -> None:
        """Drop a voice; the last takes its position. One must stay."""
        self._forget(position)
        self._people -= 1
        last = self._people
        if position != last:
            self._forget(last)
            self._room[position] = self._room[last]
            self._know(position)
        self._room[last] = 0

    def _know(self, position: int) -> None:
        self.index.add_with_ids(
            self._room[position : position + 1], np.array([position])
        )

    def _forget(self, position: int) -> None:
        self.index.remove_ids(np.array([position]))

    def search(
        self, queries: np.ndarray, top: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """As ``ExactSearch.search``; what is missed has the product -inf."""
        top = min(top, self._people)
        wanted = min(SPARE[0] * top + SPARE[1], self._people)
        _, near = self.index.search(queries, wanted)
        products = np.einsum("qd,qcd->qc", queries, self._room[near])
        # Where its cells hold too few, FAISS fills up with -1.
        products[near < 0] = -np.inf
        order = np.argsort(-products, axis=1)[:, :top]
        return (
            np.take_along_axis(products, order, axis=1),
            np.take_along_axis(near, order, axis=1),
        )


#: By the name that a gallery is opened with.
SEARCHES = {"exact": ExactSearch, "faiss": FaissSearch}
