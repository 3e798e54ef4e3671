"""The ONNX file answers as PyTorch does, whatever the lengths."""

from __future__ import annotations

import sys

import pytest
import torch

from speechbrain_siamese.inference.speaker import SiameseRecognition
from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.ensemble import DenseNetEnsemble
from speechbrain_siamese.utils.onnx_export import WaveformEncoder, export_onnx


@pytest.fixture
def batch(small):
    def make(lengths):
        return torch.nn.utils.rnn.pad_sequence(
            [
                torch.from_numpy(small.sound(own, seed))
                for seed, own in enumerate(lengths)
            ],
            batch_first=True,
        )

    return make


@pytest.mark.parametrize("kind", [DenseNetEncoder, DenseNetEnsemble])
@pytest.mark.parametrize("silence_range", [None, 40.0])
@pytest.mark.parametrize(
    "lengths", [[8000], [6500, 40_013, 8000], [16_000, 100_000]]
)
@torch.no_grad()
def test_without_loops_it_is_the_same_encoder(
    small, batch, silence_range, lengths, kind
):
    log_mel = small.features()
    encoder = small.encoder(silence_range, kind)
    wavs = batch(lengths)
    expected = encoder(log_mel(wavs)).squeeze(1)
    found = WaveformEncoder(log_mel, encoder)(wavs)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


@torch.no_grad()
def test_short_and_silent_items_are_nan(small, batch):
    log_mel = small.features()
    wavs = batch([16_000, 16_000, 16_000])
    wavs[0, 3000:] = 0
    wavs[1] = 0
    found = WaveformEncoder(log_mel, small.encoder(40.0))(wavs)
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
def test_onnxruntime_gives_the_same_embeddings(session, batch, lengths):
    runtime, model = session
    wavs = batch(lengths)
    (found,) = runtime.run(["embeddings"], {"wavs": wavs.numpy()})
    expected = model.encode_batch(wavs).squeeze(1).numpy()
    assert found == pytest.approx(expected, abs=1e-4)


def test_without_onnx_the_extra_is_named(small, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"onnx.*speechbrain-siamese\[onnx\]"):
        export_onnx(small.features(), small.encoder(None), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_onnx_that_is_broken_is_told_with_its_cause(
    small, monkeypatch, tmp_path
):
    (tmp_path / "onnx.py").write_text("raise ImportError('no libprotobuf')")
    monkeypatch.delitem(sys.modules, "onnx", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"\(no libprotobuf\): pip install"):
        export_onnx(small.features(), small.encoder(None), tmp_path / "m.onnx")
