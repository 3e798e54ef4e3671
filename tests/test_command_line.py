"""``siamese`` as its users type it: answers, exit codes, errors in one line."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import unicodedata
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from speechbrain_siamese.command_line import main
from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.features import LogMel


@pytest.fixture(scope="module")
def clips(tiny, tmp_path_factory):
    """Files by the names of their voices."""
    folder = tmp_path_factory.mktemp("clips")
    return {
        f"{name}{take}": str(
            tiny.write(
                folder / f"{name}{take}.wav", tiny.voice(voice, take + 60, 8.0)
            )
        )
        for name, voice in (("a", 0), ("b", 7))
        for take in (1, 2)
    }


@pytest.fixture
def siamese(trained, tmp_path):
    """Run a command; gives exit code, standard output and errors."""

    def run(*arguments, source=trained / "export"):
        done = CliRunner().invoke(
            main,
            [str(argument) for argument in arguments],
            env={
                "SIAMESE_SOURCE": str(source),
                "SIAMESE_GALLERY": str(tmp_path / "people.sqlite"),
            },
            catch_exceptions=False,
        )
        return done.exit_code, done.stdout, done.stderr

    return run


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


def test_a_mistyped_gallery_is_not_made(siamese, clips, tmp_path):
    wrong = tmp_path / "wrong" / "people.sqlite"
    for command in ("identify", "label"):
        code, _, errors = siamese(command, f"--gallery={wrong}", clips["a1"])
        assert code == 2
        assert f"there is no gallery {wrong}" in errors
    assert not wrong.parent.exists()


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


def test_a_gallery_from_first_to_last(siamese, clips):
    code, text, _ = siamese("enroll", "A", clips["a1"])
    assert (code, text) == (0, "A: 1 new clips, 8.0 s\n")
    code, text, _ = siamese("enroll", "--json", "B", clips["b1"])
    assert json.loads(text)["added"] == 1
    code, text, _ = siamese("identify", "--json", clips["b2"])
    found = json.loads(text)
    assert found["candidates"][0]["name"] == "B"
    assert code == (0 if found["name"] else 1)
    code, text, _ = siamese("identify", "--threshold=2", clips["b2"])
    assert code == 1
    assert text.splitlines()[0].endswith("b2.wav: unknown")
    assert siamese("gallery", "rename", "B", "C")[0] == 0
    code, text, _ = siamese("gallery", "list")
    assert text.splitlines() == ["A: 1 clips, 8.0 s", "C: 1 clips, 8.0 s"]
    assert siamese("gallery", "remove", "C")[0] == 0
    code, text, _ = siamese("gallery", "list", "--json")
    assert [one["name"] for one in json.loads(text)["people"]] == ["A"]


def test_names_are_found_however_they_are_typed(siamese, clips):
    composed, apart = (
        unicodedata.normalize(form, "José") for form in ("NFC", "NFD")
    )
    assert siamese("enroll", apart, clips["a1"])[0] == 0
    code, text, _ = siamese("gallery", "rename", f" {apart} ", f"{apart} B")
    assert (code, text) == (0, f"{composed} is now {composed} B\n")
    code, text, _ = siamese("gallery", "remove", f"{apart} B ")
    assert (code, text) == (0, f"{composed} B is removed\n")


def test_a_gallery_is_made_anew_for_another_model(siamese, clips, tmp_path):
    siamese("enroll", "A", clips["a1"])
    code, text, _ = siamese("gallery", "re-enroll", tmp_path / "new.sqlite")
    assert code == 0
    assert text.endswith("new.sqlite: 1 people\n")


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
        assert found["embeddings"].shape == (2, 1992)


def test_file_names_that_are_no_text_are_told(siamese, clips, tmp_path):
    bad = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")
    try:
        shutil.copy(clips["a1"], bad)
    except OSError:
        pytest.skip("the file system takes text only")
    code, text, errors = siamese("enroll", "--json", "A", bad, clips["a1"])
    assert code == 2
    (reason,) = json.loads(text)["refused"].values()
    assert "rename the file or folder" in reason
    assert "refused:" in errors
    code, text, _ = siamese("identify", bad)
    assert code in (0, 1)
    assert text.splitlines()[0].startswith(f"{tmp_path}/\ufffd.wav: ")


def test_changes_are_seconds(siamese, clips):
    code, text, _ = siamese("changes", "--recall=0.99", clips["a1"])
    assert code == 0
    seconds = [float(line) for line in text.split()]
    code, text, _ = siamese("changes", "--recall=0.99", "--json", clips["a1"])
    found = json.loads(text)["changes"]
    assert found == pytest.approx(seconds, abs=0.01)
    code, _, errors = siamese("changes", "--recall=7", clips["a1"])
    assert code == 2
    assert "recall is 7" in errors


def test_label_tells_and_writes_who_speaks_when(siamese, clips, tmp_path):
    picture, rttm = tmp_path / "talk.png", tmp_path / "talk.rttm"
    code, text, errors = siamese(
        "label", f"--output={picture}", f"--output={rttm}", clips["a1"]
    )
    assert code == 0
    assert "people.sqlite: nobody is named" in errors
    first, *lines = text.splitlines()
    assert first == f"{clips['a1']}:"
    assert picture.stat().st_size > 1000
    told = [line.split(maxsplit=2) for line in lines]
    written = [line.split() for line in rttm.read_text().splitlines()]
    assert len(told) == len(written) >= 1
    for (start, _, name), line in zip(told, written, strict=True):
        assert line[:3] == ["SPEAKER", "a1", "1"]
        assert float(line[3]) == pytest.approx(float(start), abs=0.01)
        assert line[7] == "_".join(name.split())
    code, text, _ = siamese("label", "--online", "--json", clips["a1"])
    found = json.loads(text)
    assert set(found) == {"file", "segments"}
    assert found["segments"][0]["speaker"] == "speaker 1"


def test_many_files_are_labelled_into_a_folder(siamese, clips, tmp_path):
    bad, again = tmp_path / "bad.wav", tmp_path / "a1.wav"
    bad.write_text("no sound")
    shutil.copy(clips["a1"], again)
    code, _, errors = siamese(
        "label", f"--output-folder={tmp_path / 'new'}", clips["a1"], bad, again
    )
    assert code == 2
    assert "left out:" in errors and "bad.wav" in errors
    # Two of one name have not overwritten each other.
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["a1.rttm", "a1_2.rttm"]
    assert " a1_2 " in (tmp_path / "new" / "a1_2.rttm").read_text()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--output=talk.doc", "{a1}"], "has to end in one of .rttm"),
        (["--output=talk.vtt", "{a1}", "{b1}"], "is for one recording"),
        (["--online", "--recall=0.9", "{a1}"], "Leave one of"),
        (["--recall=2", "{a1}"], "recall is 2"),
    ],
)
def test_label_tells_what_is_wrong(siamese, clips, arguments, message):
    named = [one.format(**clips) for one in arguments]
    code, _, errors = siamese("label", *named)
    assert code == 2
    assert message in errors


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
    rows = json.loads(text)["suspects"]
    assert len(rows) == 3
    marks = [row["suspicion"] for row in rows]
    assert marks == sorted(marks, reverse=True)
    with open(prepared / "suspects.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["kind"] for row in table[:3]] == [row["kind"] for row in rows]
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


@pytest.fixture
def program(trained, tiny, tmp_path):
    """Run a command as a program of its own."""

    def run(*arguments):
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "speechbrain_siamese.command_line",
                *(str(argument) for argument in arguments),
            ],
            env={
                **tiny.environment(),
                "SIAMESE_SOURCE": str(trained / "export"),
                "SIAMESE_GALLERY": str(tmp_path / "people.sqlite"),
            },
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def test_as_a_program_of_its_own(program, clips):
    done = program("verify", "--json", clips["a1"], clips["a1"])
    assert done.returncode == 0, done.stderr
    # Nothing but the answer is on standard output.
    assert json.loads(done.stdout)["same"] is True


@pytest.mark.slow
def test_every_command_as_a_program(program, clips, trained, tmp_path):
    trials = tmp_path / "trials.txt"
    trials.write_text("1 a1.wav a2.wav\n0 a1.wav b1.wav\n")
    folder = clips["a1"].rsplit("/", 1)[0]
    prepared = shutil.copytree(trained / "prepared", tmp_path / "prepared")
    vectors, onnx = tmp_path / "all.npz", tmp_path / "model.onnx"
    rttm, new = tmp_path / "talk.rttm", tmp_path / "new.sqlite"
    answers = [
        # Arguments, exit codes, and what is said.
        (["enroll", "A", clips["a1"]], {0}, "A: 1 new clips"),
        (["enroll", "B", clips["b1"]], {0}, "B: 1 new clips"),
        (["identify", clips["a2"]], {0, 1}, "a2.wav: "),
        (["gallery", "list"], {0}, "A: 1 clips"),
        (["gallery", "rename", "B", "C"], {0}, "B is now C"),
        (["gallery", "re-enroll", new], {0}, "2 people"),
        (["gallery", "remove", "C"], {0}, "C is removed"),
        (["changes", clips["a1"]], {0}, ""),
        (["label", f"--output={rttm}", clips["a1"]], {0}, "a1.wav:"),
        (["embed", f"--output={vectors}", clips["a1"]], {0}, "1 embeddings"),
        (["evaluate", f"--audio-folder={folder}", trials], {0}, "eer: "),
        (["export", f"--onnx={onnx}"], {0}, "written"),
        (["audit", prepared], {0}, "suspects.csv"),
        (["completion", "bash"], {0}, "_SIAMESE_COMPLETE"),
        (["verify", clips["a1"], "nothing.wav"], {2}, ""),
        # Their own tests tell what they do.
        (["push", "--language=ne", tmp_path, "sita/voices"], {2}, ""),
        (["demo", f"--source={tmp_path}"], {2}, ""),
    ]
    for arguments, codes, said in answers:
        done = program(*arguments)
        assert done.returncode in codes, (arguments, done.stderr)
        assert said in done.stdout, arguments
        assert "Traceback" not in done.stderr, arguments
    for path in (vectors, onnx, rttm, new):
        assert path.stat().st_size > 0
    untested = set(main.commands) - {answer[0][0] for answer in answers}
    assert not untested
