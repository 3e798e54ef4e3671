"""Voice is found block by block, by level or by Silero's network."""

from __future__ import annotations

import csv
import sys

import numpy as np
import pytest
import torch

from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.decoding import decode
from speechbrain_siamese.dataio.voice_activity import load_silero, voice_finder

RATE = 16000


def find(samples, blocks=1, upto=None, **settings):
    finder = voice_finder(CleaningSettings(**{"sample_rate": RATE, **settings}))
    for block in np.array_split(samples, blocks):
        finder.add(block)
    return finder.voiced(len(samples) if upto is None else upto)


@pytest.fixture(scope="module")
def speech(real_data):
    """Twenty seconds of a real recording behind its advert."""
    path = sorted((real_data / "raw").glob("*/*.m4a"))[0]
    return decode(path, RATE)[12 * RATE : 32 * RATE]


@pytest.mark.parametrize("vad", [None, "silero"])
def test_blocks_make_no_difference(speech, vad):
    whole = find(speech, vad=vad)
    assert whole
    assert find(speech, blocks=37, vad=vad) == whole


@pytest.mark.parametrize("vad", [None, "silero"])
def test_what_lies_behind_the_end_does_not_count(speech, vad):
    half = len(speech) // 2
    stretches = find(speech, upto=half, vad=vad)
    assert stretches[-1][1] <= half
    if vad == "silero":
        # By level it may: the recording's own level is that of the whole.
        assert stretches == find(speech[:half], vad=vad)


def test_silero_finds_what_silero_finds(speech):
    """As its own function, which wants the whole recording in memory."""
    import silero_vad

    expected = silero_vad.get_speech_timestamps(
        torch.from_numpy(speech),
        load_silero(),
        min_silence_duration_ms=200,
        speech_pad_ms=100,
    )
    assert find(speech, blocks=5, vad="silero") == [
        (stretch["start"], stretch["end"]) for stretch in expected
    ]


def test_silero_hears_speech_and_not_a_tone(speech, speech_like):
    assert not find(speech_like(".##."), vad="silero")
    assert find(speech_like(".##."))


@pytest.mark.parametrize("rate", [16000, 22050])
def test_silero_takes_blocks_of_nothing_and_less_than_a_chunk(rate):
    """All of a block may lie before ``trim_start``."""
    sound = np.random.default_rng(0).normal(0, 0.01, rate)
    finder = voice_finder(CleaningSettings(sample_rate=rate, vad="silero"))
    for block in (sound[:0], sound[:100], sound[100:200], sound[200:]):
        finder.add(block)
    assert finder.voiced(rate) == find(sound, sample_rate=rate, vad="silero")


def test_silero_at_another_rate_finds_the_same_seconds(real_data):
    path = sorted((real_data / "raw").glob("*/*.m4a"))[0]
    voiced = {}
    for rate in (16000, 22050):
        samples = decode(path, rate)[12 * rate : 32 * rate]
        mask = np.zeros(2000, dtype=bool)
        for start, stop in find(samples, sample_rate=rate, vad="silero"):
            mask[start * 100 // rate : stop * 100 // rate] = True
        voiced[rate] = mask
    assert (voiced[16000] == voiced[22050]).mean() > 0.98


def test_silero_keeps_what_the_corpus_marks_as_voiced(real_data):
    """voiced.csv is Silero's own opinion: nearly all of it must be found."""
    with open(real_data / "raw" / "voiced.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    name = next(r["recording"] for r in rows if r["recording"].endswith("m4a"))
    samples = decode(real_data / "raw" / name, RATE)
    found = np.zeros(len(samples), dtype=bool)
    for start, stop in find(samples, vad="silero"):
        found[start:stop] = True
    marked = np.zeros(len(samples), dtype=bool)
    for row in rows:
        if row["recording"] == name:
            first, last = float(row["start"]), float(row["stop"])
            marked[int(first * RATE) : int(last * RATE)] = True
    assert found[marked].mean() > 0.95


def test_threads_of_the_process_stay_as_they_were():
    threads = torch.get_num_threads()
    load_silero.cache_clear()
    load_silero()
    assert torch.get_num_threads() == threads


def test_missing_package_names_the_extra(monkeypatch):
    load_silero.cache_clear()
    monkeypatch.setitem(sys.modules, "silero_vad", None)
    with pytest.raises(ImportError, match=r"speechbrain-siamese\[silero\]"):
        voice_finder(CleaningSettings(vad="silero"))


def test_unknown_detector_is_refused():
    with pytest.raises(ValueError, match="vad is 'webrtc', expected null"):
        CleaningSettings(vad="webrtc")
