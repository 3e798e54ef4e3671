"""Many independent tasks on the cores of a machine, or on a cluster.

joblib does the work, with any backend that it has (its own processes, Dask,
Ray); this adds that a worker which is killed costs its own task only.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from typing import TypeVar

from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


#: Locks and semaphores that joblib's or a DataLoader's processes share.
_LOCKS = 16


def check_shared_memory(instead: str) -> None:
    """Refuse processes beside this one where they cannot share memory.

    A container may have none, or little; what is said then, deep in a library,
    is that there is no space left, and not where.

    Arguments
    ---------
    instead : str
        Setting that needs no other process, as ``n_jobs=1``.

    Raises
    ------
    ValueError
        If ``/dev/shm``, or what stands for it, cannot be used.

    Example
    -------
    >>> check_shared_memory("n_jobs=1")
    """
    try:
        _ = [multiprocessing.Lock() for _ in range(_LOCKS)]
    except OSError as error:
        raise ValueError(
            "processes beside this one need shared memory (/dev/shm), which "
            f"cannot be used: {error.strerror or error}. Give it room and "
            f"permission (Docker: --shm-size=1g), or set --{instead}"
        ) from error


def run_each(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    n_jobs: int,
    backend: Mapping[str, object] | None = None,
    lost: Callable[[Item], Result] | None = None,
) -> Iterator[tuple[int, Result]]:
    """Apply a function to every item, several at a time.

    Where a worker process is killed (by the system when memory runs out, or
    by a person), joblib's pool is broken. The tasks that were under way are
    then done again at the end, each in a process of its own; the others go on.

    Arguments
    ---------
    function : Callable
        Takes one item; both it and its result must pickle.
    items : Sequence
    n_jobs : int
        Items under way at the same time; -1 for one per core (on a cluster:
        as many as it takes).
    backend : Mapping or None
        Settings for ``joblib.parallel_config``, such as ``{"backend": "dask",
        "scheduler_host": "host:8786"}``. None for processes of this machine.
    lost : Callable or None
        Result of an item that ends its process even when alone. None raises.

    Yields
    ------
    int
        Position of the item; the order is that in which they are done.
    Result
        What the function returned.

    Raises
    ------
    ValueError
        If joblib does not know the backend or cannot use it.

    Example
    -------
    >>> sorted(run_each(abs, [-1, 2, -3], n_jobs=1))
    [(0, 1), (1, 2), (2, 3)]
    """
    left = dict.fromkeys(range(len(items)))
    suspects: list[int] = []
    while left:
        try:
            for position, result in _run(
                function, items, list(left), n_jobs, backend
            ):
                del left[position]
                yield position, result
        except BrokenExecutor:
            # As many as joblib hands out in advance: the culprit is there.
            for position in list(left)[: 2 * effective_n_jobs(n_jobs)]:
                del left[position]
                suspects.append(position)
            logger.warning(
                "a worker process was killed; what it did is done again"
            )
    for position in suspects:
        try:
            # Two jobs, or joblib would run the task in this very process.
            yield from _run(function, items, [position], 2, backend)
        except BrokenExecutor:
            if lost is None:
                raise
            yield position, lost(items[position])


def _run(function, items, positions, n_jobs, backend):
    """Results of some items as they are done, with their positions."""
    with _config(n_jobs, backend):
        # One task at a time: a killed worker must not take others along.
        try:
            pool = Parallel(return_as="generator_unordered", batch_size=1)
        except ValueError:
            # Ray's backend hands over nothing before all is done.
            pool = Parallel(return_as="list", batch_size=1)
    yield from pool(
        delayed(_numbered)(function, position, items[position])
        for position in positions
    )


def _numbered(function, position, item):
    return position, function(item)


def _config(n_jobs, backend):
    """joblib's configuration, or an error that says how to mend it."""
    try:
        return parallel_config(n_jobs=n_jobs, **(backend or {}))
    except (ValueError, ImportError, TypeError) as error:
        raise ValueError(
            f"joblib cannot use the backend {dict(backend or {})}: {error}. "
            "Expected settings of joblib.parallel_config, such as {backend: "
            "dask, scheduler_host: 'host:8786'}; for Dask: pip install "
            '"speechbrain-siamese[dask]"'
        ) from error
