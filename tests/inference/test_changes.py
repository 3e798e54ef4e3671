"""Changes of a file: in stretches as in one, and by the user's export."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml

from speechbrain_siamese.inference import changes
from speechbrain_siamese.inference.changes import border_times, find_borders
from speechbrain_siamese.inference.long_files import SpeechFrames
from speechbrain_siamese.inference.speaker import SiameseRecognition


@pytest.fixture(scope="module")
def model(trained):
    return SiameseRecognition.from_hparams(source=str(trained / "export"))


@pytest.fixture(scope="module")
def talk(tiny, tmp_path_factory):
    """Two voices in turns of 5 s, and when they change."""
    parts = [
        tiny.voice(voice, 70 + turn, 5.0)
        for turn, voice in enumerate((0, 7, 0, 7, 0, 7))
    ]
    path = tmp_path_factory.mktemp("talk") / "talk.flac"
    return tiny.write(path, np.concatenate(parts)), np.arange(5.0, 30.0, 5.0)


@pytest.mark.parametrize("stretch", [400, 1000])
def test_stretches_are_joined_without_a_seam(small, monkeypatch, stretch):
    wav = small.sound(16000 * 31)
    encoder, log_mel = small.encoder(40.0), small.features()

    def found(block):
        read = lambda: np.split(wav, range(block, len(wav), block))  # noqa: E731
        speech = SpeechFrames(read, log_mel, encoder, "cpu")
        return find_borders(speech, encoder, 0.01)

    whole = found(16000 * 31)
    monkeypatch.setattr(changes, "STRETCH", stretch)
    cut = found(47_000)
    assert np.array_equal(whole[0], cut[0])
    # The level that a pause is held against is that of the stretch.
    assert cut[1][:, :9] == pytest.approx(whole[1][:, :9], abs=1e-3)


def test_borders_in_a_pause_are_in_its_middle():
    keep = torch.tensor([False, True, True, False, False, False, True, True])
    found = border_times(keep, np.array([1, 2, 3]), hop=0.5)
    assert found.tolist() == [0.75, 2.0, 3.25]


def test_an_export_finds_the_changes_of_its_voices(model, talk):
    path, truth = talk
    found = np.array(model.detect_changes(path, recall=0.9))
    # A turn ends with a pause of 0.6 s: the change is anywhere in it.
    after = found[:, None] - (truth[None] - 0.6)
    near = ((after > -0.25) & (after < 0.85)).any(axis=0)
    assert near.mean() >= 0.8
    assert len(found) < 2 * len(truth)


def test_more_recall_finds_no_less(model, talk):
    path, _ = talk
    few = model.detect_changes(path, recall=0.5)
    many = model.detect_changes(path, recall=0.99)
    assert set(few) <= set(many)
    assert many == sorted(many)


def test_both_forms_of_an_export_find_the_same(model, trained, talk):
    path, _ = talk
    safe = SiameseRecognition.from_pretrained(trained / "export")
    assert safe.detect_changes(path) == model.detect_changes(path)
    config = json.loads((trained / "export" / "config.json").read_text())
    assert len(config["change_weights"]) == 11


def test_a_clip_of_one_second_has_no_change(model, tiny, tmp_path):
    path = tiny.write(tmp_path / "a.wav", tiny.voice(0, 1, 1.2))
    assert model.detect_changes(path) == []


def test_bad_files_and_settings(model, talk, tmp_path):
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    with pytest.raises(ValueError, match=r"text\.wav"):
        model.detect_changes(text)
    with pytest.raises(ValueError, match=r"recall is 0\.2"):
        model.detect_changes(talk[0], recall=0.2)


def test_an_export_without_a_change_model_says_so(model, talk, monkeypatch):
    monkeypatch.setattr(model.hparams, "change_weights", None)
    with pytest.raises(ValueError, match="has not learnt speaker changes"):
        model.detect_changes(talk[0])


def test_the_yaml_file_holds_plain_numbers(trained):
    text = (trained / "export" / "hyperparams.yaml").read_text()
    lines = [line for line in text.splitlines() if line.startswith("change_")]
    found = yaml.safe_load("\n".join(lines))
    assert len(found["change_weights"]) == 11
    assert isinstance(found["change_threshold"], float)
