"""Speaker by speaker, and speakers in a plane: what the pictures show."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from speechbrain_siamese.evaluation.confusion import Confusion, most_confused
from speechbrain_siamese.evaluation.speaker_plots import (
    plot_confusion,
    plot_embeddings,
)
from speechbrain_siamese.utils.plots import save_figure


def made(speakers, seed=0, empty=0.2):
    """A made-up confusion, some cells of which have no trial."""
    generator = np.random.default_rng(seed)
    shares = np.triu(generator.random((speakers,) * 2) ** 4, 1)
    trials = np.triu(generator.integers(1, 9, (speakers,) * 2))
    trials[generator.random(trials.shape) < empty] = 0
    shares, trials = shares + shares.T, trials + np.triu(trials, 1).T
    np.fill_diagonal(shares, 0.9)
    shares[trials == 0] = np.nan
    names = tuple(f"id{n:03d}" for n in range(speakers))
    return Confusion(names, shares, trials)


def names_on(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


@pytest.mark.parametrize("speakers", [2, 12, 30])
def test_cells_are_percent_and_blank_over_hatches_without_trials(speakers):
    found = made(speakers, empty=0.3)
    axes = plot_confusion(found).axes[0]
    (image,) = axes.images
    shown = image.get_array()
    np.testing.assert_array_equal(shown.mask, found.trials == 0)
    np.testing.assert_allclose(
        shown.filled(np.nan), 100 * found.accepted, atol=1e-9
    )
    assert axes.patch.get_hatch()
    assert names_on(axes.xaxis) == names_on(axes.yaxis) == [*found.speakers]
    assert not axes.get_title()


def test_cells_get_darker_with_each_percent_in_grey_too():
    (image,) = plot_confusion(made(3)).axes[0].images
    colours = image.cmap(image.norm(np.linspace(0, 100, 101)))[:, :3]
    grey = colours @ [0.299, 0.587, 0.114]
    assert (np.diff(grey) < 0).all()


def test_few_speakers_have_the_numbers_in_the_cells():
    found = made(6)
    axes = plot_confusion(found).axes[0]
    written = {
        (round(text.get_position()[1]), round(text.get_position()[0])): (
            text.get_text()
        )
        for text in axes.texts
    }
    assert written == {
        (row, column): f"{100 * found.accepted[row, column]:.0f}"
        for row, column in zip(*np.nonzero(found.trials), strict=True)
    }


def test_of_a_hundred_speakers_those_in_the_most_confused_pairs():
    found = made(100, empty=0.5)
    axes = plot_confusion(found).axes[0]
    shown = names_on(axes.yaxis)
    assert len(shown) == 30
    assert shown == sorted(shown)
    assert axes.get_title().startswith("30 of 100 speakers")
    # Everybody of the worst pairs, as far as thirty reach.
    wanted = set()
    for one, other, *_ in most_confused(found, 5000):
        if len(wanted | {one, other}) > 30:
            break
        wanted |= {one, other}
    assert len(wanted) >= 29
    assert wanted <= set(shown)
    rows = [found.speakers.index(name) for name in shown]
    np.testing.assert_allclose(
        axes.images[0].get_array().filled(np.nan),
        100 * found.accepted[np.ix_(rows, rows)],
    )


def cloud(speakers, each, spread=8.0, seed=0):
    generator = np.random.default_rng(seed)
    names = np.repeat([f"speaker{n:03d}" for n in range(speakers)], each)
    centres = generator.normal(0, spread, (speakers, 2)).repeat(each, axis=0)
    return centres + generator.normal(size=centres.shape), names


def test_each_speaker_has_its_points_look_and_name():
    points, names = cloud(40, 5)
    order = np.random.default_rng(1).permutation(len(names))
    points, names = points[order], names[order]
    axes = plot_embeddings(points, names).axes[0]
    looks = set()
    for drawn in axes.collections:
        own = names == drawn.get_label()
        np.testing.assert_allclose(drawn.get_offsets(), points[own])
        shape = drawn.get_paths()[0].vertices.round(6).tobytes()
        looks.add((to_hex(drawn.get_facecolor()[0]), shape))
    assert len(looks) == 40
    for text in axes.texts:
        centre = np.median(points[names == text.get_text()], axis=0)
        assert text.xy == pytest.approx(tuple(centre))
    assert {text.get_text() for text in axes.texts} == {*names}


def test_names_do_not_hide_each_other():
    figure = plot_embeddings(*cloud(25, 5, spread=20))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [
        text.get_window_extent(canvas.get_renderer())
        for text in figure.axes[0].texts
    ]
    hidden = [
        (one, other)
        for k, one in enumerate(boxes)
        for other in boxes[:k]
        if one.overlaps(other)
    ]
    assert not hidden


def test_of_a_hundred_speakers_those_with_most_utterances():
    points, names = cloud(100, 3)
    kept = np.ones(len(names), bool)
    kept[::3] = np.arange(100) >= 60  # 60 of them lose one
    axes = plot_embeddings(points[kept], names[kept]).axes[0]
    shown = {text.get_text() for text in axes.texts}
    assert shown == {f"speaker{n:03d}" for n in range(60, 100)}
    assert axes.get_title().startswith("40 of 100 speakers")


@pytest.mark.filterwarnings("error")
def test_pictures_are_written_as_png(tmp_path):
    pictures = [
        plot_confusion(made(4)),
        plot_confusion(made(100)),
        plot_embeddings(*cloud(100, 2)),
        plot_embeddings([[1.0, 2.0]], ["alone"]),
        plot_embeddings(np.zeros((6, 2)), [*"aabbcc"]),
    ]
    for number, figure in enumerate(pictures):
        path = tmp_path / f"{number}.png"
        save_figure(figure, path)
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("points", "speakers"),
    [(np.zeros((2, 3)), "ab"), (np.zeros((2, 2)), "abc"), ([], "")],
)
def test_points_without_their_speakers_are_named(points, speakers):
    with pytest.raises(ValueError, match="one id an utterance"):
        plot_embeddings(points, [*speakers])
