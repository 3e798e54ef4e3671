"""Windows cover a recording exactly, and quiet frames are told by their power.

A recording of seven frames in windows of three:

    frames   0 1 2 3 4 5 6
    windows  |---| |---|
                     |---|      aligned to the end, adds one frame
"""

from __future__ import annotations

import math

import pytest
import torch

from speechbrain_siamese.lobes.windows import (
    cut_windows,
    frame_is_loud,
    frame_power,
    windows_of_pieces,
)

#: Natural logarithm of the power ratio of one decibel.
DECIBEL = math.log(10) / 10


def numbered(frames: int) -> torch.Tensor:
    """An image whose frames hold their own number."""
    return torch.arange(float(frames))[:, None].expand(frames, 2)


def levels(*decibels: float) -> torch.Tensor:
    """Power of the frames of one item."""
    return torch.tensor(decibels)[None] * DECIBEL


def test_the_last_window_is_aligned_to_the_end():
    windows, weights = cut_windows(numbered(7), window=3)
    assert windows[:, :, 0].tolist() == [[0, 1, 2], [3, 4, 5], [4, 5, 6]]
    assert weights.tolist() == [3, 3, 1]


def test_a_whole_number_of_windows_has_no_further_one():
    windows, weights = cut_windows(numbered(6), window=3)
    assert windows[:, :, 0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert weights.tolist() == [3, 3]


def test_one_window_is_the_recording_itself():
    windows, weights = cut_windows(numbered(3), window=3)
    assert windows[:, :, 0].tolist() == [[0, 1, 2]]
    assert weights.tolist() == [3]


def test_short_input_is_repeated_and_weighs_its_own_frames():
    windows, weights = cut_windows(numbered(2), window=5)
    assert windows[:, :, 0].tolist() == [[0, 1, 0, 1, 0]]
    assert weights.tolist() == [2]


@pytest.mark.parametrize("window", [1, 2, 5, 8])
def test_weights_sum_to_the_frames_and_every_frame_is_seen(window):
    for frames in range(1, 40):
        windows, weights = cut_windows(numbered(frames), window)
        assert windows.shape == (len(weights), window, 2)
        assert weights.sum() == frames
        assert (weights > 0).all()
        assert set(windows[:, :, 0].flatten().tolist()) == set(range(frames))
        if frames >= window:
            assert windows[-1, -1, 0] == frames - 1


@pytest.mark.parametrize("sizes", [(500,), (199, 1, 300), (1,) * 500])
def test_pieces_of_any_size_give_the_same_windows(sizes):
    image = numbered(500)
    lots = [*windows_of_pieces(image.split(sizes), window=200)]
    windows, weights = cut_windows(image, window=200)
    assert windows[:, 0, 0].tolist() == [0, 200, 300]
    assert weights.tolist() == [200, 200, 100]
    assert torch.equal(torch.cat([own for own, _ in lots]), windows)
    assert torch.equal(torch.cat([own for _, own in lots]), weights)


def test_all_bins_stay_with_their_frame():
    image = torch.arange(14.0).reshape(7, 2)
    windows, _ = cut_windows(image, window=3)
    assert torch.equal(windows[2], image[4:7])


def test_weights_have_the_type_of_the_image():
    for frames in (2, 7):
        _, weights = cut_windows(numbered(frames).double(), window=3)
        assert weights.dtype == torch.float64


def test_frames_are_quiet_from_the_range_below_the_level():
    feats = levels(*[0.0] * 18, -29.5, -30.5)
    loud = frame_is_loud(
        feats, torch.ones(1, 20, dtype=torch.bool), range_db=30, context=0
    )
    assert loud[0].tolist() == [True] * 19 + [False]


def test_power_is_summed_over_the_bins():
    # Sixteen bins at -10 dB are 2 dB above one bin at 0 dB.
    feats = torch.full((1, 20, 16), -200 * DECIBEL)
    feats[0, :10] = -10 * DECIBEL
    feats[0, 10:, 0] = 0.0
    valid = torch.ones(1, 20, dtype=torch.bool)
    power = frame_power(feats)
    narrow = frame_is_loud(power, valid, range_db=1.0, context=0)
    wide = frame_is_loud(power, valid, range_db=3.0, context=0)
    assert narrow[0].tolist() == [True] * 10 + [False] * 10
    assert wide.all()


def test_frames_near_a_loud_one_are_kept_on_both_sides():
    feats = levels(*[-60.0] * 20, *[0.0] * 20, *[-60.0] * 20)
    loud = frame_is_loud(
        feats, torch.ones(1, 60, dtype=torch.bool), range_db=30, context=5
    )
    assert loud[0].nonzero().flatten().tolist() == list(range(15, 45))


def test_a_click_does_not_make_speech_quiet():
    feats = levels(*[0.0] * 50, 60.0, *[0.0] * 49)
    assert frame_is_loud(
        feats, torch.ones(1, 100, dtype=torch.bool), range_db=30
    ).all()


def test_long_pauses_do_not_lower_the_level():
    feats = levels(*[0.0] * 20, *[-60.0] * 180)
    loud = frame_is_loud(
        feats, torch.ones(1, 200, dtype=torch.bool), range_db=30, context=0
    )
    assert int(loud.sum()) == 20


def test_padding_is_never_loud_and_changes_nothing():
    alone = levels(*[0.0] * 10, *[-60.0] * 10, *[0.0] * 10)
    padded = torch.cat([alone, torch.full((1, 170), -100.0)], dim=1)
    valid = torch.arange(200)[None] < 30
    one = frame_is_loud(alone, valid[:, :30], range_db=30, context=3)
    two = frame_is_loud(padded, valid, range_db=30, context=3)
    assert torch.equal(two[:, :30], one)
    assert not one.all()
    assert not two[:, 30:].any()


def test_each_item_has_its_own_level():
    loud_item = levels(*[0.0] * 10, *[-20.0] * 10)
    soft_item = loud_item - 50 * DECIBEL
    valid = torch.ones(2, 20, dtype=torch.bool)
    loud = frame_is_loud(torch.cat([loud_item, soft_item]), valid, range_db=30)
    assert loud.all()


def test_an_item_without_valid_frames_has_no_loud_ones():
    power = torch.zeros(1, 8)
    valid = torch.zeros(1, 8, dtype=torch.bool)
    assert not frame_is_loud(power, valid, range_db=30).any()
