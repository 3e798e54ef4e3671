"""``siamese`` as its users type it: answers, exit codes, errors in one line."""

from __future__ import annotations

import csv
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from speechbrain_siamese.command_line import main
from speechbrain_siamese.inference import files
from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.features import LogMel


def test_verify_answers_by_its_exit_code(siamese, clips):
    code, text, _ = siamese("verify", clips["a1"], clips["a1"])
    assert code == 0
    assert text.startswith("one voice: score 1.000")
    code, text, _ = siamese("verify", "--json", clips["a1"], clips["b1"])
    found = json.loads(text)
    assert code == (0 if found["same"] else 1)
    assert set(found) == {"score", "same", "llr", "probability", "normalised"}


def test_verify_holds_a_file_against_many(siamese, clips, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound")
    names = clips["a1"], clips["b1"], bad
    code, text, errors = siamese("verify", "--json", clips["a1"], *names)
    rows = [json.loads(line) for line in text.splitlines()]
    assert code == 2
    assert [row["file"] for row in rows] == [str(name) for name in names]
    assert rows[0]["score"] == pytest.approx(1.0, abs=1e-3)
    assert "left out:" in errors and "bad.wav" in rows[2]["error"]
    (_, alone, _) = (
        siamese("verify", "--json", clips["a1"], name) for name in names
    )
    alone = json.loads(alone[1])
    assert rows[1]["score"] == pytest.approx(alone["score"], abs=1e-3)
    assert rows[1]["llr"] == pytest.approx(alone["llr"], abs=0.05)
    code, text, _ = siamese("verify", clips["a1"], clips["a1"], clips["b1"])
    assert text.splitlines()[0].startswith(f"{clips['a1']}: one voice: score 1")
    code, _, errors = siamese("verify", bad, clips["a1"], clips["b1"])
    assert code == 2
    assert "bad.wav" in errors


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (RuntimeError("no memory"), 2, "RuntimeError: no memory"),
        (ValueError("no audio"), 2, "Error: no audio"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_nothing_that_goes_wrong_is_an_answer(
    siamese, clips, monkeypatch, error, code, told
):
    def fail(*_):
        raise error

    monkeypatch.setattr("speechbrain_siamese.command_line.open_model", fail)
    found, text, errors = siamese("verify", clips["a1"], clips["a1"])
    assert (found, text) == (code, "")
    assert told in errors


def test_what_cannot_be_written_is_told_before_the_work(
    siamese, clips, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("no folder")

    def fail(*_):
        raise AssertionError("the model was opened")

    monkeypatch.setattr("speechbrain_siamese.command_line.open_model", fail)
    monkeypatch.setattr(
        "speechbrain_siamese.commands.time_line.open_model", fail
    )
    for command, name in (("label", "talk.rttm"), ("embed", "all.npz")):
        output = tmp_path / "file" / name
        code, _, errors = siamese(command, f"--output={output}", clips["a1"])
        assert code == 2
        assert "file" in errors


def test_one_bad_file_does_not_stop_the_others(siamese, clips, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound")
    code, text, errors = siamese("enroll", "A", bad, clips["a1"])
    assert (code, text) == (2, "A: 1 new clips, 8.0 s\n")
    assert "refused:" in errors and "bad.wav" in errors
    code, text, errors = siamese("identify", bad, clips["a2"])
    assert code == 2
    assert "left out:" in errors
    assert "a2.wav:" in text
    output = tmp_path / "all.npz"
    code, text, errors = siamese(
        "embed", f"--output={output}", bad, clips["a1"], clips["b1"]
    )
    assert (code, text) == (2, f"{output}: 2 embeddings\n")
    assert "bad.wav" in errors
    with np.load(output) as found:
        assert found["files"].tolist() == [clips["a1"], clips["b1"]]
        assert found["embeddings"].shape == (2, 2016)


@pytest.mark.slow
def test_export_writes_an_onnx_file(siamese, tmp_path):
    pytest.importorskip("onnxscript")
    path = tmp_path / "model.onnx"
    assert siamese("export", f"--onnx={path}")[0] == 0
    assert path.stat().st_size > 1000


@pytest.mark.parametrize(
    ("encoder", "features"),
    [
        (torch.nn.Identity(), LogMel(n_mels=32)),
        (
            DenseNetEncoder(n_mels=32, growth_rate=4, blocks=[1, 1, 1, 1]),
            torch.nn.Identity(),
        ),
    ],
)
def test_designs_that_have_no_onnx_form_are_refused(
    siamese, monkeypatch, tmp_path, encoder, features
):
    model = SimpleNamespace(
        mods=SimpleNamespace(compute_features=features, embedding_model=encoder)
    )
    monkeypatch.setattr(
        "speechbrain_siamese.command_line.open_model", lambda *_: model
    )
    code, _, errors = siamese("export", f"--onnx={tmp_path / 'model.onnx'}")
    assert code == 2
    assert "expected the DenseNet of hparams/siamese.yaml" in errors


def test_an_encoder_that_cannot_be_loaded_is_named(siamese, tmp_path):
    code, _, errors = siamese("audit", f"--encoder={tmp_path}", tmp_path)
    assert code == 2
    assert f"{tmp_path} cannot be loaded" in errors
    # The words of another command.
    assert "teacher" not in errors and "!new" not in errors


def test_evaluate_prints_the_figures_of_a_list(siamese, clips, tmp_path):
    trials = tmp_path / "trials.txt"
    trials.write_text("1 a1.wav a2.wav\n1 b1.wav b2.wav\n0 a1.wav b1.wav\n")
    folder = clips["a1"].rsplit("/", 1)[0]
    code, text, _ = siamese(
        "evaluate", "--json", f"--audio-folder={folder}", trials
    )
    found = json.loads(text)
    assert code == 0
    assert found["trials_similar"] == 2
    assert found["left_out"] == 0
    assert 0 <= found["eer"] <= 1
    with trials.open("a") as file:
        file.write("0 a1.wav nothing.wav\n")
    code, text, errors = siamese(
        "evaluate", "--json", f"--audio-folder={folder}", trials
    )
    assert code == 2
    assert json.loads(text) == {**found, "left_out": 1}
    assert "left out: nothing.wav: " in errors


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["gallery", "list"], "is not there"),
        (["gallery", "remove", "X"], "is not there"),
        (["identify", "{a1}"], "there is no gallery"),
        (["enroll", " ", "{a1}"], "a name is"),
        (["enroll", "A", "{text}"], "no clip of 'A' can be used"),
        (["verify", "{a1}", "{text}"], "text.wav"),
        (["verify", "{a1}", "nothing.wav"], "nothing.wav"),
        (["verify", "{a1}"], "Missing argument"),
        (["embed", "--output={text}.npz", "nothing.wav"], "no such file"),
        (["embed", "--output={text}.npz", "/"], "/: a folder, expected"),
        (["embed", "--output={a1}", "{b1}"], "has to end in .npz"),
        (["changes", "--recall=7", "{text}"], "recall is 7"),
        (["audit", "--top=-1", "."], "-1 is not in the range"),
        (["frobnicate"], "No such command"),
    ],
)
def test_errors_are_told_in_one_line(
    siamese, clips, tmp_path, arguments, message
):
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    named = [one.format(**clips, text=text) for one in arguments]
    code, _, errors = siamese(*named)
    assert code == 2
    assert message in errors.splitlines()[-1]
    assert "Traceback" not in errors


def test_a_mistyped_file_is_asked_for_nowhere(siamese, clips, monkeypatch):
    monkeypatch.setattr(files, "fetch", None)
    code, _, errors = siamese("verify", clips["a1"], "nobody/nothing/no.wav")
    assert code == 2
    assert "no.wav: no such file" in errors
    assert "hub" not in errors


def test_an_export_without_the_safe_form_needs_trust(
    siamese, trained, clips, tmp_path
):
    folder = tmp_path / "export"
    shutil.copytree(trained / "export", folder)
    (folder / "config.json").unlink()
    pair = clips["a1"], clips["a1"]
    code, _, errors = siamese("verify", *pair, source=folder)
    assert code == 2
    assert "runs what it says" in errors
    assert siamese("verify", "--trust", *pair, source=folder)[0] == 0


def test_audit_lists_recordings_and_names(siamese, trained, tmp_path):
    prepared = shutil.copytree(trained / "prepared", tmp_path / "prepared")
    code, text, errors = siamese("audit", "--json", "--top=3", prepared)
    assert code == 0, errors
    answer = json.loads(text)
    rows = answer["suspects"]
    assert len(rows) == 3
    assert answer["unjudged"] == []
    marks = [row["suspicion"] for row in rows]
    assert marks == sorted(marks, reverse=True)
    with open(prepared / "suspects.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["kind"] for row in table[:3]] == [row["kind"] for row in rows]
    # Of somebody's recordings one is left.
    someone = next((prepared / "clean").iterdir())
    for note in sorted(someone.glob("*.json"))[1:]:
        note.unlink()
    code, text, errors = siamese("audit", "--top=1", prepared)
    assert code == 0, errors
    assert text.splitlines()[-1].startswith("1 recordings judged against")
    code, _, errors = siamese("audit", tmp_path, source="")
    assert code == 2
    assert "no model is named" in errors
    code, _, errors = siamese("audit", tmp_path)
    assert code == 2
    assert "holds 0 speakers" in errors


def test_every_command_has_help_with_an_example(siamese):
    def commands(group, path=()):
        for name, command in group.commands.items():
            yield (*path, name)
            if hasattr(command, "commands"):
                yield from commands(command, (*path, name))

    names = [*commands(main)]
    assert len(names) > 10
    for name in names:
        code, text, _ = siamese(*name, "--help")
        assert code == 0
        assert "Example: siamese" in text.replace("\n", " "), name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete(siamese, shell):
    code, text, _ = siamese("completion", shell)
    assert code == 0
    assert "_SIAMESE_COMPLETE" in text
