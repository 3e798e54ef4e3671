"""An earlier model is compared with the new one on the people of both."""

from __future__ import annotations

import logging

import pytest
import torch

from speechbrain_siamese.utils import earlier_model
from speechbrain_siamese.utils.earlier_model import (
    check_start,
    earlier_people,
    old_and_new,
)

HEADER = "ID,duration,wav,start,stop,spk_id,gender,session\n"


def prepared(folder, trained, held_out):
    """A folder as the preparation leaves it, without its audio."""
    folder.mkdir(parents=True)
    for name, people in (("train", trained), ("valid", held_out)):
        lines = [
            f"{who},1.0,$data_root/held_out/{who}.wav,0,16000,{who},,s\n"
            for who in people
        ]
        (folder / f"{name}.csv").write_text(HEADER + "".join(lines))
    (folder / "trials_valid.txt").write_text(
        "".join(f"0 held_out/{who}.wav held_out/x.wav\n" for who in held_out)
    )
    return folder


def test_an_error_rate_of_each_model_on_the_people_of_both(monkeypatch):
    encoder = torch.nn.Linear(1, 1, bias=False)
    encoder.weight.data.fill_(3.0)
    monkeypatch.setattr(
        earlier_model,
        "export_weights",
        lambda start: {"weight": torch.tensor([[5.0]])},
    )
    found = old_and_new(
        "export",
        encoder,
        {"new": (10,), "earlier": (100,)},
        lambda scale: scale * encoder.weight.item(),
    )
    assert found == {
        "path": "export",
        "earlier_model_new_people": 50,
        "earlier_model_earlier_people": 500,
        "new_model_new_people": 30,
        "new_model_earlier_people": 300,
    }
    assert encoder.weight.item() == 3


def test_earlier_people_are_those_that_it_was_validated_with(tmp_path):
    prepared(tmp_path / "one" / "prepared", ["a", "b"], ["c", "d"])
    now = prepared(tmp_path / "two" / "prepared", ["e", "f"], ["g"])
    dataset, table = earlier_people(tmp_path / "one" / "export", now)
    assert set(dataset.data_ids) == {"c", "d"}
    assert set(table.names) == {"held_out/c.wav", "held_out/d.wav"} | {
        "held_out/x.wav"
    }


def test_people_whom_one_learns_from_and_the_other_tests_are_warned_of(
    tmp_path, caplog
):
    prepared(tmp_path / "one" / "prepared", ["a", "b"], ["c", "d"])
    now = prepared(tmp_path / "two" / "prepared", ["c", "f"], ["b"])
    with caplog.at_level(logging.WARNING):
        earlier_people(tmp_path / "one" / "export", now)
    first, second = (record.getMessage() for record in caplog.records)
    assert "1 validation people" in first
    assert "(c)" in first
    assert "(b)" in second


def test_without_the_earlier_preparation_there_are_no_earlier_people(tmp_path):
    assert earlier_people(tmp_path / "export", tmp_path / "now") is None


def test_a_start_that_is_no_export_is_refused(tmp_path):
    check_start(None, tmp_path)
    with pytest.raises(ValueError, match="holds no hyperparams"):
        check_start(tmp_path, tmp_path / "export")


def test_a_start_that_would_be_overwritten_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(earlier_model, "export_weights", lambda start: {})
    check_start(tmp_path / "other", tmp_path / "export")
    with pytest.raises(ValueError, match="give another output_folder"):
        check_start(tmp_path / "other" / ".." / "export", tmp_path / "export")
