"""What a clip is worth: worked out by hand on tones and hushes."""

from __future__ import annotations

import numpy as np
import pytest

from speechbrain_siamese.dataio.quality import (
    ClipQuality,
    Outline,
    QualityMeter,
)

RATE = 8000


def clip_quality(blocks, rate):
    meter = QualityMeter(rate)
    for block in blocks:
        meter.add(block)
    return meter.quality()


def tone(seconds, amplitude):
    time = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * 400 * time)).astype(np.float32)


def test_level_of_a_tone_is_three_below_its_peak():
    found = clip_quality([tone(1.0, 0.1)], RATE)
    assert found.level == pytest.approx(-23.0, abs=0.1)


def test_speech_is_what_is_not_silent():
    blocks = [tone(1.0, 0.1), np.zeros(2 * RATE), tone(0.5, 0.1)]
    found = clip_quality(blocks, RATE)
    assert found.seconds == 3.5
    assert found.speech == pytest.approx(1.5, abs=0.05)


@pytest.mark.parametrize("below", [10.0, 20.0])
def test_noise_is_what_lies_between(below):
    hush = tone(1.0, 0.1 * 10 ** (-below / 20))
    found = clip_quality([tone(1.0, 0.1), hush], RATE)
    assert found.snr == pytest.approx(below, abs=0.2)


def test_blocks_do_not_matter():
    rng = np.random.default_rng(0)
    sound = (0.2 * rng.standard_normal(3 * RATE)).astype(np.float32)
    whole = clip_quality([sound], RATE)
    cut = clip_quality(np.split(sound, [17, 900, 12345]), RATE)
    assert whole == cut


def test_clipped_samples_are_counted_on_both_sides():
    sound = np.zeros(RATE, dtype=np.float32)
    sound[:40], sound[100:160] = 1.0, -1.0
    assert clip_quality([sound], RATE).clipped == 100 / RATE


def test_what_is_clipped_in_any_channel_counts_where_they_are_heard():
    left, right = np.zeros((2, 2 * RATE), dtype=np.float32)
    left[:40], right[30:60] = 1.0, -1.0
    meter = QualityMeter(RATE)
    meter.add((left + right)[::2] / 2)
    assert meter.quality().clipped == 0
    meter.add_channels(np.stack([left, right]))
    assert meter.quality().clipped == 60 / (2 * RATE)


@pytest.mark.parametrize("channels", [False, True])
def test_what_was_heard_behind_the_end_does_not_count(channels):
    loud = np.ones(RATE, dtype=np.float32)
    kept, cut = [tone(1.0, 0.1), loud[:80], tone(0.99, 0.001)], [loud, loud]
    meters = []
    for blocks in (kept, kept + cut):
        meter, end = QualityMeter(RATE), 0
        for block in blocks:
            meter.add(block)
            end += len(block)
            if channels:
                meter.add_channels(np.stack([block, block]), end / RATE)
        meters.append(meter)
    found = meters[1].quality(seconds=2.0)
    assert found == meters[0].quality()
    assert found.clipped == 80 / (2 * RATE)


@pytest.mark.parametrize("blocks", [[], [np.zeros(RATE, dtype=np.float32)]])
def test_nothing_and_silence_hold_no_speech(blocks):
    found = clip_quality(blocks, RATE)
    assert found.speech == 0
    assert found.level == -np.inf
    assert found.snr == 0
    assert found.weight == 0


def test_weight_falls_with_noise_and_clipping():
    clean = ClipQuality(9.0, 8.0, -20.0, 60.0, 0.0)
    noisy = ClipQuality(9.0, 8.0, -20.0, 5.0, 0.0)
    clipped = ClipQuality(9.0, 8.0, -20.0, 60.0, 0.01)
    assert clean.weight == pytest.approx(8.0, rel=1e-4)
    assert noisy.weight == pytest.approx(4.0)
    assert clipped.weight == pytest.approx(4.0, rel=1e-4)


def test_an_outline_keeps_the_time():
    sound = np.zeros(34 * RATE)
    sound[12 * RATE : 12 * RATE + 300] = 0.5  # at 12 s of 34
    outline = Outline(RATE)
    for block in np.array_split(sound, 7):
        outline.add(block)
    points = outline.points(400)
    assert len(points) == 400
    (place,) = np.flatnonzero(np.array(points) == 50)
    assert abs(place - 400 * 12 / 34) <= 1
    assert len(outline.points(10_000)) == 34 * 20
    assert Outline(RATE).points(5) == []
