"""Features of borders, peaks, and the model that weighs them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speechbrain_siamese.processing.changes import (
    RECALLS,
    ChangeModel,
    border_features,
    change_peaks,
    fit_change_model,
    threshold_for,
)

HOP = 0.01
FRAMES = 1600


def images(change=700):
    """Two spectra, one behind the other, in noise."""
    rng = np.random.default_rng(0)
    bins = np.arange(40)
    first, second = np.sin(bins / 4), np.cos(bins / 9)
    found = rng.normal(0, 0.3, (FRAMES, 40))
    found[:change] += 2 * first
    found[change:] += 2 * second
    return torch.from_numpy(found.astype(np.float32))


def mean_spectrum(windows):
    return torch.nn.functional.normalize(windows.mean(dim=1), dim=-1)


def features_of(frames, places=None):
    places = np.arange(len(frames)) if places is None else places
    return border_features(frames, places, mean_spectrum, HOP)


def test_borders_are_where_both_sides_hold_a_window():
    borders, features = features_of(images())
    assert borders[0] == 100
    assert borders[-1] <= FRAMES - 100
    assert (np.diff(borders) == 10).all()
    assert len(features) == len(borders)
    assert np.isfinite(features).all()


def test_distances_are_largest_at_the_change():
    borders, features = features_of(images(700))
    # Of each scale: by voice, smoothed, by spectrum, smoothed.
    for column in range(8):
        assert abs(borders[features[:, column].argmax()] - 700) <= 20


def test_pauses_are_seen_where_they_are():
    places = np.arange(FRAMES)
    places[400:] += 30
    places[900:] += 500
    borders, features = features_of(images(), places)
    pauses = features[:, 8]
    assert pauses[abs(borders - 400) <= 20].min() == pytest.approx(0.6)
    assert pauses[abs(borders - 900) <= 20].min() == 1.0
    assert pauses[abs(borders - 650) <= 100].max() == 0.0


@pytest.mark.parametrize("frames", [0, 150, 199, 201, 399, 401])
def test_short_recordings(frames):
    borders, features = features_of(images()[:frames])
    assert (len(borders) > 0) is (frames >= 200)
    assert len(features) == len(borders)
    if len(borders):
        assert features.shape[1] == 10


def test_peaks_keep_their_distance():
    values = np.zeros(100)
    values[[20, 23, 60]] = [0.9, 1.0, 0.5]
    positions, heights = change_peaks(values, 0.1, width=0.01, gap=1.0)
    high = positions[heights > 0.1]
    assert high.tolist() == [23, 60]


def test_no_values_no_peaks():
    positions, heights = change_peaks(np.zeros(0), 0.1)
    assert len(positions) == len(heights) == 0


def test_threshold_is_the_best_of_all_by_trying():
    rng = np.random.default_rng(0)
    truth = np.arange(5.0, 400.0, 5.0)
    good = truth[::2] + rng.uniform(-0.3, 0.3, len(truth[::2]))
    bad = rng.uniform(0, 400, 60)
    times = np.concatenate([good, bad])
    heights = np.concatenate(
        [rng.normal(1, 0.5, len(good)), rng.normal(0, 0.5, len(bad))]
    )
    order = np.argsort(times)
    times, heights = times[order], heights[order]

    def f1(limit):
        own = times[heights > limit]
        near = np.abs(own[:, None] - truth[None]) <= 0.5
        # Changes are 5 s apart: no border is near two of them.
        hit = near.any(axis=0).sum()
        return 2 * hit / (len(own) + len(truth))

    best = max(f1(limit) for limit in [*heights - 1e-9, heights.min() - 1])
    assert f1(threshold_for(times, heights, truth)) == pytest.approx(best)
    for recall in (0.2, 0.4):
        limit = threshold_for(times, heights, truth, recall)
        own = times[heights > limit]
        near = np.abs(own[:, None] - truth[None]) <= 0.5
        assert near.any(axis=0).sum() >= recall * len(truth)
        # The next higher peak would be one too few.
        fewer = times[heights > np.min(heights[heights > limit])]
        near = np.abs(fewer[:, None] - truth[None]) <= 0.5
        assert near.any(axis=0).mean() <= recall + 1 / len(truth)


def test_a_recall_that_no_threshold_reaches_takes_every_peak():
    limit = threshold_for(
        np.array([1.0]), np.array([0.3]), np.array([1.0, 9.0]), recall=0.9
    )
    assert limit < 0.3


def test_thresholds_need_peaks_and_changes():
    for times, truth in (([], [1.0]), ([1.0], [])):
        with pytest.raises(ValueError, match="recordings that have both"):
            threshold_for(np.array(times), np.array(times), np.array(truth))


def known_recording(seed):
    """Features of which one tells changes, and one is noise."""
    rng = np.random.default_rng(seed)
    times = np.arange(0, 300, 0.1)
    truth = np.arange(4.0, 296.0, 6.0)
    near = np.exp(-((times[:, None] - truth[None]) ** 2) / 0.1).max(axis=1)
    features = np.stack(
        [
            5 * near + rng.normal(0, 1, len(times)),
            rng.normal(7, 100, len(times)),
        ],
        axis=1,
    )
    return features, times, truth


def test_the_model_finds_what_tells_changes():
    model = fit_change_model(*known_recording(0))
    features, times, truth = known_recording(1)
    positions, heights = change_peaks(model.logits(features), 0.1)
    found = times[positions[heights > model.threshold]]
    assert len(found) == pytest.approx(len(truth), abs=3)
    assert (np.abs(found[:, None] - truth[None]).min(axis=0) < 0.5).mean() > 0.9
    # A feature's scale does not matter.
    assert abs(model.weights[0]) > 50 * abs(model.weights[1])


def test_more_recall_has_a_lower_threshold():
    model = fit_change_model(*known_recording(0))
    assert model.thresholds == sorted(model.thresholds, reverse=True)
    assert model.threshold_at(None) == model.threshold
    assert model.threshold_at(0.9) == model.thresholds[RECALLS.index(0.9)]
    low, high = model.threshold_at(0.85), model.threshold_at(0.8)
    assert model.thresholds[RECALLS.index(0.9)] <= low <= high
    for recall in (0.4, 1.0, "all"):
        with pytest.raises(ValueError, match="recall is"):
            model.threshold_at(recall)


def test_a_recording_without_changes_teaches_nothing():
    features, times, _ = known_recording(0)
    with pytest.raises(ValueError, match="several turns"):
        fit_change_model(features, times, [])


def test_logits_are_a_weighted_sum():
    model = ChangeModel([2.0, -1.0, 0.5], 0.0, [0.0] * len(RECALLS))
    found = model.logits(np.array([[1.0, 3.0], [0.0, 0.0]]))
    assert found.tolist() == [-0.5, 0.5]
