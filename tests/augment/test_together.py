"""SpeechBrain's Augmenter applies them all, one after the other."""

from __future__ import annotations

import random

import pytest
import torch
from speechbrain.augment.augmenter import Augmenter
from speechbrain.augment.time_domain import AddNoise

from speechbrain_siamese.augment.codec import CodecRoundTrip
from speechbrain_siamese.augment.noise import BackgroundNoise
from speechbrain_siamese.augment.reverberation import SyntheticReverb
from speechbrain_siamese.augment.some_clips import SomeClips

RATE = 16000


@pytest.fixture
def augment() -> Augmenter:
    """All of ours, in the order of the way from mouth to file."""
    noise = BackgroundNoise(None, "", RATE)
    parts = (
        SyntheticReverb(RATE),
        AddNoise(snr_low=5, snr_high=20, noise_funct=noise),
        CodecRoundTrip(RATE, {"aac": [24], "opus": [24]}),
    )
    return Augmenter(
        min_augmentations=3,
        max_augmentations=3,
        augmentations=[SomeClips(part, 0.5) for part in parts],
    )


@pytest.fixture
def clips() -> torch.Tensor:
    torch.manual_seed(1)
    return 0.1 * torch.randn(16, 8000)


def test_clips_keep_their_place_length_and_time(augment, clips):
    lengths = torch.ones(16)
    heard, heard_lengths = augment(clips, lengths)
    assert heard.shape == clips.shape
    assert heard.dtype == clips.dtype
    assert torch.equal(heard_lengths, lengths)
    # Each resembles its own clip most, as it lies: labels stay true.
    alike = torch.corrcoef(torch.cat([heard, clips]))[:16, 16:]
    assert alike.argmax(dim=1).tolist() == list(range(16))
    assert alike.diagonal().min() > 0.3
    changed = (heard != clips).any(dim=1)
    assert 8 <= changed.sum() < 16


def test_same_seed_gives_the_same_batch(augment, clips):
    heard = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        random.seed(seed)
        heard.append(augment(clips, torch.ones(16))[0])
    assert torch.equal(heard[0], heard[1])
    assert not torch.equal(heard[0], heard[2])


def test_half_precision_around_it_does_no_harm(augment, clips):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        heard, _ = augment(clips, torch.ones(16))
    assert heard.dtype == torch.float32
    assert heard.isfinite().all()
