"""What the time of a training step or an embedding goes into.

Not a benchmark by itself: throughput.py prints it.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable

import torch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, record_function

#: Parts of the work that are told by where they are called from.
FEATURES, AUGMENT, UPDATE = "features", "augmentation", "update of the weights"

#: The others, by what is in the operator's name; the first that fits.
OPERATORS = {
    "convolution, matrix product": ("conv", "mm", "linear"),
    "batch normalisation": ("batch_norm",),
    "casts and copies": ("copy_", "contiguous", "clone", "::to"),
    "concatenation": ("::cat",),
    "ReLU": ("relu", "clamp", "threshold"),
    "pooling": ("pool",),
    "other tensor work": ("aten::",),
}
REST = "Python and bookkeeping"

#: All parts, in the order of a table.
PARTS = (*OPERATORS, FEATURES, AUGMENT, UPDATE, REST)


def mark(owner: object, method: str, part: str) -> None:
    """Let the profiler see a part of the work by its own name."""
    inner = getattr(owner, method)

    @functools.wraps(inner)
    def marked(*args, **kwargs):
        with record_function(part):
            return inner(*args, **kwargs)

    setattr(owner, method, marked)


def part_of(event: FunctionEvent) -> str:
    """What an event of the profile belongs to."""
    above = event
    while above is not None and above.name not in (FEATURES, AUGMENT, UPDATE):
        above = above.cpu_parent
    if above is not None:
        return above.name
    for part, fragments in OPERATORS.items():
        if any(fragment in event.name for fragment in fragments):
            return part
    return REST


def profiled(run: Callable[[], object]) -> dict[str, float]:
    """Share of the time of one run that each part takes."""
    activities = [ProfilerActivity.CPU]
    with (
        torch.profiler.profile(activities=activities) as profiler,
        # Its own time is what passes outside of torch.
        record_function("all"),
    ):
        run()
    spent: Counter[str] = Counter()
    for event in profiler.events():
        spent[part_of(event)] += event.self_cpu_time_total
    return {part: time / spent.total() for part, time in spent.items()}
