"""What the pictures show, and how their files appear."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.image import imread

from speechbrain_siamese.utils.plots import (
    COLOURS,
    LINES,
    MARKERS,
    plot_distances,
    plot_scores,
    save_figure,
)

OKABE_ITO = {
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#f0e442",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
}
SCORES = np.array([0.9, 0.8, 0.5, 0.3, 0.1])
LABELS = np.array([1, 1, 0, 0, 0])


def epoch(number, train=(1.0, 3.0), valid=(1.5, 2.5)):
    """One row of a history; pairs are (similar, dissimilar)."""
    return {
        "epoch": number,
        "train_distance_similar": train[0],
        "train_distance_dissimilar": train[1],
        "valid_distance_similar": valid[0],
        "valid_distance_dissimilar": valid[1],
    }


def axes_of(figure):
    """The only axes of a figure."""
    (axes,) = figure.axes
    return axes


def test_pictures_are_png_at_150_dpi_and_nothing_else_is_left(tmp_path):
    folder = tmp_path / "run" / "plots"
    save_figure(plot_distances([epoch(1), epoch(2)]), folder / "distances.png")
    save_figure(
        plot_scores(SCORES, LABELS, 0.65, "Test"), str(folder / "scores.png")
    )
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["distances.png", "scores.png"]
    for name in names:
        picture = imread(folder / name)
        # 6.4 by 4.2 inches
        assert picture.shape[:2] == (630, 960)
        assert picture.std() > 0.05


def test_curves_hold_the_history():
    history = [epoch(1), epoch(2, (0.8, 3.5), (1.4, 2.9))]
    axes = axes_of(plot_distances(history))
    curves = {line.get_label(): line for line in axes.lines}
    for name, key in (
        ("similar, train", "train_distance_similar"),
        ("dissimilar, train", "train_distance_dissimilar"),
        ("similar, valid", "valid_distance_similar"),
        ("dissimilar, valid", "valid_distance_dissimilar"),
    ):
        curve = curves.pop(name)
        assert curve.get_xdata().tolist() == [1, 2]
        assert curve.get_ydata().tolist() == [row[key] for row in history]
        assert curve.get_linestyle() == ("--" if "train" in name else "-")
    assert not curves


def test_curves_differ_without_colour_and_for_the_colour_blind():
    axes = axes_of(plot_distances([epoch(1), epoch(2)]))
    lines = axes.lines
    assert {to_hex(line.get_color()) for line in lines} < OKABE_ITO
    looks = {(line.get_linestyle(), line.get_marker()) for line in lines}
    assert len(looks) == 4


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_missing_distances_are_left_out_and_bridged(nothing):
    history = [epoch(n) for n in (1, 2, 3)]
    history[1]["valid_distance_similar"] = nothing
    for row in history:
        row["valid_distance_dissimilar"] = nothing
    axes = axes_of(plot_distances(history))
    curves = {line.get_label(): line for line in axes.lines}
    assert "dissimilar, valid" not in curves
    assert curves["similar, valid"].get_xdata().tolist() == [1, 3]


@pytest.mark.filterwarnings("error")
def test_history_without_any_distance_is_an_empty_picture(tmp_path):
    nothing = (None, None)
    figure = plot_distances([epoch(1, nothing, nothing)])
    save_figure(figure, tmp_path / "a.png")
    assert not axes_of(figure).lines


def test_first_epoch_alone_is_inside_the_picture():
    axes = axes_of(plot_distances([epoch(1)]))
    bottom, top = axes.get_ylim()
    assert bottom == 0
    # The highest marker is clear of the upper edge.
    assert top > 1.05 * 3.0
    left, right = axes.get_xlim()
    ticks = axes.get_xticks()
    assert [t for t in ticks if left <= t <= right] == [1]


def test_histograms_have_area_one_and_common_edges():
    axes = axes_of(plot_scores(SCORES, LABELS, 0.65))
    outlines = [patch.get_xy() for patch in axes.patches]
    assert len(outlines) == 2
    for outline in outlines:
        x, y = outline.T
        area = abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2
        assert area == pytest.approx(1)
    # Edges 0.1, 0.18, … 0.9: ten bins over all scores.
    edges = np.unique(np.concatenate(outlines)[:, 0].round(9))
    assert edges == pytest.approx(np.linspace(0.1, 0.9, 11))


def test_histograms_differ_without_colour_and_for_the_colour_blind():
    axes = axes_of(plot_scores(SCORES, LABELS, 0.65))
    patches = axes.patches
    assert {to_hex(patch.get_edgecolor()) for patch in patches} < OKABE_ITO
    assert len({patch.get_hatch() for patch in patches} - {None}) == 2


def test_threshold_is_a_line_with_its_value():
    axes = axes_of(plot_scores(SCORES, LABELS, 0.65, title="Test set"))
    (line,) = axes.lines
    assert list(line.get_xdata()) == [0.65, 0.65]
    assert "0.650" in line.get_label()
    assert axes.get_title() == "Test set"


def test_axes_say_what_they_show_and_in_which_unit():
    pictures = [
        plot_distances([epoch(1)]),
        plot_scores(SCORES, LABELS, 0.65),
        plot_scores(9 * SCORES, LABELS, 0.65, kind=None),
    ]
    labels = [
        (axes.get_xlabel(), axes.get_ylabel())
        for axes in map(axes_of, pictures)
    ]
    assert all("(" in text for pair in labels for text in pair)
    assert "cosine" in labels[1][0]
    assert labels[2][0] == "score (no unit)"


def test_looks_repeat_late_even_without_colour():
    looks = [
        (LINES[n % len(LINES)], MARKERS[n % len(MARKERS)]) for n in range(40)
    ]
    assert len(set(looks)) == 40
    points = [
        (COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)])
        for n in range(40)
    ]
    assert len(set(points)) == 40
    assert {colour.lower() for colour in COLOURS} <= OKABE_ITO | {"#000000"}


def test_failed_save_keeps_the_old_picture_whole(tmp_path, little_room):
    path = tmp_path / "scores.png"
    save_figure(plot_scores(SCORES, LABELS, 0.65), path)
    before = path.read_bytes()
    figure = plot_scores(SCORES, LABELS, 0.1)
    with (
        little_room(len(before) // 2),
        pytest.raises(OSError, match="too large"),
    ):
        save_figure(figure, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_other_formats_are_refused_before_anything_is_made(tmp_path):
    figure = plot_scores(SCORES, LABELS, 0.65)
    with pytest.raises(ValueError, match=r"a\.pdf.*\.png"):
        save_figure(figure, tmp_path / "figures" / "a.pdf")
    assert not list(tmp_path.iterdir())


def test_plotting_leaves_pyplot_alone(tmp_path):
    script = (
        "import sys; from speechbrain_siamese.evaluation import "
        "error_curves, slice_plots, speaker_plots;"
        "from speechbrain_siamese.utils import plots;"
        "figure = plots.plot_scores([0.9, 0.1], [1, 0], 0.5);"
        "plots.save_figure(figure, sys.argv[1]);"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    run = [sys.executable, "-c", script, str(tmp_path / "a.png")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(run, check=True, env=environment)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot_distances([]), "no epoch"),
        (
            lambda: plot_distances([{"epoch": 1}]),
            "lacks .*train_distance_similar",
        ),
        (lambda: plot_scores([0.1], [1], 0.5), "label 1"),
        (lambda: plot_scores(SCORES, LABELS, np.nan), "threshold is nan"),
    ],
)
def test_unusable_input_is_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
