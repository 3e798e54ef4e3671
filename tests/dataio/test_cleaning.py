"""Ends are cut and silence is dropped, at any recording level."""

from __future__ import annotations

import math

import numpy as np
import pytest

from speechbrain_siamese.dataio.cleaning import (
    CleaningSettings,
    frame_levels,
    join,
    silence_level,
    trim,
    voiced_stretches,
)

RATE = 16000


def seconds(stretches):
    return [(start / RATE, stop / RATE) for start, stop in stretches]


def test_trim_takes_the_given_seconds_off_both_ends():
    assert trim(np.arange(10), 2, 1.0, 1.5).tolist() == [2, 3, 4, 5, 6]
    assert trim(np.arange(10), 2, 0.0, 0.0).tolist() == list(range(10))


@pytest.mark.parametrize(("start", "end"), [(5, 0), (0, 5), (3, 2), (9, 9)])
def test_trim_of_too_short_audio_is_empty(start, end):
    assert len(trim(np.arange(10), 2, start, end)) == 0


def test_level_of_a_sine_is_its_root_mean_square():
    sine = 0.5 * np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE)
    levels = frame_levels(sine, RATE)
    assert len(levels) == 50
    np.testing.assert_allclose(levels, 20 * math.log10(0.5 / 2**0.5))


def test_levels_equal_those_of_plain_loops():
    samples = np.random.default_rng(0).standard_normal(1000) * 0.1
    levels = frame_levels(samples, RATE, frame=0.02)
    for index, start in enumerate(range(0, 1000, 320)):
        part = samples[start : start + 320]
        power = sum((x - part.mean()) ** 2 for x in part) / len(part)
        assert levels[index] == pytest.approx(10 * math.log10(power))


def test_levels_do_not_depend_on_the_chunks_they_are_made_in():
    samples = np.random.default_rng(0).standard_normal(4100 * 10)
    whole = frame_levels(samples, 100, frame=0.1)
    parts = [
        frame_levels(samples[i : i + 10], 100, frame=0.1)
        for i in range(0, len(samples), 10)
    ]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_offset_of_the_sound_card_is_no_level():
    assert frame_levels(np.full(RATE, 0.25), RATE).max() < -100


def test_digital_silence_has_no_level_and_no_warning(recwarn):
    assert np.isneginf(frame_levels(np.zeros(RATE), RATE)).all()
    assert len(frame_levels(np.zeros(0), RATE)) == 0
    assert not recwarn.list


def test_silence_is_dropped_but_for_what_is_kept_at_each_side(speech_like):
    #           0123456789
    pattern = ".##..#.##."
    found = voiced_stretches(speech_like(pattern), RATE, -25.0, 0.2, 0.1)
    assert seconds(found) == [(0.9, 3.1), (4.9, 6.1), (6.9, 9.1)]


def test_short_gaps_are_no_silence(speech_like):
    found = voiced_stretches(speech_like("#.#..#"), RATE, -25.0, 1.5, 0.1)
    assert seconds(found) == [(0.0, 3.1), (4.9, 6.0)]


def test_gaps_that_kept_silence_fills_do_not_double_audio(speech_like):
    samples = speech_like("#.#.#")
    found = voiced_stretches(samples, RATE, -25.0, 0.2, 0.6)
    assert seconds(found) == [(0.0, 5.0)]
    assert len(join(samples, found)) == len(samples)


@pytest.mark.parametrize("gain", [2.0, 1.0, 0.1, 0.02])
def test_relative_threshold_follows_the_recording_level(speech_like, gain):
    samples = speech_like(".##..#.##.") * gain
    found = voiced_stretches(samples, RATE, -25.0, 0.2, 0.1)
    assert seconds(found) == [(0.9, 3.1), (4.9, 6.1), (6.9, 9.1)]


def test_absolute_threshold_does_not_follow_it(speech_like):
    samples = speech_like(".##.") * 0.1
    assert not voiced_stretches(samples, RATE, -30.0, 0.2, 0.1, False)
    found = voiced_stretches(samples, RATE, -40.0, 0.2, 0.1, False)
    assert seconds(found) == [(0.9, 3.1)]


def test_pauses_full_of_noise_are_dropped_too(speech_like):
    samples = speech_like(".##..#.##.")
    noise = np.random.default_rng(1).standard_normal(len(samples))
    # 18 dB below the voice: above a threshold of -25 dB.
    noisy = samples + 0.022 * noise
    found = voiced_stretches(noisy, RATE, -25.0, 0.2, 0.1)
    assert seconds(found) == [(0.9, 3.1), (4.9, 6.1), (6.9, 9.1)]


def test_voice_without_any_pause_is_kept_whole(speech_like):
    samples = speech_like("#####")
    found = voiced_stretches(samples, RATE, -25.0, 0.2, 0.1)
    assert seconds(found) == [(0.0, 5.0)]


@pytest.mark.parametrize("level", [-np.inf, -90.0])
def test_long_digital_silence_does_not_move_the_threshold(level):
    voice = np.repeat([-20.0, -40.0], 50)
    padded = np.r_[voice, np.full(100000, level)]
    assert silence_level(voice, -25.0, True) == -34.0
    assert silence_level(padded, -25.0, True) == -34.0


def test_what_is_near_digital_silence_is_never_voice():
    faint = np.repeat([-60.0, -80.0], 50)
    assert silence_level(faint, -40.0, relative=True) == -70.0
    assert silence_level(faint, -90.0, relative=False) == -70.0


@pytest.mark.parametrize("relative", [True, False])
def test_faint_noise_alone_is_silence(relative):
    # One step of 16 bits.
    dither = np.random.default_rng(0).integers(-1, 2, RATE * 3) / 32768
    for samples in (dither, np.zeros(RATE), np.zeros(0)):
        assert not voiced_stretches(samples, RATE, -60.0, 0.2, 0.1, relative)


def test_join_puts_stretches_one_after_the_other():
    samples = np.arange(10)
    assert join(samples, [(1, 3), (7, 9)]).tolist() == [1, 2, 7, 8]
    assert len(join(samples, [])) == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sample_rate", 4000),
        ("sample_rate", 16000.5),
        ("trim_start", -1),
        ("trim_end", "60 s"),
        ("silence_threshold", 30),
        ("silence_relative", "yes"),
        ("min_silence", 0),
        ("keep_silence", -0.1),
        ("keep_silence", float("nan")),
        ("min_duration", 0),
        ("trim_start", True),
    ],
)
def test_settings_out_of_range_are_told_by_key_and_value(key, value):
    with pytest.raises(ValueError, match=f"{key} is {value!r}, expected"):
        CleaningSettings(**{key: value})


def test_settings_of_2023_are_permitted():
    CleaningSettings(
        sample_rate=22050,
        trim_start=60,
        trim_end=60,
        silence_threshold=-30,
        silence_relative=False,
        min_silence=0.1,
        keep_silence=0.1,
    )
