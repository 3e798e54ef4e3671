"""What is told of a training that went on from an earlier model."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from speechbrain_siamese import training_report
from speechbrain_siamese.utils import earlier_model


def encoder_of(weight: float) -> torch.nn.Module:
    encoder = torch.nn.Linear(1, 1, bias=False)
    encoder.weight.data.fill_(weight)
    return encoder


def test_the_encoder_is_held_against_the_earlier_one(monkeypatch):
    own = encoder_of(3.0)
    brain = SimpleNamespace(
        hparams=SimpleNamespace(
            init_from="export", prepared_folder="now", eval_batch_size=1
        ),
        trials={"valid": SimpleNamespace(labels=None)},
        raw_modules={"embedding_model": own},
        embed=lambda dataset, settings: None,
        score=lambda table: own.weight.item(),
    )
    monkeypatch.setattr(training_report, "eer", lambda scores, _: (scores, 0))
    monkeypatch.setattr(
        training_report, "earlier_people", lambda *folders: None
    )
    monkeypatch.setattr(
        earlier_model,
        "export_weights",
        lambda start: {"weight": torch.tensor([[5.0]])},
    )
    assert training_report._compare_with_start(brain, "people") == {
        "path": "export",
        "earlier_model_new_people": 5.0,
        "new_model_new_people": 3.0,
    }
    assert own.weight.item() == 3.0
