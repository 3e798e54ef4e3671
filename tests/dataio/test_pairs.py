"""The pairs of the two-tower design: how many, of whom, and in which order."""

from __future__ import annotations

import csv
import pickle
from collections import Counter
from itertools import permutations

import numpy as np
import pytest

from speechbrain_siamese.dataio import pairs as pairs_module
from speechbrain_siamese.dataio.pairs import (
    COLUMNS,
    PairBatchSampler,
    Pairs,
    make_pairs,
    write_pairs,
)
from speechbrain_siamese.dataio.sampler import Draw

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
MANIFEST = (SPEAKERS, STRETCHES, WINDOW)


def windows(pairs: Pairs) -> list[tuple[Draw, Draw]]:
    """Left and right window of each pair."""
    draws = pairs.draws(np.arange(len(pairs)))
    return list(zip(draws[: len(pairs)], draws[len(pairs) :], strict=True))


def of_whom(pairs: Pairs, speakers) -> Counter:
    return Counter(
        (speakers[left.row], speakers[right.row])
        for left, right in windows(pairs)
    )


def batches(
    per_batch=7, seed=0, steps=None, pairs=None, **place
) -> PairBatchSampler:
    return PairBatchSampler(
        make_pairs(*MANIFEST, 10, 3) if pairs is None else pairs,
        *MANIFEST,
        pairs_per_batch=per_batch,
        seed=seed,
        steps=steps,
        **place,
    )


def epoch(sampler: PairBatchSampler, number: int) -> list[list[Draw]]:
    sampler.set_epoch(number)
    return list(sampler)


def test_34_speakers_give_3400_similar_and_28050_dissimilar_pairs():
    names = [f"s{i:02d}" for i in range(34)]
    # Two recordings each.
    speakers = names * 2
    pairs = make_pairs(speakers, [(100, 90_000)] * 68, 3000)
    assert int(pairs.same.sum()) == 3_400
    assert int((~pairs.same).sum()) == 28_050
    expected = {(one, two): 25 for one, two in permutations(names, 2)}
    expected |= {(name, name): 100 for name in names}
    assert of_whom(pairs, speakers) == expected


def test_labels_say_whether_both_windows_are_one_speakers():
    pairs = make_pairs(*MANIFEST, 20, 10)
    found = [
        SPEAKERS[left.row] == SPEAKERS[right.row]
        for left, right in windows(pairs)
    ]
    assert pairs.same.tolist() == found
    assert set(found) == {True, False}


def test_a_million_and_a_half_pairs_of_251_speakers_fit():
    speakers = [f"s{i % 251}" for i in range(2000)]
    pairs = make_pairs(speakers, [(0, 10_000)] * 2000, 3000)
    assert len(pairs) == 251 * 100 + 251 * 250 * 25
    assert sum(part.nbytes for part in vars(pairs).values()) < 70e6
    assert len(next(iter(batches(pairs=pairs)))) == 14


def test_windows_lie_inside_their_rows_and_have_their_length():
    seen = set()
    for pair in windows(make_pairs(*MANIFEST, 300, 100)):
        for draw in pair:
            start, stop = STRETCHES[draw.row]
            assert start <= draw.start < draw.stop <= stop
            assert draw.stop - draw.start == min(WINDOW, stop - start)
            seen.add(draw.row)
    assert seen == set(range(len(SPEAKERS)))


def test_both_ends_of_a_row_are_reached():
    pairs = make_pairs(["a", "b"], [(10, 213), (0, 203)], WINDOW)
    draws = {draw for pair in windows(pairs) for draw in pair}
    assert {draw.start for draw in draws if draw.row == 0} == {10, 11, 12, 13}
    assert {draw.stop for draw in draws if draw.row == 1} == {
        200,
        201,
        202,
        203,
    }


def test_longer_rows_are_drawn_more_often():
    pairs = make_pairs(["a", "a", "b"], [(0, 1000), (0, 9000), (0, 5000)], 200)
    rows = Counter(draw.row for pair in windows(pairs) for draw in pair)
    # 250 draws of a: +- three standard deviations.
    assert rows[1] / (rows[0] + rows[1]) == pytest.approx(0.9, abs=0.06)


def test_a_similar_pair_is_two_different_windows_where_there_are_two():
    """Two or three windows of a speaker in all: equal ones would be common."""
    speakers = ["row of two", "two rows", "two rows", "three", "three", "b"]
    stretches = [
        (30, 231),  # starts 30 and 31
        (0, 200),
        (500, 700),
        (0, 201),
        (900, 950),
        (0, 500),
    ]
    pairs = make_pairs(speakers, stretches, WINDOW, 200, 1)
    found: dict[str, Counter] = {}
    for left, right in windows(pairs)[: int(pairs.same.sum())]:
        assert left != right
        assert left.stop - left.start == min(
            WINDOW, np.diff(stretches[left.row])
        )
        found.setdefault(speakers[left.row], Counter())[right[:2]] += 1
    assert set(found["row of two"]) == {(0, 30), (0, 31)}
    assert set(found["two rows"]) == {(1, 0), (2, 500)}
    assert set(found["three"]) == {(3, 0), (3, 1), (4, 900)}


def test_a_speaker_with_a_single_window_is_paired_with_it():
    pairs = make_pairs(["a", "b"], [(5, 150), (0, 500)], WINDOW, 4, 1)
    assert windows(pairs)[:4] == [(Draw(0, 5, 150), Draw(0, 5, 150))] * 4


def test_pairs_follow_from_the_seed_alone():
    np.random.seed(1)
    once = windows(make_pairs(*MANIFEST, seed=3))
    np.random.seed(2)
    assert windows(make_pairs(*MANIFEST, seed=3)) == once
    assert windows(make_pairs(*MANIFEST, seed=4)) != once


@pytest.mark.parametrize("speakers", [[], ["a", "a"]])
def test_fewer_than_two_speakers_are_refused(speakers):
    stretches = STRETCHES[: len(speakers)]
    with pytest.raises(ValueError, match=rf"{len(set(speakers))} speaker"):
        make_pairs(speakers, stretches, WINDOW)


@pytest.mark.parametrize("value", [0, -1, 2.5, True])
@pytest.mark.parametrize("key", ["similar_per_speaker", "dissimilar_per_pair"])
def test_numbers_of_pairs_out_of_range_are_refused(key, value):
    with pytest.raises(ValueError, match=rf"{key} is {value}, expected"):
        make_pairs(*MANIFEST, **{key: value})


@pytest.mark.parametrize("value", [0, 1.5])
def test_batches_without_pairs_are_refused(value):
    with pytest.raises(ValueError, match=rf"pairs_per_batch is {value}"):
        batches(per_batch=value)


def test_the_manifest_tells_label_and_sample_range_of_each_pair(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(pairs_module, "_BLOCK", 4)
    pairs = make_pairs(*MANIFEST, 2, 1)
    ids = [f"r{row}" for row in range(6)]
    path = tmp_path / "new" / "pairs.csv"
    write_pairs(path, pairs, ids)
    with open(path, encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    assert tuple(header) == COLUMNS
    assert lines == [
        [
            str(int(same)),
            *(f"r{left.row}", str(left.start), str(left.stop)),
            *(f"r{right.row}", str(right.start), str(right.stop)),
        ]
        for same, (left, right) in zip(pairs.same, windows(pairs), strict=True)
    ]
    assert len(lines) == 12


def test_a_manifest_that_cannot_be_finished_leaves_the_older_one(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("older")
    with pytest.raises(IndexError):
        write_pairs(path, make_pairs(*MANIFEST), ["only one id"])
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_item_i_of_a_batch_belongs_to_item_i_plus_half():
    sampler = batches()
    known = set(windows(sampler.pairs))
    for batch in epoch(sampler, 1):
        half = len(batch) // 2
        for left, right in zip(batch[:half], batch[half:], strict=True):
            assert (left, right) in known


@pytest.mark.parametrize("number", [1, 2])
def test_every_pair_comes_once_in_an_epoch(number):
    sampler = batches()
    found = epoch(sampler, number)
    pairs = Counter(
        pair
        for batch in found
        for pair in zip(
            batch[: len(batch) // 2], batch[len(batch) // 2 :], strict=True
        )
    )
    assert pairs == Counter(windows(sampler.pairs))
    # 48 pairs, seven a batch.
    assert [len(batch) for batch in found] == [14] * 6 + [12]
    assert len(sampler) == 7


def test_similar_and_dissimilar_pairs_are_mixed():
    sampler = batches(per_batch=8)
    kinds = [
        {
            SPEAKERS[left.row] == SPEAKERS[right.row]
            for left, right in zip(batch[:8], batch[8:], strict=True)
        }
        for batch in epoch(sampler, 1)
    ]
    assert kinds == [{True, False}] * 6


def test_the_order_follows_from_seed_and_epoch_alone():
    pairs = make_pairs(*MANIFEST, 10, 3)
    sampler = batches(pairs=pairs)
    first, second = epoch(sampler, 1), epoch(sampler, 2)
    assert epoch(batches(pairs=pairs), 2) == second
    assert epoch(sampler, 1) == first
    assert first != second
    assert epoch(batches(pairs=pairs, seed=1), 1) != first


def test_fewer_steps_are_the_beginning_of_the_epoch():
    short = batches(steps=3)
    assert len(short) == 3
    assert epoch(short, 4) == epoch(batches(), 4)[:3]
    assert len(batches(steps=1000)) == 7


def test_clips_of_one_speaker_are_windows_of_his_rows():
    sampler = batches()
    assert sampler.rows_of == {"a": [0, 2], "b": [1, 5], "c": [3, 4]}
    draws = sampler.draw_clips("b", 500, np.random.default_rng(0))
    assert {draw.row for draw in draws} == {1, 5}
    for draw in draws:
        start, stop = STRETCHES[draw.row]
        assert start <= draw.start
        assert draw.stop == draw.start + WINDOW <= stop
    again = sampler.draw_clips("b", 500, np.random.default_rng(0))
    assert draws == again


def test_a_pickled_sampler_yields_the_same():
    sampler = batches(seed=3)
    sampler.set_epoch(5)
    assert list(pickle.loads(pickle.dumps(sampler))) == list(sampler)


@pytest.mark.parametrize(
    ("world_size", "per_batch", "left_out"), [(2, 7, 0), (4, 10, 0), (5, 10, 3)]
)
def test_shares_joined_are_the_batch_of_one_process(
    world_size, per_batch, left_out
):
    """48 pairs; five processes can share 45 of them."""
    whole = epoch(batches(per_batch), 2)
    shares = [
        epoch(batches(per_batch, rank=rank, world_size=world_size), 2)
        for rank in range(world_size)
    ]
    *full, last = zip(*shares, strict=True)
    assert len(full) == len(whole) - 1
    for batch, parts in zip(whole, full, strict=False):
        assert [draw for part in parts for draw in part] == batch
    half = len(whole[-1]) // 2
    kept = half - left_out
    assert [draw for part in last for draw in part] == [
        *whole[-1][:kept],
        *whole[-1][half : half + kept],
    ]
    assert len({len(part) for part in last}) == 1


def test_pairs_that_processes_cannot_share_are_refused():
    with pytest.raises(ValueError, match="7, which 4 processes cannot share"):
        batches(7, world_size=4)
