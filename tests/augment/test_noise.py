"""Noise: other voices of the batch, or stretches of recordings."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch
from speechbrain.augment.time_domain import AddNoise

from speechbrain_siamese.augment.noise import BackgroundNoise, babble_like
from speechbrain_siamese.utils.whole_file import write_csv

RATE = 16000


def test_babble_is_of_some_other_voices_equally_loud():
    # Each clip sounds at one sample only, which tells who is in a mixture.
    clips = torch.diag(torch.arange(1.0, 13.0))
    torch.manual_seed(0)
    babble = torch.stack([babble_like(clips) for _ in range(20)])
    loud = 12**0.5
    assert torch.isin(babble.round(decimals=3), torch.tensor([0, 3.464])).all()
    assert (babble.diagonal(dim1=1, dim2=2) == 0).all()
    talkers = (babble / loud).sum(dim=2).round()
    assert set(talkers.unique().tolist()) == {3, 4, 5, 6}
    # Everyone is heard in the end.
    assert (babble.sum(dim=(0, 1)) > 0).all()


def test_small_batch_gives_what_voices_it_has():
    pair = torch.eye(2)
    assert torch.equal(babble_like(pair) > 0, pair.flip(0) > 0)
    assert torch.equal(babble_like(torch.ones(1, 5)), torch.zeros(1, 5))


def test_silent_clip_makes_no_infinite_babble():
    clips = torch.rand(3, 100)
    clips[1] = 0.0
    assert babble_like(clips).abs().max() < 10


@pytest.mark.parametrize("decibels", [0, 10, 20])
def test_speechbrain_adds_it_at_the_ratio_that_is_asked_for(decibels):
    torch.manual_seed(0)
    clips = torch.randn(6, 8000) * torch.rand(6, 1)
    add = AddNoise(snr_low=decibels, snr_high=decibels, noise_funct=babble_like)
    heard = add(clips, torch.ones(6))
    # The clip is turned down by what the noise takes.
    clean = clips * (1 - 1 / (10 ** (decibels / 20) + 1))
    ratio = 20 * (clean.std(dim=1) / (heard - clean).std(dim=1)).log10()
    torch.testing.assert_close(
        ratio, torch.full((6,), float(decibels)), atol=0.1, rtol=0
    )


@pytest.fixture
def noise(tmp_path) -> BackgroundNoise:
    """A long file that counts its samples, and a short one below zero."""
    sounds = {
        "long": np.arange(9000) / 32768,
        "short": -np.arange(1, 1001) / 32768,
    }
    for name, sound in sounds.items():
        soundfile.write(tmp_path / f"{name}.wav", sound, RATE)
    write_csv(
        tmp_path / "noise.csv",
        ["ID", "duration", "wav", "wav_format", "wav_opts"],
        [
            [name, len(sound) / RATE, f"$data_root/{name}.wav", "wav", ""]
            for name, sound in sounds.items()
        ],
    )
    return BackgroundNoise("my noise", str(tmp_path / "noise.csv"), RATE)


def test_noise_is_a_random_stretch_of_a_file(noise):
    torch.manual_seed(0)
    heard = (noise(torch.zeros(300, 2000)) * 32768).round()
    long = heard[:, 0] >= 0
    # Nine tenths of all noise is in the long file.
    assert 240 < long.sum() < 295
    starts = heard[long, :1]
    assert torch.equal(heard[long], starts + torch.arange(2000))
    assert starts.min() < 700
    assert 6300 < starts.max() <= 7000
    # Short noise goes round.
    whole = -torch.arange(1.0, 1001.0).repeat(2)
    assert torch.equal(heard[~long], whole.expand(int((~long).sum()), -1))


def test_draws_depend_on_the_seed_and_on_nothing_before(noise):
    clips = torch.zeros(8, 500)
    torch.manual_seed(3)
    first = noise(clips)
    assert not torch.equal(noise(clips), first)
    torch.manual_seed(3)
    assert torch.equal(noise(clips), first)


def test_no_folder_gives_babble():
    clips = torch.randn(5, 100)
    torch.manual_seed(0)
    expected = babble_like(clips)
    torch.manual_seed(0)
    noise = BackgroundNoise(None, "no such file.csv", RATE)
    assert torch.equal(noise(clips), expected)
