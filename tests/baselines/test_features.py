"""The features of the older designs are librosa's, frame by frame."""

from __future__ import annotations

import sys

import librosa
import numpy as np
import pytest

from speechbrain_siamese.baselines.features import (
    average_features,
    cepstra_with_slopes,
    frame_features,
    without_silence,
)

RATE = 8000


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """1.5 s of noise that grows louder."""
    samples = np.random.default_rng(0).standard_normal(3 * RATE // 2)
    return (samples * np.linspace(0.01, 0.2, len(samples))).astype(np.float32)


def test_each_column_is_what_librosa_gives_for_the_wave(noise):
    features = frame_features(noise, RATE)
    feature = librosa.feature
    assert features.shape == (1 + len(noise) // 512, 43)
    for columns, expected in (
        (slice(0, 40), feature.mfcc(y=noise, sr=RATE, n_mfcc=40)),
        (slice(40, 41), feature.zero_crossing_rate(noise)),
        (slice(41, 42), feature.rms(y=noise)),
        (slice(42, 43), feature.spectral_rolloff(y=noise, sr=RATE)),
    ):
        np.testing.assert_allclose(
            features[:, columns].T, expected, rtol=1e-4, atol=1e-3
        )


def test_a_clip_is_the_mean_of_its_frames(noise):
    np.testing.assert_allclose(
        average_features(noise, RATE),
        frame_features(noise, RATE).mean(axis=0),
        rtol=1e-6,
    )


def test_roll_off_and_crossings_of_a_tone_are_its_pitch():
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    middle = frame_features(tone, RATE)[5:-5]
    np.testing.assert_allclose(middle[:, 40], 2 * 1000 / RATE, rtol=0.01)
    np.testing.assert_allclose(middle[:, 41], np.sqrt(0.5), rtol=0.01)
    np.testing.assert_allclose(middle[:, 42], 1000, atol=10)


def test_cepstra_do_not_know_the_microphone(noise):
    """A filter adds the same to the cepstra of each frame, but at edges."""
    dull = np.convolve(noise, [0.5, 0.4, 0.3])[: len(noise)]
    plain, filtered = (
        cepstra_with_slopes(wave, RATE)[3:-3] for wave in (noise, dull)
    )
    assert plain.shape[1] == 40
    raw = [
        librosa.feature.mfcc(y=wave, sr=RATE, n_mfcc=20).T
        for wave in (noise, dull)
    ]
    own = np.abs(plain - filtered)[:, :20].mean()
    assert own < 0.3 * np.abs(raw[0] - raw[1]).mean()


def test_cepstra_are_without_mean_and_slopes_are_theirs(noise):
    cepstra, slopes = np.split(cepstra_with_slopes(noise, RATE), 2, axis=1)
    np.testing.assert_allclose(cepstra.mean(axis=0), 0, atol=1e-3)
    # Straight lines through nine frames each.
    line = np.arange(-4, 5)
    expected = [line @ cepstra[i - 4 : i + 5] / 60 for i in (10, 50)]
    np.testing.assert_allclose(slopes[[10, 50]], expected, atol=1e-3)


@pytest.mark.parametrize("function", [frame_features, cepstra_with_slopes])
@pytest.mark.parametrize("count", [1, 100, 2047])
def test_less_than_a_frame_is_filled_up_without_warning(
    function, count, recwarn
):
    features = function(np.full(count, 0.1), RATE)
    assert np.isfinite(features).all()
    assert len(features) > 0
    assert not [w for w in recwarn if issubclass(w.category, UserWarning)]


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 48000])
def test_no_rate_leaves_an_empty_band(rate, recwarn):
    samples = np.random.default_rng(0).standard_normal(rate // 2)
    frame_features(samples, rate)
    cepstra_with_slopes(samples, rate)
    assert not [w for w in recwarn if "filter" in str(w.message)]


@pytest.mark.parametrize("function", [frame_features, cepstra_with_slopes])
@pytest.mark.parametrize(
    "samples", [np.zeros(0), np.zeros((2, 800)), np.full(800, np.nan)]
)
def test_what_is_no_mono_signal_is_refused(function, samples):
    with pytest.raises(ValueError, match="expected \\(samples,\\)"):
        function(samples, RATE)


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "librosa", None)
    for function in (frame_features, average_features, cepstra_with_slopes):
        with pytest.raises(
            ImportError, match=r"speechbrain-siamese\[baselines\]"
        ):
            function(np.ones(RATE), RATE)


def test_silence_is_dropped_from_between_voices():
    """
    voice |#####|     |#####|     (1 s, 2 s of silence, 1 s, 2 s of silence)
    kept  |#####|-   -|#####|-    (0.1 s at each side of a voice)
    """
    voice = np.sin(np.arange(RATE)) * 0.1
    hush = np.zeros(2 * RATE)
    kept = without_silence(np.concatenate([voice, hush, voice, hush]), RATE)
    assert abs(len(kept) - 2.3 * RATE) < 0.05 * RATE
    np.testing.assert_array_equal(kept[:RATE], voice)


def test_silence_alone_is_kept_as_it_is():
    hush = np.zeros(RATE)
    np.testing.assert_array_equal(without_silence(hush, RATE), hush)
