"""A fingerprint follows what changes an embedding, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from speechbrain_siamese.inference.fingerprint import model_fingerprint


def model(**changes):
    torch.manual_seed(0)
    encoder = torch.nn.Linear(2, 2)
    encoder.window_frames = 200
    made = SimpleNamespace(
        mods=SimpleNamespace(embedding_model=encoder),
        audio_normalizer=SimpleNamespace(sample_rate=16000),
        hparams=SimpleNamespace(threshold=0.5),
    )
    for key, value in changes.items():
        setattr(encoder, key, value)
    return made


def test_equal_models_have_one_fingerprint():
    other = model()
    other.hparams.threshold = 0.7
    other.mods.embedding_model.eval()
    assert model_fingerprint(model()) == model_fingerprint(other)


@pytest.mark.parametrize(
    "change",
    [{"window_frames": 100}, {"bias": torch.nn.Parameter(torch.ones(2))}],
)
def test_settings_and_weights_change_it(change):
    assert model_fingerprint(model()) != model_fingerprint(model(**change))


def test_sample_rate_changes_it():
    other = model()
    other.audio_normalizer.sample_rate = 8000
    assert model_fingerprint(model()) != model_fingerprint(other)
