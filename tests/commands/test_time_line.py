"""``siamese changes`` and ``label``."""

from __future__ import annotations

import json
import shutil

import pytest


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
