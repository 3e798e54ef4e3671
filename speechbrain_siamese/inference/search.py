"""The most similar voices of many: exact search, and FAISS beyond that."""

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
        """Cosines, highest first, and positions, (queries, top) each."""


class ExactSearch:
    """Compare with every voice.

    Voices are held column by column: the product with a single query then
    reads memory at its full rate, which is what the time goes into.

    Arguments
    ---------
    voices : np.ndarray
        (people, dim), float32, of length 1 each.

    Example
    -------
    >>> search = ExactSearch(np.eye(3, dtype=np.float32))
    >>> query = np.array([[0.0, 0.6, 0.8]], dtype=np.float32)
    >>> cosines, positions = search.search(query, 2)
    >>> cosines.round(1), positions
    (array([[0.8, 0.6]], dtype=float32), array([[2, 1]]))
    """

    def __init__(self, voices: np.ndarray):
        self._columns = np.ascontiguousarray(voices.T)

    def __getitem__(self, positions: np.ndarray) -> np.ndarray:
        """Voices by position, (positions, dim)."""
        return self._columns[:, positions].T

    def search(
        self, queries: np.ndarray, top: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the most similar voices.

        Arguments
        ---------
        queries : np.ndarray
            (queries, dim), float32, of length 1 each.
        top : int
            How many are asked for; as many as there are at most.

        Returns
        -------
        cosines : np.ndarray
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
        (people, dim), float32, of length 1 each; is kept, not copied.
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
        self.voices = voices
        people, dim = voices.shape
        cells = cells or max(1, round(4 * people**0.5))
        # FAISS wants some 39 voices a cell to learn it from.
        cells = max(1, min(cells, people // 39))
        self.index = faiss.index_factory(
            dim, f"IVF{cells},SQ8", faiss.METRIC_INNER_PRODUCT
        )
        generator = np.random.default_rng(0)
        lot = generator.permutation(people)[: 64 * cells]
        self.index.train(voices[np.sort(lot)])
        self.index.add(voices)
        self.index.nprobe = min(probes, cells)

    def __getitem__(self, positions: np.ndarray) -> np.ndarray:
        """Voices by position, (positions, dim)."""
        return self.voices[positions]

    def search(
        self, queries: np.ndarray, top: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """As ``ExactSearch.search``; what is missed has the cosine -2."""
        top = min(top, len(self.voices))
        wanted = min(SPARE[0] * top + SPARE[1], len(self.voices))
        _, near = self.index.search(queries, wanted)
        cosines = np.einsum("qd,qcd->qc", queries, self.voices[near])
        # Where its cells hold too few, FAISS fills up with -1.
        cosines[near < 0] = -2.0
        order = np.argsort(-cosines, axis=1)[:, :top]
        return (
            np.take_along_axis(cosines, order, axis=1),
            np.take_along_axis(near, order, axis=1),
        )


#: By the name that a gallery is opened with.
SEARCHES = {"exact": ExactSearch, "faiss": FaissSearch}
