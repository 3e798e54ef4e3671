"""Calibration and clip length: what the pictures show."""

from __future__ import annotations

import numpy as np
import pytest

from speechbrain_siamese.evaluation.slice_plots import (
    plot_lengths,
    plot_reliability,
)
from speechbrain_siamese.utils.calibration import reliability
from speechbrain_siamese.utils.plots import save_figure


def row(name, seconds, eer, interval=None):
    return {
        "name": name,
        "seconds": seconds,
        "eer": eer,
        "eer_interval": interval,
    }


ROWS = [
    row("ours", 10, 0.05, [0.04, 0.08]),
    row("ours", 1, 0.2, [0.15, 0.22]),
    row("ours", 2.5, 0.1),
]


def test_reliability_shows_each_bin_in_percent_with_its_weight_as_area():
    generator = np.random.default_rng(0)
    labels = generator.integers(2, size=500)
    before = generator.random(500)
    after = np.clip(0.5 * labels + 0.5 * before, 0, 1)
    rows = [reliability(before, labels), reliability(after, labels)]
    figure = plot_reliability(*rows)
    axes = figure.axes[0]
    for drawn, line, own in zip(
        axes.collections, axes.lines[1:], rows, strict=True
    ):
        places = [[100 * r["promised"], 100 * r["found"]] for r in own]
        np.testing.assert_allclose(drawn.get_offsets(), places)
        np.testing.assert_allclose(line.get_xydata(), places)
        areas = drawn.get_sizes() / [r["weight"] for r in own]
        np.testing.assert_allclose(areas, areas[0])
    # The diagonal.
    np.testing.assert_array_equal(
        axes.lines[0].get_xydata(), [[0, 0], [100, 100]]
    )
    before, after = axes.lines[1:]
    assert before.get_linestyle() != after.get_linestyle()
    assert "(percent)" in axes.get_xlabel()
    assert "(percent)" in axes.get_ylabel()


def test_a_bin_of_almost_no_weight_is_still_seen():
    rare = {"promised": 0.5, "found": 0.4, "weight": 1e-6, "trials": 1}
    axes = plot_reliability([rare], [rare]).axes[0]
    assert all(drawn.get_sizes() > 5 for drawn in axes.collections)


def test_one_system_has_its_rates_at_its_lengths_with_interval_bars():
    axes = plot_lengths(ROWS).axes[0]
    (bars,) = axes.containers
    line, _, (stems,) = bars
    np.testing.assert_allclose(line.get_xydata(), [[1, 20], [2.5, 10], [10, 5]])
    # The second length has no interval: a stem without ends.
    first, nothing, last = stems.get_segments()
    np.testing.assert_allclose(first[:, 1], [15, 22])
    np.testing.assert_allclose(last[:, 1], [4, 8])
    assert not len(nothing)
    assert axes.get_xscale() == "log"
    assert axes.get_xticks().tolist() == [1, 2.5, 10]
    names = [text.get_text() for text in axes.get_xticklabels()]
    assert names == ["1", "2.5", "10"]
    assert not axes.get_xticks(minor=True).size
    assert axes.get_ylim()[0] == 0


def test_systems_stand_side_by_side_and_differ_without_colour():
    rows = [row(name, r["seconds"], r["eer"]) for name in "abc" for r in ROWS]
    axes = plot_lengths(rows).axes[0]
    lines = [container[0] for container in axes.containers]
    assert [container.get_label() for container in axes.containers] == [*"abc"]
    assert len({line.get_linestyle() for line in lines}) == 3
    assert len({line.get_marker() for line in lines}) == 3
    places = np.array([line.get_xydata()[:, 0] for line in lines])
    assert (np.diff(places, axis=0) > 0).all()
    np.testing.assert_allclose(places, [[1, 2.5, 10]] * 3, rtol=0.1)
    assert axes.get_xticks().tolist() == [1, 2.5, 10]


def test_a_bar_never_points_the_wrong_way():
    # The interval lies above its estimate.
    axes = plot_lengths([row("ours", 2, 0.1, [0.12, 0.2])]).axes[0]
    (stem,) = axes.containers[0][2][0].get_segments()
    np.testing.assert_allclose(stem[:, 1], [10, 20])


def test_what_was_not_measured_is_left_out():
    axes = plot_lengths([*ROWS, row("ours", 60, None)]).axes[0]
    assert axes.get_xticks().tolist() == [1, 2.5, 10]


@pytest.mark.filterwarnings("error")
def test_pictures_are_written_as_png(tmp_path):
    bins = reliability([0.9, 0.4, 0.1], [1, 1, 0])
    for number, figure in enumerate(
        (plot_lengths(ROWS), plot_lengths(ROWS[:1]), plot_reliability(bins, []))
    ):
        path = tmp_path / f"{number}.png"
        save_figure(figure, path)
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "rows", [[], [row("ours", 1, None)], [row("ours", 0, 0.1)]]
)
def test_rows_that_cannot_be_drawn_are_named(rows):
    with pytest.raises(ValueError, match="expected at least one with an EER"):
        plot_lengths(rows)
