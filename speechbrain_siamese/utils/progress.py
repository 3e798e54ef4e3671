"""Progress of a long job: a bar for people, lines for a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from speechbrain.utils.logger import get_logger
from tqdm import tqdm

logger = get_logger(__name__)

Result = TypeVar("Result")

#: Seconds between two lines where there is no terminal to draw a bar on.
LOG_EVERY = 60.0


def show_progress(
    done: Iterable[tuple[int, Result]],
    sizes: Sequence[int],
    seconds: Callable[[Result], float],
    title: str,
    show: bool = True,
) -> Iterator[tuple[int, Result]]:
    """Pass results on and say how much is done and how long the rest takes.

    The time that is left follows from the bytes of the files, since one may
    hold a hundred times as much as another.

    Arguments
    ---------
    done : Iterable of (int, Result)
        Position and result, in any order.
    sizes : Sequence[int]
        Bytes of each item.
    seconds : Callable
        Seconds of audio of a result.
    title : str
        What is done.
    show : bool
        Whether to say anything.

    Yields
    ------
    int
        Position.
    Result

    Example
    -------
    >>> list(show_progress([(0, 1.5)], [100], float, "Cleaning", show=False))
    [(0, 1.5)]
    """
    terminal = sys.stderr.isatty()
    started = last = time.monotonic()
    count, read, audio = 0, 0, 0.0
    with tqdm(
        total=sum(sizes),
        desc=title,
        unit="B",
        unit_scale=True,
        disable=not (show and terminal),
    ) as bar:
        for position, result in done:
            yield position, result
            count += 1
            read += sizes[position]
            audio += seconds(result)
            state = f"{count} of {len(sizes)} recordings, {audio / 3600:.1f} h"
            bar.set_postfix_str(state, refresh=False)
            bar.update(sizes[position])
            now = time.monotonic()
            if show and not terminal and now - last >= LOG_EVERY:
                last = now
                rest = (now - started) * (sum(sizes) / max(1, read) - 1)
                logger.info(
                    "%s: %s of audio done, about %s left",
                    title,
                    state,
                    tqdm.format_interval(rest),
                )
