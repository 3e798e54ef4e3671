"""Pictures of an evaluation: calibration, and the length of the clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from speechbrain_siamese.utils.plots import (
    COLOURS,
    DISSIMILAR,
    LINES,
    MARKERS,
    SIMILAR,
    dress,
    legend_below,
)

# Points squared of the marker that stands for all trials.
WHOLE_AREA = 900


def plot_reliability(before: list[dict], after: list[dict]) -> Figure:
    """Draw what probabilities promised against what came true.

    Arguments
    ---------
    before, after : list of dict
        What ``calibration.reliability`` returns, for probabilities without
        and with calibration.

    Returns
    -------
    Figure

    Example
    -------
    >>> row = {"promised": 0.7, "found": 0.5, "weight": 1.0, "trials": 2}
    >>> figure = plot_reliability([row], [{**row, "found": 0.7}])
    """
    figure = Figure(figsize=(5.8, 6.2), layout="constrained")
    axes = figure.add_subplot()
    (ideal,) = axes.plot([0, 100], [0, 100], color="0.5", linewidth=1)
    ideal.set_label("as promised")
    handles = [ideal]
    for name, rows, colour, line, marker in (
        ("before calibration", before, DISSIMILAR, "--", "s"),
        ("after calibration", after, SIMILAR, "-", "o"),
    ):
        look = {
            "color": colour,
            "markeredgecolor": "black",
            "markeredgewidth": 0.6,
        }
        promised = [100 * row["promised"] for row in rows]
        found = [100 * row["found"] for row in rows]
        axes.plot(promised, found, line, color=colour, linewidth=1.3)
        axes.scatter(
            promised,
            found,
            # The smallest are drawn larger than they are, to be seen.
            [max(12, WHOLE_AREA * row["weight"]) for row in rows],
            color=colour,
            marker=marker,
            edgecolors="black",
            linewidths=0.6,
            zorder=3,
        )
        handles.append(
            Line2D([], [], linestyle=line, marker=marker, label=name, **look)
        )
    axes.set(xlim=(-4, 104), ylim=(-4, 104), aspect="equal")
    axes.set_xlabel("promised probability of one speaker (percent)")
    axes.set_ylabel("trials that are of one speaker (percent)")
    axes.set_title("marker area: share of the trials", fontsize=10)
    dress(axes)
    legend_below(figure, handles)
    return figure


def plot_lengths(rows: Sequence[Mapping]) -> Figure:
    """Draw the equal error rate over the length of the clips.

    Arguments
    ---------
    rows : Sequence[Mapping]
        ``name`` of the system, ``seconds`` (length to which clips were cut),
        ``eer`` (0 to 1; a row with None is left out) and ``eer_interval``
        (low and high end, or None).

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If no row has an EER, or a length isn't above 0.

    Example
    -------
    >>> row = {"name": "ours", "seconds": 2, "eer": 0.1, "eer_interval": None}
    >>> figure = plot_lengths([row, {**row, "seconds": 5, "eer": 0.05}])
    """
    rows = [row for row in rows if row["eer"] is not None]
    if not rows or min(row["seconds"] for row in rows) <= 0:
        raise ValueError(
            f"found the rows {rows[:3]}, expected at least one with an EER, "
            "and lengths above 0 seconds: give one row a system and length"
        )
    lengths = sorted({row["seconds"] for row in rows})
    systems = list(dict.fromkeys(row["name"] for row in rows))
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.add_subplot()
    handles = []
    for number, name in enumerate(systems):
        own = sorted(
            (row for row in rows if row["name"] == name),
            key=lambda row: row["seconds"],
        )
        eer = np.array([row["eer"] for row in own])
        ends = np.array([row["eer_interval"] or (np.nan,) * 2 for row in own])
        # Side by side, or the bars of one system would hide another's.
        beside = 1.03 ** (number - (len(systems) - 1) / 2)
        bars = axes.errorbar(
            [row["seconds"] * beside for row in own],
            100 * eer,
            # An interval need not hold its estimate; a bar must.
            100 * np.maximum([eer - ends[:, 0], ends[:, 1] - eer], 0),
            color=COLOURS[number % len(COLOURS)],
            linestyle=LINES[number % len(LINES)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=6,
            linewidth=1.6,
            elinewidth=1,
            capsize=3,
            label=name,
        )
        handles.append(bars)
    axes.set_xscale("log")
    axes.set_xticks(lengths, [f"{length:g}" for length in lengths])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(bottom=0)
    axes.set_xlabel("length of the clips (seconds)")
    axes.set_ylabel("equal error rate (percent)")
    dress(axes)
    legend_below(figure, handles)
    return figure
