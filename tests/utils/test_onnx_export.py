"""The ONNX file answers as PyTorch does, whatever the lengths."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speechbrain_siamese.inference.speaker import SiameseRecognition
from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.features import LogMel
from speechbrain_siamese.utils.onnx_export import WaveformEncoder, export_onnx

RATE = 16000


def encoder_of(silence_range):
    torch.manual_seed(0)
    return DenseNetEncoder(
        n_mels=40,
        window_len=0.5,
        embedding_dim=16,
        growth_rate=4,
        blocks=[1, 1, 1, 1],
        silence_range=silence_range,
    ).eval()


def sound(samples, seed=0):
    """Noise in bursts with pauses 60 dB below."""
    rng = np.random.default_rng(seed)
    bursts = np.where(np.sin(np.arange(samples) / 2500) > -0.3, 0.1, 1e-4)
    return torch.from_numpy(bursts * rng.standard_normal(samples)).float()


def batch(lengths):
    return torch.nn.utils.rnn.pad_sequence(
        [sound(own, seed) for seed, own in enumerate(lengths)], batch_first=True
    )


@pytest.mark.parametrize("silence_range", [None, 40.0])
@pytest.mark.parametrize(
    "lengths", [[8000], [6500, 40_013, 8000], [16_000, 100_000]]
)
@torch.no_grad()
def test_without_loops_it_is_the_same_encoder(silence_range, lengths):
    log_mel = LogMel(sample_rate=RATE, n_mels=40)
    encoder = encoder_of(silence_range)
    wavs = batch(lengths)
    expected = encoder(log_mel(wavs)).squeeze(1)
    found = WaveformEncoder(log_mel, encoder)(wavs)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


@torch.no_grad()
def test_short_and_silent_items_are_nan():
    log_mel = LogMel(sample_rate=RATE, n_mels=40)
    wavs = batch([16_000, 16_000, 16_000])
    wavs[0, 3000:] = 0
    wavs[1] = 0
    found = WaveformEncoder(log_mel, encoder_of(40.0))(wavs)
    assert found.isnan().all(dim=1).tolist() == [True, True, False]


@pytest.fixture(scope="module")
def session(trained, tmp_path_factory):
    """The user's export as ONNX, and its model in PyTorch."""
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    model = SiameseRecognition.from_hparams(source=str(trained / "export"))
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(model.mods.compute_features, model.mods.embedding_model, path)
    assert [found.name for found in path.parent.iterdir()] == ["model.onnx"]
    return runtime.InferenceSession(path), model


@pytest.mark.parametrize("lengths", [[9000], [40_013, 8000, 16_000], [200_000]])
def test_onnxruntime_gives_the_same_embeddings(session, lengths):
    runtime, model = session
    wavs = batch(lengths)
    (found,) = runtime.run(["embeddings"], {"wavs": wavs.numpy()})
    expected = model.encode_batch(wavs).squeeze(1).numpy()
    assert found == pytest.approx(expected, abs=1e-4)


def test_without_onnx_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match=r"speechbrain-siamese\[onnx\]"):
        export_onnx(LogMel(n_mels=40), encoder_of(None), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()
