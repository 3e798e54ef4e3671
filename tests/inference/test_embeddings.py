"""Embeddings of files: each alone, its cuts, and what the cache keeps."""

from __future__ import annotations

import os
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_siamese.inference import embeddings
from speechbrain_siamese.inference.embeddings import (
    EmbeddingCache,
    embed_files,
)
from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.features import LogMel

RATE = 8000


class Encoder:
    """Length, first and last sample of each waveform; counts its calls."""

    device = "cpu"
    audio_normalizer = SimpleNamespace(sample_rate=RATE)

    def __init__(self):
        self.calls = 0

    def encode_batch(self, wavs):
        self.calls += 1
        if not wavs.any():
            raise ValueError("item 0 of the batch is silent")
        ends = wavs[:, [0, -1]]
        length = torch.full((len(wavs), 1), float(wavs.shape[1]))
        return torch.cat([length, ends], dim=1)[:, None]


@pytest.fixture
def files(tmp_path):
    """A ramp of 2 s, one of 0.5 s, a silent file and one that is no sound."""
    paths = [tmp_path / f"{name}.wav" for name in ("long", "short", "silent")]
    for path, samples in zip(
        paths,
        (np.linspace(0.1, 0.9, 2 * RATE), np.full(4000, 0.5), np.zeros(RATE)),
        strict=True,
    ):
        soundfile.write(path, samples, RATE, subtype="FLOAT")
    paths.append(tmp_path / "text.wav")
    paths[-1].write_text("no sound")
    paths.append(tmp_path / "missing.wav")
    return paths


def cache(tmp_path, fingerprint="model"):
    return EmbeddingCache(tmp_path / "cache", fingerprint)


def test_cuts_are_the_middle_and_short_files_stay_whole(files, tmp_path):
    found, unusable = embed_files(
        Encoder(), files, (None, 1.0), cache(tmp_path)
    )
    assert found[None][:2, 0].tolist() == [2 * RATE, 4000]
    assert found[1.0][:2, 0].tolist() == [RATE, 4000]
    ramp = np.linspace(0.1, 0.9, 2 * RATE)
    expected = [ramp[RATE // 2], ramp[RATE // 2 + RATE - 1]]
    assert found[1.0][0, 1:].tolist() == pytest.approx(expected)
    assert list(unusable) == [2, 3, 4]
    assert "silent" in unusable[2]
    assert "text.wav" in unusable[3]
    assert "missing.wav: no such file" in unusable[4]
    assert found[None][2:].isnan().all()


def test_silent_middle_costs_the_cut_only(tmp_path):
    path = tmp_path / "a.wav"
    samples = np.ones(3 * RATE, dtype=np.float32)
    samples[RATE : 2 * RATE] = 0
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    found, unusable = embed_files(
        Encoder(), [path], (None, 1.0), cache(tmp_path)
    )
    assert not unusable
    assert found[None].isfinite().all()
    assert found[1.0].isnan().all()


def test_cache_spares_the_encoder_until_a_file_changes(files, tmp_path):
    first, again = Encoder(), Encoder()
    usable = files[:2]
    before, _ = embed_files(first, usable, (None, 1.0), cache(tmp_path))
    after, _ = embed_files(again, usable, (None, 1.0), cache(tmp_path))
    assert first.calls == 3
    assert again.calls == 0
    assert all(torch.equal(before[cut], after[cut]) for cut in before)
    os.utime(files[0], ns=(1, 1))
    embed_files(again, usable, (None,), cache(tmp_path))
    assert again.calls == 1
    embed_files(again, usable, (None,), cache(tmp_path, "other"))
    assert again.calls == 3


def test_damaged_cache_is_made_again(files, tmp_path, caplog):
    embed_files(Encoder(), files[:1], (None,), cache(tmp_path))
    path = tmp_path / "cache" / "model.npz"
    path.write_bytes(path.read_bytes()[:-40])
    encoder = Encoder()
    embed_files(encoder, files[:1], (None,), cache(tmp_path))
    assert encoder.calls == 1
    assert "is damaged" in caplog.text
    assert cache(tmp_path).found


def test_nothing_usable_is_an_error(files, tmp_path):
    with pytest.raises(ValueError, match="none of 2 files can be embedded"):
        embed_files(Encoder(), files[3:], (None,), cache(tmp_path))


def test_no_file_is_an_error_of_its_own(tmp_path):
    with pytest.raises(ValueError, match="no file is given"):
        embed_files(Encoder(), [], (None,), cache(tmp_path))


class Windowed:
    """Our encoder with random weights; counts its calls."""

    device = "cpu"
    audio_normalizer = SimpleNamespace(sample_rate=16000)

    def __init__(self):
        torch.manual_seed(0)
        encoder = DenseNetEncoder(
            n_mels=32,
            window_len=0.5,
            embedding_dim=8,
            growth_rate=4,
            blocks=[1, 1, 1, 1],
            silence_range=50.0,
        )
        self.mods = torch.nn.ModuleDict(
            {
                "compute_features": LogMel(n_mels=32),
                "embedding_model": encoder.eval(),
            }
        )
        self.batches = []

    def encode_batch(self, wavs, lengths=None):
        self.batches.append(len(wavs))
        feats = self.mods["compute_features"](wavs)
        return self.mods["embedding_model"](feats, lengths)


def test_our_encoder_gets_batches_and_says_the_same(tmp_path):
    generator = np.random.default_rng(0)
    paths = []
    for number, samples in enumerate((16000, 25000, 1000, 70001, 32000)):
        paths.append(tmp_path / f"{number}.wav")
        noise = 0.1 * generator.standard_normal(samples)
        soundfile.write(paths[-1], noise, 16000, subtype="FLOAT")
    model = Windowed()
    found, unusable = embed_files(
        model, paths, (None, 1.0), cache(tmp_path, "together")
    )
    # The third is too short, so that all are asked for once more, alone.
    assert model.batches == [8, *[1] * 8]
    assert list(unusable) == [2]
    assert "too short to know a voice" in unusable[2]
    for row in (0, 1, 3, 4):
        alone, _ = embed_files(
            Windowed(), [paths[row]], (None,), cache(tmp_path, f"{row}")
        )
        torch.testing.assert_close(
            found[None][row], alone[None][0], rtol=0, atol=1e-5
        )


def test_a_long_clip_does_not_make_others_long(tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "BATCH_SECONDS", 4)
    paths = []
    for number, seconds in enumerate((1, 1, 3.9, 1, 1)):
        paths.append(tmp_path / f"{number}.wav")
        noise = np.random.default_rng(number).standard_normal(
            round(16000 * seconds)
        )
        soundfile.write(paths[-1], 0.1 * noise, 16000, subtype="FLOAT")
    model = Windowed()
    embed_files(model, paths, (None,), cache(tmp_path))
    # The shortest first: none is padded to 3.9 s.
    assert model.batches == [4, 1]
