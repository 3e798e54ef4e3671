"""DET and ROC: what is drawn, against an independent count."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from matplotlib.colors import to_hex

from speechbrain_siamese.evaluation.error_curves import (
    BAND_RATES,
    error_curve,
    plot_det,
    plot_roc,
)
from speechbrain_siamese.utils.intervals import bootstrap_band
from speechbrain_siamese.utils.metrics import eer
from speechbrain_siamese.utils.plots import save_figure

PERFECT = ([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0])


def speaker_trials(seed, gap=0.4, count=600, speakers=12):
    generator = np.random.default_rng(seed)
    enrol = generator.integers(speakers, size=count)
    others = generator.integers(speakers, size=count)
    test = np.where(generator.random(count) < 0.4, enrol, others)
    labels = (enrol == test).astype(int)
    return gap * labels + generator.normal(0, 0.2, count), labels, enrol, test


def counted(scores, labels):
    """FAR and FRR of every threshold, by counting."""
    return {
        (
            (scores[labels == 0] >= threshold).mean(),
            (scores[labels == 1] < threshold).mean(),
        )
        for threshold in [np.inf, *scores]
    }


def lines_of(axes, markers=False):
    """Lines of data: the curves, or the points of equal error."""
    return [
        line
        for line in axes.lines
        if (line.get_linestyle() == "None") == markers
        and len(line.get_xdata()) != 2
    ]


def test_det_is_counted_rates_in_normal_deviates():
    scores, labels, *_ = speaker_trials(0, gap=0.2, count=80)
    (axes,) = plot_det([error_curve("a", scores, labels)]).axes
    (curve,) = lines_of(axes)
    deviate = NormalDist().inv_cdf
    expected = {
        tuple(deviate(min(max(rate, 1e-9), 1 - 1e-9)) for rate in point)
        for point in counted(scores, labels)
    }
    drawn = curve.get_xydata()
    # Corners are drawn; what lies between two of them is on the line.
    nearest = [
        np.abs(np.array([*expected]) - point).max(axis=1).min()
        for point in drawn
    ]
    assert max(nearest) < 1e-6
    for point in expected:
        assert (np.abs(drawn - point) < 1e-6).any(axis=1).any()


def test_roc_is_counted_rates_in_percent():
    scores, labels, *_ = speaker_trials(0, gap=0.2, count=80)
    axes = plot_roc([error_curve("a", scores, labels)]).axes[0]
    (curve,) = lines_of(axes)
    points = {
        (round(100 * far, 6), round(100 - 100 * frr, 6))
        for far, frr in counted(scores, labels)
    }
    drawn = {tuple(point) for point in curve.get_xydata().round(6)}
    assert drawn <= points
    # The area says that nothing but straight lines was left out.
    ordered = np.array(sorted(points))
    assert np.trapezoid(*curve.get_xydata().T[::-1]) == pytest.approx(
        np.trapezoid(ordered[:, 1], ordered[:, 0])
    )


def test_points_of_equal_error_and_their_names():
    curves, rates = [], []
    for number, gap in enumerate((0.5, 0.3)):
        scores, labels, *_ = speaker_trials(number, gap)
        curves.append(error_curve(f"system {number}", scores, labels))
        rates.append(eer(scores, labels)[0])
    det, roc = plot_det(curves), plot_roc(curves)
    for number, rate in enumerate(rates):
        point = lines_of(det.axes[0], markers=True)[number].get_xydata()[0]
        assert point == pytest.approx([NormalDist().inv_cdf(rate)] * 2)
        point = lines_of(roc.axes[0], markers=True)[number].get_xydata()[0]
        assert point == pytest.approx([100 * rate, 100 - 100 * rate])
        for figure in (det, roc):
            text = figure.legends[0].get_texts()[number].get_text()
            assert text == f"system {number}: EER {100 * rate:.1f} %"


def test_band_of_the_first_system_alone_is_that_of_resampled_speakers():
    trials = [speaker_trials(seed) for seed in (0, 1)]
    curves = [
        error_curve(f"system {n}", *some[:2], speakers=some[2:])
        for n, some in enumerate(trials)
    ]
    low, high = bootstrap_band(*trials[0], BAND_RATES)
    (shade,) = plot_roc(curves).axes[0].collections
    corners = {tuple(p) for p in shade.get_paths()[0].vertices.round(6)}
    for rates in (low, high):
        points = np.stack([100 * BAND_RATES, 100 - 100 * rates], axis=1)
        assert {tuple(point) for point in points.round(6)} <= corners
    figure = plot_det(curves)
    assert len(figure.axes[0].collections) == 1
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[-1] == "95 % interval of system 0"
    assert len(names) == 3


def test_no_band_without_speakers():
    curve = error_curve("a", *PERFECT)
    assert curve.band is None
    assert not plot_det([curve]).axes[0].collections


def test_ticks_of_the_det_are_percent_at_their_deviates():
    scores, labels, *_ = speaker_trials(0, count=4000)
    (axes,) = plot_det([error_curve("a", scores, labels)]).axes
    for axis in (axes.xaxis, axes.yaxis):
        names = [text.get_text() for text in axis.get_ticklabels()]
        assert {"0.1", "0.5", "1", "2", "5", "10", "20", "40"} <= {*names}
        deviates = [NormalDist().inv_cdf(float(n) / 100) for n in names]
        assert axis.get_ticklocs() == pytest.approx(deviates)
        assert "(percent)" in axis.get_label().get_text()


def test_eight_systems_differ_without_colour():
    curves = [
        error_curve(f"system {n}", *speaker_trials(n)[:2]) for n in range(8)
    ]
    (axes,) = plot_det(curves).axes
    lines, points = lines_of(axes), lines_of(axes, markers=True)
    assert len({line._unscaled_dash_pattern for line in lines} | {None}) > 7
    assert len({point.get_marker() for point in points}) == 8
    assert len({to_hex(line.get_color()) for line in lines}) == 7


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("draw", [plot_det, plot_roc])
@pytest.mark.parametrize(
    "trials",
    [
        PERFECT,
        ([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0]),  # all wrong
        ([0.5, 0.5], [1, 0]),  # all equal
        ([0.9, 0.1], [1, 0]),
    ],
)
def test_extreme_and_few_trials_are_written_as_png(tmp_path, draw, trials):
    figure = draw([error_curve("a", *trials)])
    save_figure(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    (point,) = lines_of(figure.axes[0], markers=True)
    (x, y) = point.get_xydata()[0]
    left, right = figure.axes[0].get_xlim()
    bottom, top = figure.axes[0].get_ylim()
    assert left <= x <= right
    assert bottom <= y <= top


def test_every_point_of_equal_error_is_inside_the_det():
    for gap in (0, 0.1, 0.3, 1.0, 1.5):
        scores, labels, *_ = speaker_trials(0, gap, count=5000)
        (axes,) = plot_det([error_curve("a", scores, labels)]).axes
        (point,) = lines_of(axes, markers=True)
        deviate = NormalDist().inv_cdf(eer(scores, labels)[0] or 1e-9)
        left, right = axes.get_xlim()
        assert point.get_xdata()[0] == pytest.approx(max(left, deviate))
        assert right > deviate


def test_corner_of_the_roc_is_enlarged_for_good_systems_only():
    good, poor = (
        error_curve("a", *speaker_trials(0, gap)[:2]) for gap in (0.6, 0.2)
    )
    corner = plot_roc([good]).axes[0].child_axes[0]
    assert good.eer < 0.15 < poor.eer
    (curve,) = lines_of(corner)
    np.testing.assert_allclose(curve.get_xdata(), 100 * good.far)
    left, right = corner.get_xlim()
    assert left < 100 * good.eer < right < 40
    assert not plot_roc([good, poor]).axes[0].child_axes


@pytest.mark.parametrize("draw", [plot_det, plot_roc])
def test_nothing_to_draw_is_named(draw):
    with pytest.raises(ValueError, match="error_curve"):
        draw([])
