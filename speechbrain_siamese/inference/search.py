"""The most similar voices of many: exact search, and FAISS beyond that."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

#: Voices whose scores are computed at a time, for many queries at once.
BLOCK = 1 << 17

#: From this many on the first pass is in half precision: half the memory to
#: read, which is what the time goes into.
HALF_FROM = 20_000

#: Candidates of the first pass for each that is asked for, and more. Half
#: precision is wrong by a few thousandths.
SPARE = 4, 200


class Search(Protocol):
    """Finds the voices that are most similar to others."""

    def search(
        self, queries: torch.Tensor, top: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cosines, highest first, and positions, (queries, top) each."""


class ExactSearch:
    """Compare with every voice.

    Large collections are first ranked in half precision (bfloat16); what comes
    near the top is then compared in full.

    Arguments
    ---------
    voices : np.ndarray
        (people, dim), float32, of length 1 each; is kept, not copied.

    Example
    -------
    >>> search = ExactSearch(np.eye(3, dtype=np.float32))
    >>> cosines, positions = search.search(torch.tensor([[0.0, 0.6, 0.8]]), 2)
    >>> cosines.round(1), positions
    (array([[0.8, 0.6]], dtype=float32), array([[2, 1]]))
    """

    def __init__(self, voices: np.ndarray):
        self.voices = torch.from_numpy(voices)
        self.half = None
        if len(voices) >= HALF_FROM:
            self.half = self.voices.bfloat16()

    @torch.no_grad()
    def search(
        self, queries: torch.Tensor, top: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the most similar voices.

        Arguments
        ---------
        queries : torch.Tensor
            (queries, dim), of length 1 each.
        top : int
            How many are asked for; as many as there are at most.

        Returns
        -------
        cosines : np.ndarray
            Highest first, float32, (queries, top).
        positions : np.ndarray
            In ``voices``, integers, (queries, top).
        """
        queries, top = queries.float().cpu(), min(top, len(self.voices))
        if self.half is None:
            found = (queries @ self.voices.T).topk(top, dim=-1)
            return found.values.numpy(), found.indices.numpy()
        near = self._candidates(queries.bfloat16(), top)
        cosines = torch.einsum("qd,qcd->qc", queries, self.voices[near])
        found = cosines.topk(top, dim=-1)
        return found.values.numpy(), near.gather(1, found.indices).numpy()

    def _candidates(self, queries, top):
        """Positions of what may be among the top, (queries, candidates)."""
        wanted = min(SPARE[0] * top + SPARE[1], len(self.voices))
        # One query is done at once; many need a block's scores each.
        size = len(self.voices) if len(queries) == 1 else BLOCK
        scores, positions = [], []
        for start in range(0, len(self.voices), size):
            block = queries @ self.half[start : start + size].T
            found = block.float().topk(min(wanted, block.shape[1]), dim=-1)
            scores.append(found.values)
            positions.append(found.indices + start)
        best = torch.cat(scores, dim=1).topk(wanted, dim=-1).indices
        return torch.cat(positions, dim=1).gather(1, best)


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
        self.voices = torch.from_numpy(voices)
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

    def search(
        self, queries: torch.Tensor, top: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """As ``ExactSearch.search``, but some may be missed."""
        top = min(top, len(self.voices))
        queries = queries.float().cpu()
        wanted = min(SPARE[0] * top + SPARE[1], len(self.voices))
        _, near = self.index.search(queries.numpy(), wanted)
        near = torch.from_numpy(near)
        # Where its cells hold too few, FAISS fills up with -1.
        there = near >= 0
        near = near.clamp(min=0)
        cosines = torch.einsum("qd,qcd->qc", queries, self.voices[near])
        cosines[~there] = -2.0
        found = cosines.topk(top, dim=-1)
        return found.values.numpy(), near.gather(1, found.indices).numpy()


#: By the name that a gallery is opened with.
SEARCHES = {"exact": ExactSearch, "faiss": FaissSearch}
