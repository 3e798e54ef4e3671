"""Exports of earlier versions load for ever, and answer as they did.

``tests/exports`` holds a tiny one of each version, trained on the tiny corpus:

    train.py hparams/siamese.yaml --statistics=False --growth_rate=4
        --blocks=[1,1,1,1] --embedding_dim=8 --number_of_epochs=2
        --steps_per_epoch=20

with the settings of ``tiny_corpus.QUICK``, and what it answered then. A release
that changes what an export is gets another one; none is ever taken away.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soxr
import torch
from speechbrain.inference.speaker import SpeakerRecognition

from speechbrain_siamese.inference.speaker import SiameseRecognition

FOLDER = Path(__file__).resolve().parent.parent / "exports"
EXPORTS = sorted(path for path in FOLDER.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def pairs(tiny) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """One voice, and two: sound that every version makes alike."""

    def wave(voice: int, take: int) -> torch.Tensor:
        sound = tiny.voice(voice, take, 6.0)
        return torch.from_numpy(soxr.resample(sound, tiny.RATE, 16000))[None]

    return [(wave(2, 50), wave(2, 51)), (wave(2, 50), wave(6, 50))]


@pytest.fixture(params=EXPORTS, ids=lambda path: path.name)
def export(request) -> Path:
    return request.param


def test_there_are_some():
    assert EXPORTS


@pytest.mark.parametrize(
    "load",
    [
        lambda path: SpeakerRecognition.from_hparams(source=str(path)),
        lambda path: SiameseRecognition.from_hparams(source=str(path)),
        SiameseRecognition.from_pretrained,
    ],
    ids=["stock", "ours", "safe"],
)
def test_scores_are_what_they_were(export, load, pairs):
    told = json.loads((FOLDER / f"{export.name}.json").read_text())
    model = load(export)
    scores = [model.verify_batch(*pair)[0].item() for pair in pairs]
    assert scores == pytest.approx(told["scores"], abs=1e-3)
    assert model.classify_batch(pairs[0][0])[3] == [told["classified"]]


def test_it_enrols_finds_changes_and_labels(export, pairs, tiny, tmp_path):
    model = SiameseRecognition.from_pretrained(export)
    path = tiny.write(tmp_path / "a.wav", tiny.voice(2, 50, 12.0))
    gallery = model.gallery(tmp_path / "people.sqlite")
    assert gallery.enroll("a", path).added == 1
    assert gallery.identify(path).candidates[0].score == pytest.approx(1.0)
    assert all(0 < time < 12 for time in model.detect_changes(path))
    assert model.label(path)
    assert model.compare_files(path, path).score == pytest.approx(1.0)
