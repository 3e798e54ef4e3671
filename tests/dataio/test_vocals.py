"""The voice is kept and what recurs is taken off, chunk by chunk."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from speechbrain_siamese.dataio import vocals
from speechbrain_siamese.dataio.vocals import foreground, separate_vocals

RATE = 8000


@pytest.fixture(scope="module")
def mixture() -> tuple[np.ndarray, np.ndarray]:
    """Eight seconds: a chord that stays, and a gliding voice in the middle."""
    time = np.arange(8 * RATE) / RATE
    chord = sum(0.1 * np.sin(2 * np.pi * f * time) for f in (262, 330, 392))
    glide = np.cumsum(500 + 700 * time) / RATE
    voice = 0.2 * np.sin(2 * np.pi * glide)
    voice *= (time > 3.5) & (time < 4.0)
    return chord.astype(np.float32), voice.astype(np.float32)


def power(samples) -> float:
    return float(np.mean(np.square(samples)))


def test_what_recurs_is_taken_off_and_the_voice_stays(mixture):
    chord, voice = mixture
    found = foreground(chord + voice, RATE)
    quiet = slice(0, 3 * RATE)
    loud = slice(int(3.55 * RATE), int(3.95 * RATE))
    assert power(found[quiet]) < 0.01 * power(chord[quiet])
    assert np.corrcoef(found[loud], voice[loud])[0, 1] > 0.9


@pytest.mark.parametrize("seconds", [0, 0.01, 0.3, 3, 4.2, 11.1, 13])
@pytest.mark.parametrize("block", [0.7, 5.0])
def test_as_many_samples_come_out_as_go_in(monkeypatch, seconds, block):
    monkeypatch.setattr(vocals, "CHUNK_SECONDS", 3.0)
    samples = np.random.default_rng(0).standard_normal(round(seconds * RATE))
    size = round(block * RATE)
    blocks = [samples[i : i + size] for i in range(0, len(samples), size)]
    found = list(separate_vocals(blocks, RATE))
    assert sum(map(len, found)) == len(samples)
    assert all(part.dtype == np.float32 for part in found)


def test_chunks_join_without_clicks(monkeypatch, mixture):
    """Where nothing is taken off, chunks put together are the original."""
    monkeypatch.setattr(vocals, "CHUNK_SECONDS", 1.0)
    monkeypatch.setattr(
        vocals, "foreground", lambda samples, _: np.float32(samples).copy()
    )
    _, voice = mixture
    found = np.concatenate(list(separate_vocals([voice], RATE)))
    np.testing.assert_allclose(found, voice, atol=1e-6)


def test_digital_silence_stays_silence(recwarn):
    assert not foreground(np.zeros(4 * RATE), RATE).any()
    assert not recwarn.list


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(ImportError, match=r"speechbrain-siamese\[vocals\]"):
        foreground(np.ones(RATE), RATE)
