"""A share of the clips is augmented, the others are left alone."""

from __future__ import annotations

import pytest
import torch

from speechbrain_siamese.augment.some_clips import SomeClips


class Mark(torch.nn.Module):
    """Write each clip's relative length over it."""

    def forward(self, waveforms, lengths):
        return torch.ones_like(waveforms) * lengths[:, None]


class Negate(torch.nn.Module):
    """Takes no lengths."""

    def forward(self, waveforms):
        return -waveforms


@pytest.mark.parametrize(
    ("share", "count"), [(0.0, 0), (0.25, 16), (0.5, 32), (1, 64)]
)
def test_share_is_exact_and_the_others_are_the_same(share, count):
    clips = torch.rand(64, 100) + 0.1
    before = clips.clone()
    heard = SomeClips(Negate(), share)(clips, torch.ones(64))
    turned = (heard == -before).all(dim=1)
    assert turned.sum() == count
    assert torch.equal(heard[~turned], before[~turned])
    assert torch.equal(clips, before)


@pytest.mark.parametrize(
    ("share", "batch", "counts"),
    [
        (0.3, 64, {19, 20}),
        (0.15, 8, {0, 2}),
        (0.05, 8, {0, 2}),
        (0.9, 1, {0, 1}),
    ],
)
def test_small_batches_get_as_many_in_the_long_run(share, batch, counts):
    """One alone never: voices of the batch could be no noise."""
    torch.manual_seed(0)
    augment = SomeClips(Negate(), share)
    clips = torch.ones(batch, 2)
    found = [
        int((augment(clips, torch.ones(batch))[:, 0] < 0).sum())
        for _ in range(2000)
    ]
    assert {*found} == counts
    mean = sum(found) / len(found)
    assert mean == pytest.approx(share * batch, rel=0.15)


def test_each_clip_keeps_its_place_and_length():
    clips = torch.full((8, 50), -1.0)
    lengths = torch.arange(1, 9) / 8
    heard = SomeClips(Mark(), 0.5)(clips, lengths)
    marked = heard[:, 0] > 0
    assert marked.sum() == 4
    assert torch.equal(heard[marked, 0], lengths[marked])


def test_every_clip_gets_its_turn_and_the_seed_decides():
    clips = torch.ones(8, 4)
    half = SomeClips(Negate(), 0.5)
    torch.manual_seed(0)
    first = [half(clips, torch.ones(8)) for _ in range(20)]
    torch.manual_seed(0)
    again = [half(clips, torch.ones(8)) for _ in range(20)]
    assert all(map(torch.equal, first, again))
    turns = (torch.stack(first)[:, :, 0] < 0).sum(dim=0)
    assert turns.min() > 0
    assert turns.max() < 20


def test_share_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"share is 30, expected a number"):
        SomeClips(Negate(), 30)
