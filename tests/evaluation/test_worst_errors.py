"""Which errors are the worst, and what a player of them holds."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import soundfile

from speechbrain_siamese.evaluation.worst_errors import (
    PEAK,
    audio_player_data,
    worst_errors,
)


def sound(seconds, sample_rate, frequency=220.0):
    """A quiet tone."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return 0.01 * np.sin(2 * np.pi * frequency * time)


def heard(address):
    """What a browser would play."""
    kind, data = address.split(",")
    assert kind == "data:audio/mpeg;base64"
    file = io.BytesIO(base64.b64decode(data, validate=True))
    assert soundfile.info(file).format == "MP3"
    file.seek(0)
    return soundfile.read(file)


def test_worst_come_first_and_right_decisions_never():
    #         right  FR   FA   FA   FR   right FA
    scores = [0.90, 0.30, 0.8, 0.6, 0.1, 0.20, 0.7]
    labels = [1, 1, 0, 0, 1, 0, 0]
    assert worst_errors(scores, labels, 0.5) == ([2, 6, 3], [4, 1])
    assert worst_errors(scores, labels, 0.5, count=1) == ([2], [4])


def test_score_at_the_threshold_is_rejected():
    assert worst_errors([0.5, 0.5], [1, 0], 0.5) == ([], [0])


def test_equal_scores_keep_the_order_of_the_list():
    accepts, rejects = worst_errors([0.9] * 4 + [0.1] * 4, [0, 1] * 4, 0.5)
    assert (accepts, rejects) == ([0, 2], [5, 7])


@pytest.mark.parametrize("kind", [np.array, list])
def test_pair_is_given_once_in_whichever_order_it_comes_back(kind):
    scores = [0.9, 0.8, 0.7, 0.6, 0.1]
    labels = [0, 0, 0, 0, 1]
    pairs = (kind(list("abaca")), kind(list("bacba")))
    accepts, rejects = worst_errors(scores, labels, 0.5, 3, pairs)
    assert (accepts, rejects) == ([0, 2, 3], [4])


def test_equals_plain_loops_on_many_trials():
    random = np.random.default_rng(0)
    scores, labels = random.normal(size=500), random.integers(0, 2, 500)
    pairs = random.integers(0, 20, (2, 500))
    expected = []
    for label, sign in ((0, -1), (1, 1)):
        seen, positions = [], []
        for k in sorted(range(500), key=lambda k, sign=sign: sign * scores[k]):
            pair = {*pairs[:, k]}
            wrong = labels[k] == label and (scores[k] > 0.2) == (label == 0)
            if wrong and pair not in seen:
                seen.append(pair)
                positions.append(k)
        expected.append(positions[:30])
    found = worst_errors(scores, labels, 0.2, 30, tuple(pairs))
    assert list(found) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.1, np.nan], [1, 0], 0.5), "NaN"),
        (([0.1, 0.2], [1, 0], np.nan), "threshold is nan"),
        (([0.1, 0.2], [1, 0], 0.5, 5, ([1, 2], [1])), r"\[2, 1\] utterances"),
    ],
)
def test_unusable_trials_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        worst_errors(*arguments)


@pytest.mark.parametrize("sample_rate", [8000, 16000, 22050, 48000])
def test_player_holds_the_sound_at_its_rate(sample_rate):
    samples, rate = heard(audio_player_data(sound(2, sample_rate), sample_rate))
    assert rate == sample_rate
    assert len(samples) / rate == pytest.approx(2, abs=0.1)
    assert samples.ndim == 1
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * rate / len(samples) == pytest.approx(
        220, abs=2
    )


@pytest.mark.parametrize(
    ("sample_rate", "known"), [(6000, 8000), (20000, 22050), (96000, 48000)]
)
def test_rate_that_mp3_lacks_is_changed_but_not_the_pitch(sample_rate, known):
    samples, rate = heard(audio_player_data(sound(1, sample_rate), sample_rate))
    assert rate == known
    assert len(samples) / rate == pytest.approx(1, abs=0.1)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * rate / len(samples) == pytest.approx(
        220, abs=2
    )


def test_long_recording_is_played_from_its_middle():
    samples = np.concatenate([sound(4, 16000, f) for f in (200, 400, 800)])
    found, rate = heard(audio_player_data(samples, 16000, seconds=3.0))
    assert len(found) / rate == pytest.approx(3, abs=0.1)
    spectrum = np.abs(np.fft.rfft(found))
    assert np.argmax(spectrum) * rate / len(found) == pytest.approx(400, abs=2)


@pytest.mark.parametrize("factor", [1e-3, 1, 80])
def test_quiet_and_loud_recordings_are_levelled(factor):
    samples, _ = heard(audio_player_data(factor * sound(1, 16000), 16000))
    assert np.abs(samples).max() == pytest.approx(PEAK, abs=0.05)


def test_silence_stays_silent():
    samples, _ = heard(audio_player_data(np.zeros(16000), 16000))
    assert np.abs(samples).max() < 1e-3


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((2, 100)), r"shape \(2, 100\)"),
        (np.zeros(0), r"shape \(0,\)"),
        (np.array([0.1, np.nan]), "NaN"),
    ],
)
def test_unusable_sound_is_named(samples, message):
    with pytest.raises(ValueError, match=message):
        audio_player_data(samples, 16000)
