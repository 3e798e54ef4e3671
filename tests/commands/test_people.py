"""``siamese enroll``, ``identify`` and ``gallery``."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from dataclasses import replace

import pytest

from speechbrain_siamese.inference.gallery_store import GalleryStore


def test_a_mistyped_gallery_is_not_made(siamese, clips, tmp_path):
    wrong = tmp_path / "wrong" / "people.sqlite"
    for command in ("identify", "label"):
        code, _, errors = siamese(command, f"--gallery={wrong}", clips["a1"])
        assert code == 2
        assert f"there is no gallery {wrong}" in errors
    assert not wrong.parent.exists()


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


def test_a_forgotten_name_names_nobody(siamese, clips, tmp_path):
    """The first file's path would name the voices of the others."""
    code, _, errors = siamese("enroll", clips["a1"], clips["a2"], clips["b1"])
    assert code == 2
    assert "expected a person's name before the files" in errors
    assert not (tmp_path / "people.sqlite").exists()


def test_settings_out_of_range_are_told_before_the_work(
    siamese, clips, monkeypatch
):
    siamese("enroll", "A", clips["a1"])

    def fail(*_):
        raise AssertionError("the model was opened")

    monkeypatch.setattr("speechbrain_siamese.commands.people.open_model", fail)
    code, _, errors = siamese("identify", "--top=0", clips["a1"])
    assert code == 2
    assert "0 is not in the range" in errors


def test_names_are_found_however_they_are_typed(siamese, clips):
    composed, apart = (
        unicodedata.normalize(form, "José") for form in ("NFC", "NFD")
    )
    assert siamese("enroll", apart, clips["a1"])[0] == 0
    code, text, _ = siamese("gallery", "rename", f" {apart} ", f"{apart} B")
    assert (code, text) == (0, f"{composed} is now {composed} B\n")
    code, text, _ = siamese("gallery", "remove", f"{apart} B ")
    assert (code, text) == (0, f"{composed} B is removed\n")


def test_a_name_that_can_no_longer_be_given_is_removed(
    siamese, clips, tmp_path
):
    siamese("enroll", "A", clips["a1"])
    store = GalleryStore.any_model(tmp_path / "people.sqlite")
    store.rename("A", "A\u2028B")
    code, _, _ = siamese("gallery", "remove", "A\u2028B")
    assert (code, store.people()) == (0, [])


def test_a_gallery_is_made_anew_for_another_model(siamese, clips, tmp_path):
    siamese("enroll", "A", clips["a1"])
    # Of 270 bytes: too long for a file, and no file's.
    name = "सीता" * 22
    assert siamese("enroll", name, clips["b1"])[0] == 0
    code, text, _ = siamese("gallery", "re-enroll", tmp_path / "new.sqlite")
    assert code == 0
    assert text.endswith("new.sqlite: 2 people\n")
    store = GalleryStore.any_model(tmp_path / "people.sqlite")
    (clip,) = store.clips(name)
    store.add("B", [replace(clip, source=None)])
    code, _, errors = siamese("gallery", "re-enroll", tmp_path / "2.sqlite")
    assert code == 2
    assert "it was not kept" in errors


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
