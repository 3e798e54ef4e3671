"""Batches hold P x K windows, and follow from seed, epoch and step alone."""

from __future__ import annotations

import logging
import pickle
from collections import Counter

import pytest

from speechbrain_siamese.dataio.sampler import Draw, SpeakerBatchSampler

RATE = 100
WINDOW = 200

#: Three speakers; rows that do not begin at 0, and one shorter than a window.
SPEAKERS = ["a", "b", "a", "c", "c", "b"]
STRETCHES = [
    (0, 5000),
    (700, 3000),
    (300, 420),
    (0, 4000),
    (4000, 9000),
    (50, 250),
]


def sampler(
    speakers=SPEAKERS, stretches=STRETCHES, p=2, k=4, seed=0, **options
) -> SpeakerBatchSampler:
    return SpeakerBatchSampler(
        speakers=speakers,
        stretches=stretches,
        sample_rate=RATE,
        window_samples=WINDOW,
        speakers_per_batch=p,
        clips_per_speaker=k,
        seed=seed,
        **options,
    )


def epochs(batches: SpeakerBatchSampler, count: int) -> list[list[Draw]]:
    found = []
    for epoch in range(1, count + 1):
        batches.set_epoch(epoch)
        found.extend(batches)
    return found


@pytest.mark.parametrize(("p", "k"), [(2, 2), (2, 5), (3, 2)])
def test_a_batch_holds_k_clips_of_each_of_p_different_speakers(p, k):
    for batch in epochs(sampler(p=p, k=k), 20):
        names = [SPEAKERS[draw.row] for draw in batch]
        assert set(Counter(names).values()) == {k}
        assert len(set(names)) == p
        # The clips of one speaker lie beside each other.
        assert names == [name for name in names[::k] for _ in range(k)]


def test_windows_lie_inside_their_rows_and_have_their_length():
    seen = set()
    for batch in epochs(sampler(), 50):
        for draw in batch:
            start, stop = STRETCHES[draw.row]
            assert start <= draw.start < draw.stop <= stop
            assert draw.stop - draw.start == min(WINDOW, stop - start)
            seen.add(draw.row)
    assert seen == set(range(len(SPEAKERS)))


def test_both_ends_of_a_row_are_reached():
    batches = sampler(["a", "b"], [(10, 213), (0, 203)])
    found = {draw for batch in epochs(batches, 40) for draw in batch}
    assert {draw.start for draw in found if draw.row == 0} == {10, 11, 12, 13}
    assert {draw.stop for draw in found if draw.row == 1} == {
        200,
        201,
        202,
        203,
    }


def test_draws_do_not_depend_on_what_was_drawn_before():
    uninterrupted = epochs(sampler(), 3)
    steps = len(sampler())
    assert steps > 2
    resumed = sampler()
    assert resumed.draw_batch(3, 1) == uninterrupted[2 * steps + 1]
    resumed.set_epoch(3)
    assert list(resumed) == uninterrupted[2 * steps :]
    resumed.set_epoch(1)
    assert list(resumed) == uninterrupted[:steps]


def test_every_seed_epoch_and_step_has_draws_of_its_own():
    batches = [
        tuple(sampler(seed=seed).draw_batch(epoch, step))
        for seed in range(3)
        for epoch in range(1, 4)
        for step in range(3)
    ]
    assert len(set(batches)) == 27


def test_an_epoch_has_the_steps_that_are_asked_for():
    batches = sampler(steps=7)
    assert len(batches) == len(list(batches)) == 7


@pytest.mark.parametrize(
    ("samples", "steps"), [(1600, 1), (1601, 2), (3200, 2), (160_000, 100)]
)
def test_an_epoch_has_as_many_windows_as_the_speech_fills(samples, steps):
    # Eight windows of 200 samples are 1600.
    half = samples // 2
    batches = sampler(["a", "b"], [(5, 5 + half), (0, samples - half)])
    assert len(batches) == steps
    assert len(list(batches)) == steps


def test_a_speaker_with_hours_is_drawn_no_more_than_one_with_a_minute():
    # Seconds of speech: 36,000, 60, 60 and 60.
    minute = (0, 60 * RATE)
    batches = sampler(
        ["long", "b", "c", "d"], [(0, 36_000 * RATE), *[minute] * 3]
    )
    drawn = [
        draw.row for step in range(2000) for draw in batches.draw_batch(1, step)
    ]
    shares = Counter(drawn)
    # Each is in half of the batches: 4000 of 16,000 clips, +- 3 per cent.
    for row in range(4):
        assert shares[row] / len(drawn) == pytest.approx(0.25, abs=0.015)


def test_how_much_speech_counts_in_full_can_be_set():
    batches = sampler(
        ["long", "b", "c", "d"],
        [(0, 900 * RATE), *[(0, 60 * RATE)] * 3],
        full_share_seconds=180.0,
    )
    batches_with = sum(
        any(draw.row == 0 for draw in batches.draw_batch(1, step))
        for step in range(2000)
    )
    # First 180/360, or else second after one of 60: 180/360 * 180/300.
    expected = 180 / 360 + 180 / 360 * 180 / 300
    assert batches_with / 2000 == pytest.approx(expected, abs=0.025)


def test_a_speaker_with_little_speech_is_drawn_in_proportion():
    # 15 s among three of 60 s and more: odds 15 to 60, two of four a batch.
    batches = sampler(
        ["little", "b", "c", "d"],
        [(0, 15 * RATE), (0, 60 * RATE), (0, 60 * RATE), (0, 900 * RATE)],
    )
    batches_with = sum(
        any(draw.row == 0 for draw in batches.draw_batch(1, step))
        for step in range(2000)
    )
    # First 15/195, or else second after one of 60: 180/195 * 15/135.
    expected = 15 / 195 + 180 / 195 * 15 / 135
    assert batches_with / 2000 == pytest.approx(expected, abs=0.025)


def test_rows_of_a_speaker_are_drawn_by_their_length():
    batches = sampler(["a", "a", "b"], [(0, 1000), (0, 9000), (0, 5000)])
    rows = Counter(
        draw.row for step in range(1000) for draw in batches.draw_batch(1, step)
    )
    assert rows[1] / (rows[0] + rows[1]) == pytest.approx(0.9, abs=0.02)


def test_fewer_speakers_than_p_all_join_every_batch(caplog):
    with caplog.at_level(logging.INFO):
        batches = sampler(p=6, k=2)
    assert "speakers_per_batch is 6" in caplog.text
    # The batch keeps its size: three speakers give four clips, not two.
    for batch in batches:
        clips = Counter(SPEAKERS[draw.row] for draw in batch)
        assert clips == {"a": 4, "b": 4, "c": 4}


@pytest.mark.parametrize("speakers", [[], ["a", "a"]])
def test_fewer_than_two_speakers_are_refused(speakers):
    count = len(set(speakers))
    with pytest.raises(ValueError, match=rf"holds {count} speaker"):
        sampler(speakers, STRETCHES[: len(speakers)])


@pytest.mark.parametrize(("p", "k"), [(1, 4), (4, 1), (0, 4), (4, 0)])
def test_batches_without_both_kinds_of_pairs_are_refused(p, k):
    with pytest.raises(
        ValueError,
        match=rf"speakers_per_batch is {p} and clips_per_speaker is {k}",
    ):
        sampler(p=p, k=k)


def test_a_pickled_sampler_draws_the_same():
    batches = sampler(seed=3)
    batches.set_epoch(5)
    assert list(pickle.loads(pickle.dumps(batches))) == list(batches)


def test_each_source_gives_the_same_share_of_the_draws():
    """Four people of one source hold their own against twenty of another."""
    speakers = [f"long{i}" for i in range(4)] + [f"clip{i}" for i in range(20)]
    sources = [name[:4] for name in speakers]
    stretches = [(0, 20_000)] * 4 + [(0, 90_000)] * 20
    batches = SpeakerBatchSampler(
        speakers,
        stretches,
        sample_rate=1000,
        window_samples=1000,
        speakers_per_batch=2,
        clips_per_speaker=2,
        sources=sources,
    )
    drawn = Counter(
        sources[draw.row]
        for step in range(2000)
        for draw in batches.draw_batch(1, step)
    )
    share = drawn["long"] / drawn.total()
    assert share == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("world_size", [2, 4])
def test_shares_are_the_batch_of_one_process_and_hold_different_speakers(
    world_size,
):
    speakers, stretches = list("abcdef"), [(0, 900)] * 6
    whole = epochs(sampler(speakers, stretches, p=4, k=3), 3)
    shares = [
        epochs(
            sampler(
                speakers,
                stretches,
                p=4,
                k=3,
                rank=rank,
                world_size=world_size,
            ),
            3,
        )
        for rank in range(world_size)
    ]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert [draw for part in parts for draw in part] == batch
        heard = [{draw.row for draw in part} for part in parts]
        assert [len(part) for part in heard] == [4 // world_size] * world_size
        assert len(set.union(*heard)) == 4


def test_speakers_that_processes_cannot_share_are_refused():
    with pytest.raises(ValueError, match="3 of 3 training speakers, which 2"):
        sampler(p=3, world_size=2)
