"""Pictures of a training run and of a trial list, and how all pictures look.

Colours are Okabe and Ito's (jfly.uni-koeln.de/color), which stay apart for
colour-blind readers; line styles, markers and hatches tell the same in a
print without colours. Figures are made without pyplot: no back end is
chosen and no window or global state is touched. They go into a PNG file by
``save_figure``, and as they are into TensorBoard.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from speechbrain_siamese.utils.fonts import fonts_for
from speechbrain_siamese.utils.metrics import checked_trials
from speechbrain_siamese.utils.whole_file import whole_file

SIMILAR = "#0072B2"  # Okabe-Ito blue
DISSIMILAR = "#D55E00"  # Okabe-Ito vermilion

# Okabe-Ito without yellow, which is too pale for a line on white.
COLOURS = (
    SIMILAR,
    DISSIMILAR,
    "#009E73",  # green
    "#CC79A7",  # purple
    "#E69F00",  # orange
    "#56B4E9",  # sky blue
    "#000000",
)
# The counts of colours, lines and markers have no common divisor: taken in
# turn, two of them together repeat late.
LINES = (
    "-",
    "--",
    ":",
    "-.",
    (0, (9, 2)),
    (0, (4, 1.5, 1, 1.5, 1, 1.5)),
    (0, (1, 3)),
    (0, (2, 1)),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")

# What a score is, by its kind.
SCORES = {
    "cosine": "cosine similarity (no unit)",
    "euclidean": "minus the Euclidean distance (no unit)",
    None: "score (no unit)",
}

# Key in the history, name in the legend, colour, line and marker.
CURVES = (
    ("train_distance_dissimilar", "dissimilar, train", DISSIMILAR, "--", "s"),
    ("valid_distance_dissimilar", "dissimilar, valid", DISSIMILAR, "-", "s"),
    ("train_distance_similar", "similar, train", SIMILAR, "--", "o"),
    ("valid_distance_similar", "similar, valid", SIMILAR, "-", "o"),
)


def plot_distances(history: list[dict]) -> Figure:
    """Draw the mean distance of similar and dissimilar pairs over epochs.

    Arguments
    ---------
    history : list of dict
        One per epoch: ``epoch`` (number) and ``train_distance_similar``,
        ``train_distance_dissimilar``, ``valid_distance_similar``,
        ``valid_distance_dissimilar`` (mean Euclidean distances). A distance
        of ``None`` or NaN is left out, and its neighbours are joined.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If the history is empty or lacks a key.

    Example
    -------
    >>> keys = [key for key, *_ in CURVES]
    >>> history = [{"epoch": 1, **dict.fromkeys(keys, 1.0)}]
    >>> len(plot_distances(history).axes[0].lines)
    4
    """
    if not history:
        raise ValueError(
            "the history holds no epoch, expected at least one: train first"
        )
    for row in history:
        missing = {"epoch", *(key for key, *_ in CURVES)} - set(row)
        if missing:
            raise ValueError(
                f"the history's row {row} lacks {sorted(missing)}: add them, "
                "with None where a distance was not measured"
            )
    epochs = np.array([row["epoch"] for row in history])
    # (epochs, curves); NumPy reads None as NaN here.
    distances = np.array(
        [[row[key] for key, *_ in CURVES] for row in history], dtype=float
    )
    known = np.isfinite(distances)
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for column, (_, name, colour, line, marker) in enumerate(CURVES):
        there = known[:, column]
        if there.any():
            axes.plot(
                epochs[there],
                distances[there, column],
                line,
                color=colour,
                marker=marker,
                markersize=4,
                # Hollow against filled: dashes vanish between close points.
                markerfacecolor="white" if line == "--" else colour,
                label=name,
            )
    # From zero, so that heights compare; 1 if nothing was measured.
    axes.set_ylim(0, 1.1 * distances[known].max(initial=0) or 1)
    axes.set_xlim(epochs.min() - 0.5, epochs.max() + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("training time (epochs)")
    axes.set_ylabel("mean Euclidean distance (no unit)")
    dress(axes)
    if axes.lines:
        legend_below(figure, axes.lines)
    return figure


def plot_scores(
    scores: np.ndarray,
    labels: np.ndarray,
    threshold: float,
    title: str | None = None,
    kind: str | None = "cosine",
) -> Figure:
    """Draw how the scores of same and of different speakers are spread.

    Both histograms have area 1, whatever the number of trials.

    Arguments
    ---------
    scores : np.ndarray
        Scores, higher is more alike, (trials,).
    labels : np.ndarray
        1 same speaker, 0 different, (trials,).
    threshold : float
        Score above which a trial is accepted, drawn as a line.
    title : str
        Text above the picture.
    kind : str or None
        What a score is, as for ``metrics.verification_metrics``.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If the trials are unusable (see ``metrics.checked_trials``) or the
        threshold isn't finite.

    Example
    -------
    >>> figure = plot_scores([0.8, 0.1], [1, 0], 0.45)
    >>> figure.axes[0].get_xlabel()
    'cosine similarity (no unit)'
    """
    scores, labels = checked_trials(scores, labels)
    if not np.isfinite(threshold):
        raise ValueError(
            f"threshold is {threshold}, expected a finite score: give the "
            "one that decides, such as the EER threshold"
        )
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    # Square-root rule on the smaller class, within what a print can show.
    bins = int(np.clip(np.sqrt(np.bincount(labels).min()), 10, 50))
    edges = np.histogram_bin_edges(scores, bins=bins)
    for label, name, colour, hatch in (
        (0, "different speakers", DISSIMILAR, "\\\\\\"),
        (1, "same speaker", SIMILAR, "///"),
    ):
        chosen = scores[labels == label]
        axes.hist(
            chosen,
            edges,
            density=True,
            histtype="stepfilled",
            facecolor=(colour, 0.3),
            edgecolor=colour,
            linewidth=1.3,
            hatch=hatch,
            label=f"{name} ({len(chosen):,} trials)",
        )
    axes.axvline(
        threshold,
        color="black",
        linestyle="--",
        label=f"threshold {threshold:.3f}",
    )
    axes.set_xlabel(SCORES[kind])
    axes.set_ylabel("density (per unit of the score)")
    if title is not None:
        axes.set_title(title)
    dress(axes)
    legend_below(figure, [*axes.patches, *axes.lines])
    return figure


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a picture: the file appears whole or not at all.

    Names in another script are drawn if a font that is installed has it.

    Arguments
    ---------
    figure : Figure
    path : str or Path
        PNG file to write; missing folders are made.

    Raises
    ------
    ValueError
        If the path doesn't end in .png.

    Example
    -------
    >>> path = getfixture("tmp_path") / "figures" / "scores.png"
    >>> save_figure(plot_scores([0.8, 0.1], [1, 0], 0.45), path)
    >>> path.is_file()
    True
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(
            f"the picture's path is {path}, expected a name ending in .png: "
            "rename it, other formats are not written"
        )
    for text in figure.findobj(Text):
        text.set_fontfamily(fonts_for(text.get_text()))
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150)
    with whole_file(path) as partial:
        # Not by Pillow, which does not say that a disk is full.
        partial.write_bytes(picture.getvalue())


def dress(axes: Axes) -> None:
    """Give axes the look of all pictures: a faint grid, two open sides.

    Arguments
    ---------
    axes : Axes
    """
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def legend_below(
    figure: Figure, handles: Sequence, names: Sequence[str] | None = None
) -> None:
    """Put the legend below the axes: inside it may hide what it explains.

    Arguments
    ---------
    figure : Figure
    handles : Sequence
        Artists, or tuples of artists that are shown as one.
    names : Sequence[str]
        Theirs; the artists' own labels without.
    """
    names = names or [handle.get_label() for handle in handles]
    # Two long names do not fit side by side.
    columns = 2 if max(map(len, names)) < 36 else 1
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        handlelength=3,
    )
