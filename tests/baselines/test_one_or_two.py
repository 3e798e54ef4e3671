"""Clips of one and of two voices differ in nothing but the voices."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speechbrain_siamese.baselines.one_or_two import (
    FADE,
    LEVEL,
    embedding_score,
    make_clips,
)

RATE = 8000
PITCH = {"anna": 300, "bert": 600, "cora": 1200, "dirk": 2400}


def tone(pitch: float, seconds: float, loudness: float) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return loudness * np.sin(2 * np.pi * pitch * time)


@pytest.fixture(scope="module")
def waves() -> dict[str, list[np.ndarray]]:
    """A pitch each; three waves each, of very different levels."""
    return {
        name: [tone(pitch, 5, loudness) for loudness in (0.001, 0.1, 1.0)]
        for name, pitch in PITCH.items()
    }


@pytest.fixture(scope="module")
def clips(waves):
    return make_clips(waves, RATE, count=101, seed=0, seconds=2.0)


def sides(clip) -> tuple[np.ndarray, np.ndarray]:
    """Both stretches without the cross-fade."""
    half = round(FADE * RATE / 2)
    return clip.samples[: clip.join - half], clip.samples[clip.join + half :]


def pitch(samples: np.ndarray) -> float:
    return np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples)


def test_half_of_them_hold_two_voices(clips):
    assert sum(clip.label for clip in clips) == 50
    for clip in clips:
        assert len(set(clip.speakers)) == len(clip.speakers) == 1 + clip.label


def test_the_voices_are_those_of_the_speakers_in_order(clips):
    for clip in clips:
        left, right = sides(clip)
        assert pitch(left) == pytest.approx(PITCH[clip.speakers[0]], rel=0.02)
        assert pitch(right) == pytest.approx(PITCH[clip.speakers[-1]], rel=0.02)


def test_all_are_equally_long_and_joined_in_the_middle_half(clips):
    joins = np.array([clip.join for clip in clips])
    assert {clip.samples.shape for clip in clips} == {(2 * RATE,)}
    assert {clip.samples.dtype.name for clip in clips} == {"float32"}
    assert RATE / 2 <= joins.min() < 0.55 * RATE
    assert 1.45 * RATE < joins.max() <= 3 * RATE / 2
    # Uniform: each third of the range has its share.
    shares = np.histogram(joins, bins=3, range=(RATE / 2, 3 * RATE / 2))[0]
    assert (shares > 20).all()


def test_both_sides_have_the_same_level(clips):
    for clip in clips:
        for side in sides(clip):
            level = np.sqrt(np.mean(np.square(side)))
            assert level == pytest.approx(LEVEL, rel=0.02)


def test_the_join_does_not_click(clips):
    """No step at the join is larger than those of the tones themselves."""
    for clip in clips:
        steps = np.abs(np.diff(clip.samples))
        half = round(FADE * RATE / 2) + 2
        near = steps[clip.join - half : clip.join + half].max()
        # Two tones in phase add up to 1.41 at equal power.
        assert near < 1.5 * max(
            s[100:-100].max() for s in map(np.diff, sides(clip))
        )


def test_one_voice_comes_from_two_waves():
    """A wave each of low and high numbers tells where a stretch is from."""
    low, high = np.full(4 * RATE, 1.0), np.tile([1.0, -1.0], 2 * RATE)
    waves = {name: [low, high] for name in "ab"}
    for clip in make_clips(waves, RATE, count=40, seed=0, seconds=2.0):
        if not clip.label:
            left, right = (np.abs(side.mean()) > 0.01 for side in sides(clip))
            assert left != right


def test_of_one_wave_two_places_are_taken_that_do_not_overlap():
    """The wave is a slope, so that its values tell the place."""
    slope = np.linspace(1, 2, round(2.5 * RATE))
    waves = {name: [slope] for name in "ab"}
    orders = set()
    for clip in make_clips(waves, RATE, count=60, seed=0, seconds=2.0):
        if clip.label:
            continue
        spans = []
        for side in sides(clip):
            # The level is lost, the slope relative to it is not.
            step = np.polyfit(np.arange(len(side)), side, 1)
            start = round((step[1] / step[0]) - 2.5 * RATE)
            spans.append((start, start + len(side)))
        (one, until), (two, end) = spans
        assert until <= two + 20 or end <= one + 20
        orders.add(one < two)
    assert orders == {True, False}


def test_speakers_with_too_little_speech_are_left_out(waves):
    short = {
        "one short": [tone(100, 1.9, 1.0)],
        "many short": [tone(100, 1.4, 1.0)] * 9,
        "none": [],
    }
    clips = make_clips({**waves, **short}, RATE, 40, seed=0, seconds=2.0)
    assert {name for clip in clips for name in clip.speakers} == set(PITCH)


def test_too_few_speakers_are_told(waves):
    few = {"anna": waves["anna"], "zoe": [tone(100, 1.0, 1.0)]}
    with pytest.raises(ValueError, match=r"1 of 2 speakers .* clips of 2 s"):
        make_clips(few, RATE, 4, seed=0, seconds=2.0)


def test_digital_silence_is_told_with_its_speaker(waves):
    silent = {"anna": waves["anna"], "zoe": [np.zeros(5 * RATE)]}
    with pytest.raises(ValueError, match="zoe is digital silence"):
        make_clips(silent, RATE, 4, seed=0, seconds=2.0)


def test_the_same_seed_gives_the_same_clips_in_any_order(waves, clips):
    backwards = dict(reversed(waves.items()))
    again = make_clips(backwards, RATE, count=101, seed=0, seconds=2.0)
    for one, other in zip(clips, again, strict=True):
        assert one.speakers == other.speakers
        np.testing.assert_array_equal(one.samples, other.samples)
    other = make_clips(waves, RATE, count=101, seed=1, seconds=2.0)
    assert [c.join for c in other] != [c.join for c in clips]


def by_pitch(windows: torch.Tensor) -> torch.Tensor:
    """A toy embedding: energy around the pitch of each person."""
    spectrum = torch.fft.rfft(windows).abs()
    bins = [round(p * windows.shape[1] / RATE) for p in PITCH.values()]
    return torch.stack([spectrum[:, b - 9 : b + 9].sum(1) for b in bins], 1)


def test_a_planted_change_scores_higher_than_none():
    same = tone(300, 4, 0.1)
    for join in (1.0, 2.0, 2.7):
        change = same.copy()
        start = round(join * RATE)
        change[start:] = tone(2400, 4, 0.1)[start:]
        assert embedding_score(by_pitch, change, RATE) > -0.7
    assert embedding_score(by_pitch, same, RATE) < -0.99


def test_the_score_tells_the_two_kinds_of_clips_apart(waves):
    clips = make_clips(waves, RATE, count=20, seed=0)
    scores = {0: [], 1: []}
    for clip in clips:
        scores[clip.label].append(embedding_score(by_pitch, clip.samples, RATE))
    assert min(scores[1]) > max(scores[0])


def test_the_best_split_of_four_windows_counts():
    """
    windows  e1   e1   e2   e2        splits after the 1st, 2nd and 3rd
    sums     (1,0)|(1,2)  (2,0)|(0,2)  (2,1)|(0,1)
    cosines   0.447        0            0.447
    """
    asked = []

    def encode(windows):
        asked.append(windows.shape)
        return torch.tensor([[1.0, 0], [9, 0], [0, 2], [0, 1]])

    score = embedding_score(encode, np.ones(round(2.6 * RATE)), RATE)
    assert asked == [(4, RATE)]
    assert score == pytest.approx(0.0, abs=1e-6)

    def other(windows):
        return torch.tensor([[1.0, 0], [0, 1], [0, 1], [0, 1]])

    assert embedding_score(other, np.ones(round(2.6 * RATE)), RATE) == 0.0

    def third(windows):
        # Lengths of embeddings must not matter.
        return torch.tensor([[3.0, 0], [0, 1], [1, 0], [0, 5]])

    # 1·1 / √5, (1,1)·(1,1) / 2 and 1·1 / √5.
    score = embedding_score(third, np.ones(round(2.6 * RATE)), RATE)
    assert score == pytest.approx(-1 / 5**0.5)


def test_clips_and_embeddings_that_tell_nothing_are_refused():
    with pytest.raises(ValueError, match=r"has 1\.4 s, expected at least 1\.5"):
        embedding_score(by_pitch, np.ones(round(1.4 * RATE)), RATE)
    with pytest.raises(ValueError, match="NaN or infinite"):
        embedding_score(lambda w: w * np.nan, np.ones(2 * RATE), RATE)
