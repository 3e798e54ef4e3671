"""Rooms: echoes that die away behind a direct sound that stays in place."""

from __future__ import annotations

import pytest
import torch

from speechbrain_siamese.augment.reverberation import (
    SyntheticReverb,
    room_responses,
)

RATE = 16000


@pytest.mark.parametrize("decay", [0.1, 0.3, 0.6])
def test_echoes_are_60_db_down_after_their_time(decay):
    torch.manual_seed(0)
    samples = round(decay * RATE)
    rooms = room_responses(
        torch.full((200,), decay), torch.zeros(200), samples, RATE
    )
    # Levels of ten parts of the time: 6 dB from one to the next.
    power = rooms[:, 1:].square()[:, : samples // 10 * 10 - 10]
    parts = power.reshape(200, 10, -1).mean(dim=(0, 2)).log10() * 10
    assert parts[0] - parts[-1] == pytest.approx(54, abs=1)
    assert parts.diff() == pytest.approx(torch.full((9,), -6.0), abs=0.7)


def test_direct_sound_has_its_share_of_the_energy():
    ratios = torch.tensor([-6.0, 0.0, 12.0])
    rooms = room_responses(torch.full((3,), 0.3), ratios, 4800, RATE)
    power = rooms.square()
    found = power[:, 0] / power[:, 1:].sum(dim=1)
    torch.testing.assert_close(found, 10 ** (ratios / 10))
    torch.testing.assert_close(power.sum(dim=1), torch.ones(3))


def test_clip_is_convolved_with_a_room_of_its_own():
    # A click at sample 7 gives the room's response from there on, and what
    # runs over the end of the clip echoes at its start.
    clicks = torch.zeros(2, 8000)
    clicks[:, 7] = 1.0
    reverb = SyntheticReverb(RATE, decay=[0.5, 0.5], direct_ratio=[3, 3])
    torch.manual_seed(1)
    heard = reverb(clicks)
    torch.manual_seed(1)
    # The module draws decay and ratio first.
    torch.rand(2), torch.rand(2)
    rooms = room_responses(
        torch.full((2,), 0.5), torch.full((2,), 3.0), 8000, RATE
    )
    torch.testing.assert_close(heard, rooms.roll(7, dims=1))
    assert not torch.allclose(heard[0], heard[1])


def test_direct_sound_stays_in_place_and_level():
    torch.manual_seed(0)
    clips = torch.randn(20, 32000)
    heard = SyntheticReverb(RATE)(clips)
    assert heard.shape == clips.shape
    size = 64000
    spectra = torch.fft.rfft(heard, size) * torch.fft.rfft(clips, size).conj()
    assert torch.fft.irfft(spectra).argmax(dim=1).tolist() == [0] * 20
    level = 20 * (heard.std(dim=1) / clips.std(dim=1)).log10()
    assert level.abs().max() < 1


def test_dry_room_changes_nothing():
    clips = torch.randn(2, 4000)
    dry = SyntheticReverb(RATE, direct_ratio=[60, 60])
    assert (dry(clips) - clips).abs().max() < 0.02


def test_room_that_echoes_longer_than_the_clip_fits():
    clips = torch.randn(3, 1000)
    heard = SyntheticReverb(RATE, decay=[2, 3])(clips)
    assert heard.shape == (3, 1000)
    assert heard.isfinite().all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decay": [0.6, 0.1]}, "decay is 0.1, expected a number from 0.6"),
        ({"decay": [0.0, 0.1]}, "decay is 0.0"),
        ({"direct_ratio": [0, 900]}, "direct_ratio is 900"),
    ],
)
def test_rooms_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SyntheticReverb(RATE, **settings)
