"""Figures of an epoch reach the history, the loggers and the pictures."""

from __future__ import annotations

import math

import matplotlib.image
import numpy as np
import pytest
import torch

from speechbrain_siamese.nnet.losses import ContrastiveLoss
from speechbrain_siamese.utils.epoch_report import (
    add_distances,
    draw_epoch,
    epoch_figures,
    figures_of,
    log_epoch,
    mean_distances,
    open_tensorboard,
    validation_figures,
)

SCORES = np.array([0.9, 0.6, 0.5, -0.2])
LABELS = np.array([1, 1, 0, 0])


def test_mean_distances_are_those_of_all_batches_together():
    torch.manual_seed(0)
    distances, same = torch.rand(50), torch.rand(50) < 0.3
    sums: dict[str, float] = {}
    for part in (slice(0, 7), slice(7, 50)):
        add_distances(sums, distances[part], same[part])
    means = mean_distances(sums)
    for side, chosen in (("similar", same), ("dissimilar", ~same)):
        expected = float(distances[chosen].mean())
        assert means[f"distance_{side}"] == pytest.approx(expected)


def test_an_epoch_without_pairs_has_no_mean_distance():
    assert all(math.isnan(mean) for mean in mean_distances({}).values())


def test_running_sums_are_numbers_that_a_checkpoint_holds():
    sums: dict[str, float] = {}
    add_distances(sums, torch.ones(3), torch.tensor([True, False, False]))
    assert {type(value) for value in sums.values()} == {int, float}


def test_validation_knows_the_loss_over_the_trials():
    loss = ContrastiveLoss(margin=1.2)
    figures = validation_figures(SCORES, LABELS, loss, "cosine")
    distances = np.sqrt(2 - 2 * SCORES)
    expected = loss.over_pairs(
        torch.from_numpy(distances), torch.from_numpy(LABELS == 1)
    )
    assert figures["loss"] == pytest.approx(float(expected))
    assert figures["eer"] == 0


def test_a_loss_of_another_library_is_left_out_of_validation():
    figures = validation_figures(SCORES, LABELS, torch.nn.L1Loss(), "cosine")
    assert "loss" not in figures
    assert figures["eer"] == 0


def test_both_sides_of_an_epoch_are_told_apart():
    train, valid = {"loss": 0.5}, {"loss": 0.7, "eer": 0.1}
    figures = epoch_figures(3, 0.01, train, valid)
    assert (figures["epoch"], figures["lr"]) == (3, 0.01)
    assert figures_of("train", figures) == train
    assert figures_of("valid", figures) == valid


def test_every_logger_gets_the_figures():
    class Logger:
        def log_stats(self, **stats):
            self.stats = stats

    loggers = [Logger(), Logger()]
    log_epoch(epoch_figures(3, 0.01, {"loss": 1}, {"loss": 2}), loggers)
    for logger in loggers:
        assert logger.stats == {
            "stats_meta": {"epoch": 3, "lr": 0.01},
            "train_stats": {"loss": 1},
            "valid_stats": {"loss": 2},
        }


def test_an_epoch_is_drawn(tmp_path):
    valid = validation_figures(SCORES, LABELS, None, "cosine")
    train = {"distance_similar": 0.5, "distance_dissimilar": 1.0}
    epochs = [epoch_figures(1, 0.01, train, valid)]
    draw_epoch(epochs, SCORES, LABELS, "cosine", tmp_path)
    for name in ("distances.png", "scores_valid.png"):
        assert matplotlib.image.imread(tmp_path / name).std() > 0


def test_a_missing_tensorboard_is_told_with_its_extra():
    def build():
        raise ImportError("no module")

    with pytest.raises(ImportError, match=r"speechbrain-siamese\[tensorboard"):
        open_tensorboard(build)
