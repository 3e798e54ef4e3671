"""Settings out of their range are named with what was found and expected."""

from __future__ import annotations

import pytest

from speechbrain_siamese.utils.settings import (
    check_limits,
    check_ranges,
    check_speeds,
    check_weights,
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


def test_settings_in_their_range_pass():
    check_ranges(GOOD)
    check_limits(1, 0.5)
    check_limits(None, None)
    check_weights(0, 1.0)
    check_speeds([95, 100])


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


def test_a_training_without_a_loss_is_refused():
    with pytest.raises(ValueError, match="nothing to learn from"):
        check_weights(0.0, 0)


@pytest.mark.parametrize("speeds", [[], [100, 201], ["fast"]])
def test_speeds_of_another_voice_are_refused(speeds):
    with pytest.raises(ValueError, match=r"^speeds is"):
        check_speeds(speeds)
