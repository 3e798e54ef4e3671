"""Ends are cut and silence is dropped, at any recording level."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydub import AudioSegment
from pydub.silence import detect_nonsilent, split_on_silence

from speechbrain_siamese.dataio.cleaning import (
    CleaningSettings,
    StepSums,
    between_cuts,
    frame_levels,
    silence_level,
    voiced_stretches,
)

RATE = 16000
STEP = CleaningSettings().seek_samples


def sums_of(samples, step=STEP) -> np.ndarray:
    sums = StepSums(step)
    sums.add(samples)
    return sums.whole()


def voiced(samples, **settings) -> list[tuple[float, float]]:
    """Voiced stretches in seconds."""
    settings = CleaningSettings(sample_rate=RATE, **settings)
    found = voiced_stretches(
        sums_of(samples, settings.seek_samples), len(samples), settings
    )
    return [(start / RATE, stop / RATE) for start, stop in found]


def assert_near(found, expected) -> None:
    """Equal within one seek step."""
    np.testing.assert_allclose(found, expected, atol=STEP / RATE + 1e-9)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(1, 1.5, (8000, 12000)), (0, 0, (0, 24000)), (2, 1, (16000, 16000))],
)
def test_the_cuts_take_their_seconds_off_both_ends(start, end, expected):
    settings = CleaningSettings(
        sample_rate=8000, trim_start=start, trim_end=end
    )
    assert between_cuts(24000, settings) == expected


def test_cuts_longer_than_the_recording_leave_nothing():
    settings = CleaningSettings(sample_rate=8000, trim_start=9, trim_end=9)
    first, last = between_cuts(24000, settings)
    assert first == last


def test_level_of_a_sine_is_its_root_mean_square():
    sine = 0.5 * np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE)
    levels = frame_levels(sums_of(sine), STEP, 2)
    assert len(levels) == 50
    np.testing.assert_allclose(levels, 20 * math.log10(0.5 / 2**0.5))


def test_levels_equal_those_of_plain_loops():
    samples = np.random.default_rng(0).standard_normal(1000) * 0.1 + 0.3
    levels = frame_levels(sums_of(samples), STEP, 2)
    assert len(levels) == 3
    for index, level in enumerate(levels):
        part = samples[index * 320 : (index + 1) * 320]
        power = sum((x - part.mean()) ** 2 for x in part) / len(part)
        assert level == pytest.approx(10 * math.log10(power))


@pytest.mark.parametrize("size", [1, 7, 160, 1000])
def test_sums_do_not_depend_on_the_blocks_they_come_in(size):
    samples = np.random.default_rng(0).standard_normal(5000)
    sums = StepSums(STEP)
    for first in range(0, len(samples), size):
        sums.add(samples[first : first + size])
    np.testing.assert_array_equal(sums.whole(), sums_of(samples))


def test_offset_of_the_sound_card_is_no_level():
    assert frame_levels(sums_of(np.full(RATE, 0.25)), STEP, 2).max() < -100


def test_digital_silence_has_no_level_and_no_warning(recwarn):
    assert np.isneginf(frame_levels(sums_of(np.zeros(RATE)), STEP, 2)).all()
    assert len(frame_levels(sums_of(np.zeros(0)), STEP, 2)) == 0
    assert not recwarn.list


def test_silence_is_dropped_but_for_what_is_kept_at_each_side(speech_like):
    #           0123456789
    pattern = ".##..#.##."
    found = voiced(speech_like(pattern))
    assert_near(found, [(0.9, 3.1), (4.9, 6.1), (6.9, 9.1)])


def test_short_gaps_are_no_silence(speech_like):
    found = voiced(
        speech_like("#.#..#"),
        silence_threshold=-50.0,
        silence_relative=False,
        min_silence=1.5,
    )
    assert_near(found, [(0.0, 3.1), (4.9, 6.0)])


def test_gaps_that_kept_silence_fills_do_not_double_audio(speech_like):
    samples = speech_like("#.#.#")
    found = voiced(samples, keep_silence=0.6)
    assert_near(found, [(0.0, 5.0)])


@pytest.mark.parametrize("gain", [2.0, 1.0, 0.1, 0.02])
def test_relative_threshold_follows_the_recording_level(speech_like, gain):
    samples = speech_like(".##..#.##.") * gain
    found = voiced(samples)
    assert_near(found, [(0.9, 3.1), (4.9, 6.1), (6.9, 9.1)])


def test_absolute_threshold_does_not_follow_it(speech_like):
    samples = speech_like(".##.") * 0.1
    absolute = {"silence_relative": False}
    assert not voiced(samples, silence_threshold=-30.0, **absolute)
    found = voiced(samples, silence_threshold=-60.0, **absolute)
    assert_near(found, [(0.9, 3.1)])


def test_pauses_full_of_noise_are_dropped_too(speech_like):
    samples = speech_like(".##..#.##.")
    noise = np.random.default_rng(1).standard_normal(len(samples))
    # 18 dB below the voice: above a threshold of -25 dB.
    noisy = samples + 0.022 * noise
    found = voiced(noisy)
    assert_near(found, [(0.9, 3.1), (4.9, 6.1), (6.9, 9.1)])


def test_voice_without_any_pause_is_kept_whole(speech_like):
    samples = speech_like("#####")
    found = voiced(samples)
    assert_near(found, [(0.0, 5.0)])


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
        assert not voiced(
            samples, silence_threshold=-60.0, silence_relative=relative
        )


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


def pydubs_stretches(samples, threshold, min_silence, keep, step):
    """What the real pydub keeps, in seconds, its pieces put together."""
    segment = AudioSegment(
        np.rint(samples * 32767).astype("<i2").tobytes(),
        frame_rate=RATE,
        sample_width=2,
        channels=1,
    )
    found = []
    for start, stop in detect_nonsilent(segment, min_silence, threshold, step):
        start, stop = start - keep, stop + keep
        if found and start <= found[-1][1]:
            start = found.pop()[0]
        found.append((max(0, start), min(len(segment), stop)))
    # split_on_silence cuts the same samples out.
    pieces = split_on_silence(segment, min_silence, threshold, keep, step)
    assert sum(map(len, pieces)) == sum(b - a for a, b in found)
    return [(start / 1000, stop / 1000) for start, stop in found]


def murmur(seed: int) -> np.ndarray:
    """Twenty seconds of noise whose level wanders from -70 to -10 dBFS."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-70, -10, 60)
    level = np.interp(
        np.arange(20 * RATE), np.linspace(0, 20 * RATE, 60), corners
    )
    noise = rng.standard_normal(20 * RATE)
    return (noise * 10 ** (level / 20)).clip(-1, 1).astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("threshold", "min_silence", "keep", "step"),
    [
        (-30, 100, 100, 1),
        (-40, 200, 50, 10),
        (-35, 700, 0, 5),
        (-25, 300, 400, 20),
    ],
)
def test_silence_is_what_pydub_takes_for_it(
    seed, threshold, min_silence, keep, step
):
    samples = murmur(seed)
    expected = pydubs_stretches(samples, threshold, min_silence, keep, step)
    found = voiced(
        samples,
        silence_threshold=threshold,
        silence_relative=False,
        min_silence=min_silence / 1000,
        keep_silence=keep / 1000,
        seek_step=step / 1000,
    )
    assert len(expected) > 1
    np.testing.assert_allclose(found, expected, atol=step / 1000 + 1e-9)
