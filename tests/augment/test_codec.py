"""A codec changes the sound, and neither its length nor its time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import speechbrain_siamese.augment.codec as codec_module
from speechbrain_siamese.augment.codec import (
    CODECS,
    CodecRoundTrip,
    round_trip,
)
from speechbrain_siamese.lobes.features import LogMel


@pytest.fixture
def clips(tiny) -> np.ndarray:
    """Four voices, (4, 22050)."""
    return np.stack([tiny.voice(speaker, 1, 1.0) for speaker in range(4)])


def lag(coded: np.ndarray, clip: np.ndarray) -> int:
    """Samples by which ``coded`` is late: the peak of the correlation."""
    size = 2 * len(clip)
    spectrum = np.fft.rfft(coded, size) * np.fft.rfft(clip, size).conj()
    peak = int(np.fft.irfft(spectrum).argmax())
    return peak if peak < len(clip) else peak - size


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("sample_rate", [8000, 16000, 22050, 44100])
def test_sound_stays_where_it_was(clips, codec, sample_rate):
    for clip in clips:
        coded = round_trip(clip, sample_rate, codec, 24)
        # Opus' linear prediction is half a sample off; the delay of any of
        # the codecs is above a hundred.
        assert abs(lag(coded, clip)) <= 1


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("sample_rate", [16000, 22050])
@pytest.mark.parametrize("count", [1, 577, 6000, 16001])
def test_length_stays_to_the_sample(clips, codec, sample_rate, count):
    coded = round_trip(clips[0, :count], sample_rate, codec, 24)
    assert coded.shape == (count,)
    assert coded.dtype == np.float32


@pytest.mark.parametrize("codec", CODECS)
def test_end_of_a_clip_is_there(clips, codec):
    # No silence in front of the last samples: the encoder gave all it held.
    coded = round_trip(clips[0, :8000], 16000, codec, 32)
    own = np.square(clips[0, 7500:8000]).mean()
    assert np.square(coded[7500:]).mean() > 0.5 * own


@pytest.mark.parametrize("codec", CODECS)
def test_fewer_bits_change_the_spectrum_more(clips, codec):
    logmel = LogMel(sample_rate=22050)
    images = logmel(torch.from_numpy(clips))
    loud = images > images.amax() - 12

    def change(bit_rate):
        coded = [round_trip(clip, 22050, codec, bit_rate) for clip in clips]
        difference = logmel(torch.from_numpy(np.stack(coded))) - images
        return difference[loud].square().mean().sqrt()

    assert change(12) > 2 * change(64) > 0


def test_silence_stays_silent_and_loud_sound_is_clipped():
    for codec in CODECS:
        silence = np.zeros(4000, dtype=np.float32)
        assert np.abs(round_trip(silence, 16000, codec, 24)).max() < 1e-4
        loud = 5 * np.sin(np.arange(4000) / 9).astype(np.float32)
        assert np.abs(round_trip(loud, 16000, codec, 64)).max() < 2


def test_each_clip_goes_through_one_of_the_choices(clips):
    coder = CodecRoundTrip(22050, {"aac": [16, 32], "opus": [24]})
    clips = np.concatenate([clips, clips, clips])
    torch.manual_seed(0)
    coded = coder(torch.from_numpy(clips)).numpy()
    seen = set()
    for clip, found in zip(clips, coded, strict=True):
        seen |= {
            choice
            for choice in coder.choices
            if np.array_equal(round_trip(clip, 22050, *choice), found)
        }
    assert seen == {("aac", 16), ("aac", 32), ("opus", 24)}


def test_same_seed_gives_the_same_on_any_number_of_threads(clips):
    coder = CodecRoundTrip(16000, {"aac": [16, 32], "mp3": [32], "opus": [12]})
    clips = torch.from_numpy(clips)
    threads = torch.get_num_threads()
    results = []
    try:
        for seed, count in ((5, 1), (5, 2), (6, 1)):
            torch.set_num_threads(count)
            torch.manual_seed(seed)
            results.append(coder(clips))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize(
    ("bit_rates", "message"),
    [
        ({"mp4": [32]}, "'mp4', expected one of aac, opus, mp3"),
        ({"aac": [32, 24000]}, "bit_rates of aac is 24000"),
        ({"aac": []}, "expected kbit/s by codec"),
        ({}, "expected kbit/s by codec"),
    ],
)
def test_choices_that_make_no_sense_are_refused(bit_rates, message):
    with pytest.raises(ValueError, match=message):
        CodecRoundTrip(16000, bit_rates)


def test_codec_that_is_not_built_in_is_told(monkeypatch):
    monkeypatch.setitem(
        codec_module.CODECS, "opus", CODECS["opus"]._replace(encoder="libnone")
    )
    with pytest.raises(ValueError, match=r"opus, which this build of PyAV"):
        CodecRoundTrip(16000, {"opus": [24]})(torch.zeros(1, 800))
