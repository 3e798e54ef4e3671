"""Pictures of the speakers: who is taken for whom, who sounds like whom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from speechbrain_siamese.evaluation.confusion import Confusion, most_confused
from speechbrain_siamese.utils.plots import COLOURS, MARKERS

#: More names do not fit beside a matrix.
MOST_IN_CONFUSION = 30

#: More names do not fit into a cloud of points.
MOST_IN_CLOUD = 40

# Up to this many speakers a cell has room for its number.
MOST_WITH_NUMBERS = 15

# Points; a letter is some 0.6 of it wide.
NAME_SIZE = 8


def plot_confusion(confusion: Confusion) -> Figure:
    """Draw which share of the trials of each two speakers was accepted.

    Hatched where there is no trial. The scale is that of a square root:
    what is rare off the diagonal still shows.

    Arguments
    ---------
    confusion : Confusion
        Of more than 30 speakers those in the most confused pairs are drawn.

    Returns
    -------
    Figure

    Example
    -------
    >>> shares, trials = np.array([[1, 0.5], [0.5, 1]]), np.full((2, 2), 4)
    >>> figure = plot_confusion(Confusion(("a", "b"), shares, trials))
    """
    chosen = _most_confused_speakers(confusion)
    percent = 100 * confusion.accepted[np.ix_(chosen, chosen)]
    names = [str(confusion.speakers[k]) for k in chosen]
    figure = Figure(figsize=(7.2, 6.6), layout="constrained")
    axes = figure.add_subplot()
    axes.patch.set(facecolor="white", edgecolor="0.7", hatch="////")
    picture = axes.imshow(
        np.ma.masked_invalid(percent),
        # From white to dark in one run of lightness: holds in grey.
        cmap="Blues",
        norm=PowerNorm(0.5, 0, 100),
    )
    size = 9 if len(names) <= MOST_WITH_NUMBERS else 7
    places = range(len(names))
    axes.set_xticks(places, names, rotation=90, fontsize=size)
    axes.set_yticks(places, names, fontsize=size)
    if len(names) <= MOST_WITH_NUMBERS:
        for row, column in np.argwhere(np.isfinite(percent)):
            share = percent[row, column]
            axes.text(
                column,
                row,
                f"{share:.0f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if share > 35 else "black",
            )
    scale = figure.colorbar(picture, ax=axes, shrink=0.8)
    scale.set_ticks([0, 1, 5, 10, 25, 50, 75, 100])
    scale.set_label("accepted trials (percent)")
    axes.set_xlabel("speaker")
    axes.set_ylabel("speaker")
    if len(chosen) < len(confusion.speakers):
        axes.set_title(
            f"{len(chosen)} of {len(confusion.speakers)} speakers: those in "
            "the most confused pairs",
            fontsize=10,
        )
    return figure


def _most_confused_speakers(confusion: Confusion) -> list[int]:
    """Positions of the speakers to draw, in their order."""
    everyone = range(len(confusion.speakers))
    if len(everyone) <= MOST_IN_CONFUSION:
        return list(everyone)
    pairs = most_confused(confusion, count=len(everyone) ** 2)
    position = {name: k for k, name in enumerate(confusion.speakers)}
    ranked = [position[name] for pair in pairs for name in pair[:2]]
    return sorted(list(dict.fromkeys([*ranked, *everyone]))[:MOST_IN_CONFUSION])


def plot_embeddings(points: np.ndarray, speakers: Sequence[str]) -> Figure:
    """Draw utterances in a plane, each speaker named beside its centre.

    Arguments
    ---------
    points : np.ndarray
        What ``projection.project`` returns, (utterances, 2).
    speakers : Sequence[str]
        Who speaks in each utterance. Of more than 40 speakers those with
        most utterances are drawn.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If the points aren't (utterances, 2), or not one for each speaker id.

    Example
    -------
    >>> figure = plot_embeddings([[0, 1], [2, 3]], ["anna", "bert"])
    """
    points, speakers = np.asarray(points), np.asarray(speakers)
    if points.shape != (len(speakers), 2) or not len(speakers):
        raise ValueError(
            f"points have shape {points.shape} and there are {len(speakers)} "
            "speaker ids, expected (utterances, 2) and one id an utterance: "
            "give what project returns for the same utterances"
        )
    everyone, counts = np.unique(speakers, return_counts=True)
    most = np.sort(np.argsort(-counts, kind="stable")[:MOST_IN_CLOUD])
    names = everyone[most]
    centres = np.array(
        [np.median(points[speakers == name], axis=0) for name in names]
    )
    shown = points[np.isin(speakers, names)]
    # In points of print: the axes are some 480 by 440 of them.
    extent = np.ptp(shown, axis=0)
    scale = np.array([480, 440]) / np.where(extent > 0, extent, 1)
    lifts = _name_lifts(centres * scale, [len(str(name)) for name in names])
    figure = Figure(figsize=(7.2, 6.6), layout="constrained")
    axes = figure.add_subplot()
    for number, name in enumerate(names):
        own = points[speakers == name]
        axes.scatter(
            *own.T,
            s=24,
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            edgecolors="white",
            linewidths=0.4,
            label=str(name),
        )
        axes.annotate(
            str(name),
            centres[number],
            (0, lifts[number]),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=NAME_SIZE,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
            zorder=4,
        )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("first dimension (no unit)")
    axes.set_ylabel("second dimension (no unit)")
    if len(most) < len(everyone):
        axes.set_title(
            f"{len(most)} of {len(everyone)} speakers: those with most "
            "utterances",
            fontsize=10,
        )
    return figure


def _name_lifts(centres: np.ndarray, letters: Sequence[int]) -> list[int]:
    """How far above its centre each name stands, so that none hides another.

    All in points of print. A name with no free place near stands where it
    would alone.
    """
    placed: list[tuple[float, float, float]] = []
    lifts = []
    for (x, y), count in zip(centres, letters, strict=True):
        half = 0.3 * NAME_SIZE * count
        free = (
            lift
            for lift in (10, -10, 20, -20, 30, -30, 40, -40)
            if all(
                abs(x - other_x) > half + other_half
                or abs(y + lift - other_y) > 1.2 * NAME_SIZE
                for other_x, other_y, other_half in placed
            )
        )
        lifts.append(next(free, 10))
        placed.append((x, y + lifts[-1], half))
    return lifts
