"""Settings out of their range are named with what was found and expected."""

from __future__ import annotations

import pytest
from speechbrain.augment.augmenter import Augmenter
from speechbrain.augment.time_domain import SpeedPerturb

from speechbrain_siamese.nnet.losses import ContrastiveLoss
from speechbrain_siamese.utils.settings import (
    check_augmenters,
    check_limits,
    check_losses,
    check_ranges,
    check_speeds,
    check_teacher,
    check_unlabelled,
)

#: All that a training needs; batches of speakers.
GOOD = {
    "number_of_epochs": 1,
    "n_jobs": -1,
    "num_workers": 0,
    "eval_batch_size": 16,
    "window_len": 2.0,
    "pair_weight": 1.0,
    "classifier_weight": 0,
    "lr": 0.001,
    "speakers_per_batch": 2,
    "clips_per_speaker": 2,
}


def with_pairs(embeddings, labels, pairs):
    """As losses of pytorch-metric-learning are called."""


def test_settings_in_their_range_pass():
    check_ranges(GOOD)
    check_limits(1, 0.5)
    check_limits(None, None)
    check_losses(ContrastiveLoss(1.2), None, None, (1.0, 0, 0.0))
    check_losses(with_pairs, with_pairs, with_pairs, (0, 1.0, 0))
    check_losses(with_pairs, None, None, (0, 0, 1.0))
    check_speeds([95, 100])
    check_speeds([95, 100], SpeedPerturb(orig_freq=16000, speeds=[95, 100]))
    check_augmenters({"wav_augment": None, "fea_augment": Augmenter()})
    check_teacher(1.0, 4.0, 4.0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("number_of_epochs", 0),
        ("n_jobs", 0),
        ("eval_batch_size", 1.5),
        ("window_len", 61),
        ("classifier_weight", -1),
        ("lr", "0.001"),
        ("clips_per_speaker", 1),
        ("pairs_per_batch", 0),
    ],
)
def test_a_number_out_of_range_is_named(key, value):
    with pytest.raises(ValueError, match=rf"^{key} is {value!r}, expected"):
        check_ranges({**GOOD, key: value})


@pytest.mark.parametrize(
    ("steps", "minutes", "words"),
    [
        (0, None, "steps_per_epoch is 0"),
        (1.5, None, "steps_per_epoch is 1.5, expected a whole number"),
        (None, 0, "max_minutes is 0, expected a number from 0.01"),
    ],
)
def test_limits_out_of_range_are_named(steps, minutes, words):
    with pytest.raises(ValueError, match=words):
        check_limits(steps, minutes)


@pytest.mark.parametrize(
    ("miner", "classifier_cost", "weights", "words"),
    [
        (None, with_pairs, (0.0, 0, 0.0), "nothing to learn from"),
        (None, None, (0.0, 1.0, 0.0), "classifier_weight is 1.0, but"),
        (
            with_pairs,
            None,
            (1.0, 0.0, 0.0),
            "a ContrastiveLoss, takes every pair",
        ),
    ],
)
def test_losses_that_do_not_fit_are_refused(
    miner, classifier_cost, weights, words
):
    with pytest.raises(ValueError, match=words):
        check_losses(ContrastiveLoss(1.2), miner, classifier_cost, weights)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("concat_original", True),
        ("parallel_augment", True),
        ("repeat_augment", 2),
    ],
)
def test_an_augmenter_that_adds_clips_is_refused(setting, value):
    augmenter = Augmenter(**{setting: value})
    with pytest.raises(
        ValueError, match=f"^wav_augment has {setting}: {value}"
    ):
        check_augmenters({"wav_augment": augmenter})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((0, 4, 2), "teacher_weight is 0"),
        ((1, 0.1, 0.1), "teacher_window is 0.1"),
        ((1, 4, 5), "teacher_hop is 5, expected a number from 0.1 to 4 s"),
    ],
)
def test_a_teacher_that_hears_nothing_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        check_teacher(*settings)


def test_a_speed_beyond_the_windows_is_refused():
    faster = SpeedPerturb(orig_freq=16000, speeds=[95, 110])
    with pytest.raises(ValueError, match="speed of 110 %, more than any"):
        check_speeds([95, 105], faster)


def test_speeds_that_make_other_speakers_must_hold_their_own():
    perturb = SpeedPerturb(orig_freq=16000, speeds=[90, 110])
    with pytest.raises(ValueError, match=r"and 100 \(the speakers"):
        check_speeds([90, 110], perturb, voices=True)
    with pytest.raises(ValueError, match="expected the same"):
        check_speeds([100, 110], perturb, voices=True)
    with pytest.raises(ValueError, match="expected the same"):
        check_speeds([90, 100], None, voices=True)
    perturb = SpeedPerturb(orig_freq=16000, speeds=[90, 100])
    check_speeds([90, 100], perturb, voices=True)


@pytest.mark.parametrize("speeds", [[], [100, 201], ["fast"]])
def test_speeds_of_another_voice_are_refused(speeds):
    with pytest.raises(ValueError, match=r"^speeds is"):
        check_speeds(speeds)
    with pytest.raises(ValueError, match=r"^statistics_speeds is"):
        check_speeds([100], statistics=speeds)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((0, "teacher", False), "unlabelled_per_batch is 0"),
        ((8, None, False), "teacher is null.*name a teacher"),
        ((8, "teacher", True), "shards hold the speakers' recordings alone"),
    ],
)
def test_unlabelled_speech_that_nothing_hears_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        check_unlabelled(*settings)
