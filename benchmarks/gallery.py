"""How long it takes to find a voice among a thousand to a million.

> python benchmarks/gallery.py

Random directions of 192 numbers, seed 1986; a query is an enrolled voice with
noise. ``exact`` is what a gallery does, up to a hundred candidates; ``plain``
is NumPy's product with the voices as rows, and a partial sort; ``faiss`` the
index beside it, with the share of queries whose best voice it finds (needs
``[faiss]``). ``reading`` is what it takes to read as much memory once (the sum
of it): no exact search can be faster. Medians of single queries. ``--quick``
asks fewer. The last line is JSON, of the million.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch

from speechbrain_siamese.inference.gallery import CANDIDATES
from speechbrain_siamese.inference.search import ExactSearch, FaissSearch

DIM, SEED, NOISE = 192, 1986, 0.06


def voices_and_queries(people: int, queries: int):
    """Directions of length 1, and some of them with noise."""
    rng = np.random.default_rng(SEED)
    voices = rng.standard_normal((people, DIM), dtype=np.float32)
    voices /= np.linalg.norm(voices, axis=1, keepdims=True)
    chosen = rng.integers(people, size=queries)
    asked = voices[chosen]
    asked += NOISE * rng.standard_normal(asked.shape, dtype=np.float32)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    return voices, asked


def milliseconds(call, queries) -> float:
    """Median of single calls, after one that does not count."""
    call(queries[:1])
    times = []
    for query in queries:
        started = time.perf_counter()
        call(query[None])
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times))


def row(people: int, queries: int) -> dict[str, float]:
    """Every way, for so many enrolled people."""
    voices, asked = voices_and_queries(people, queries)
    flat = torch.from_numpy(voices).flatten()
    found = {"reading": milliseconds(lambda _: flat.sum(), asked)}

    def plain(query):
        cosines = voices @ query[0]
        return np.argpartition(cosines, -min(CANDIDATES, people))

    found["plain"] = milliseconds(plain, asked)
    best = (asked @ voices.T).argmax(axis=1)
    exact = ExactSearch(voices)
    found["exact"] = milliseconds(lambda q: exact.search(q, CANDIDATES), asked)
    if (exact.search(asked, 1)[1][:, 0] != best).any():
        raise SystemExit("exact search has missed the best voice")
    started = time.perf_counter()
    index = FaissSearch(voices)
    found["build"] = time.perf_counter() - started
    found["faiss"] = milliseconds(lambda q: index.search(q, CANDIDATES), asked)
    found["recall"] = float((index.search(asked, 1)[1][:, 0] == best).mean())
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    print(
        "  enrolled   reading     exact     plain     faiss  its recall  "
        "built in"
    )
    for people in (10**3, 10**4, 10**5, 10**6):
        found = row(people, 20 if options.quick else 100)
        print(
            f"{people:10,}"
            + "".join(
                f"{found[name]:7.2f} ms"
                for name in ("reading", "exact", "plain", "faiss")
            )
            + f"{100 * found['recall']:10.0f} %{found['build']:8.1f} s"
        )
    print(
        json.dumps(
            {
                "ms_per_query_1m": found["exact"],
                "share_of_bandwidth": found["reading"] / found["exact"],
            }
        )
    )


if __name__ == "__main__":
    main()
