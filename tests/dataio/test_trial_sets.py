"""Trials from a list, a folder or a preparation, with their speakers."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechbrain_siamese.dataio.trial_sets import (
    enrolment_trials,
    folder_trials,
    listed_trials,
    prepared_trials,
    speakers_by_folder,
)
from speechbrain_siamese.dataio.trial_table import TrialTable


def table(*lines: str) -> TrialTable:
    """Trials as they stand in a list."""
    names = sorted({name for line in lines for name in line.split()[1:]})
    rows = [line.split() for line in lines]
    return TrialTable(
        names,
        np.array([int(row[0]) for row in rows]),
        np.array([names.index(row[1]) for row in rows]),
        np.array([names.index(row[2]) for row in rows]),
    )


@pytest.mark.parametrize(
    ("lines", "speakers"),
    [
        # VoxCeleb: speaker/video/utterance.
        (
            ("1 id1/v/1.wav id1/w/1.wav", "0 id1/v/1.wav id2/v/1.wav"),
            ["id1", "id1", "id2"],
        ),
        # Folders above the speaker's.
        (
            ("1 x/a/1.wav x/a/2.wav", "0 x/a/1.wav x/b/1.wav"),
            ["a", "a", "b"],
        ),
        # No folder tells who speaks.
        (("1 a/1.wav b/1.wav", "0 a/1.wav a/2.wav"), None),
        (("1 1.wav 2.wav", "0 1.wav 3.wav"), None),
    ],
)
def test_speakers_are_the_folders_that_agree_with_the_labels(lines, speakers):
    assert speakers_by_folder(table(*lines)) == speakers


def test_listed_trials_know_paths_speakers_and_genders(tmp_path):
    (tmp_path / "speakers.csv").write_text("speaker,gender\na,f\nb,m\n")
    (tmp_path / "my list.txt").write_text("1 a/1.wav a/2.wav\n0 a/1.wav b/1\n")
    found = listed_trials(tmp_path / "my list.txt", tmp_path)
    assert found.key == "list_my list"
    assert found.paths == [tmp_path / name for name in found.table.names]
    assert found.speakers == ["a", "a", "b"]
    assert found.genders == ["f", "f", "m"]
    left = found.without({"a/2.wav"})
    assert left.paths == [tmp_path / "a/1.wav", tmp_path / "b/1"]
    assert (left.speakers, left.genders) == (["a", "b"], ["f", "m"])
    assert left.table.labels.tolist() == [0]


def test_names_of_macos_have_their_genders(tmp_path):
    """It hands out names decomposed; tables are read composed."""
    name = unicodedata.normalize("NFD", "Zoé")
    (tmp_path / "speakers.csv").write_text("speaker,gender\nZoé,f\nb,m\n")
    (tmp_path / "list.txt").write_text(
        f"1 {name}/1.wav {name}/2.wav\n0 {name}/1.wav b/1.wav\n"
    )
    found = listed_trials(tmp_path / "list.txt", tmp_path)
    assert found.table.names[0] == f"{name}/1.wav"
    assert found.genders == ["f", "f", "m"]


def test_list_without_its_folder_is_told(tmp_path):
    with pytest.raises(ValueError, match="nowhere, which is no folder"):
        listed_trials(tmp_path / "trials.txt", tmp_path / "nowhere")


def test_folder_gives_every_pair(tmp_path):
    for name in ("anna/1 a.wav", "anna/2.wav", "नरेश/1.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, np.zeros(10), 16000)
    found = folder_trials(tmp_path, seed=0)
    assert set(found.table.names) == {"anna/1 a.wav", "anna/2.wav", "नरेश/1.wav"}
    pairs = {
        frozenset((found.table.names[a], found.table.names[b])): label
        for a, b, label in zip(
            found.table.enrol,
            found.table.test,
            found.table.labels,
            strict=True,
        )
    }
    assert len(pairs) == 3
    assert pairs[frozenset(("anna/1 a.wav", "anna/2.wav"))] == 1
    assert sum(pairs.values()) == 1


def test_prepared_trials_take_speakers_from_the_manifest(trained):
    folder = trained / "prepared"
    for question in ("valid", "speaker", "session"):
        found = prepared_trials(folder, question, "words")
        own = np.array(found.speakers)
        same = own[found.table.enrol] == own[found.table.test]
        assert np.array_equal(same, found.table.labels == 1)
        assert all(path.is_file() for path in found.paths)
        assert all(
            Path(name).parent.name == speaker
            for name, speaker in zip(
                found.table.names, found.speakers, strict=True
            )
        )


def test_enrolment_clips_are_never_tested():
    speakers = list("aaabbbbcc")
    names = [f"{speaker}{k}" for k, speaker in enumerate(speakers)]
    enrolled, found = enrolment_trials(names, speakers, most=2)
    assert enrolled == {"a": [0, 1], "b": [3, 4]}
    trials = {
        (found.names[e], found.names[t]): int(label)
        for e, t, label in zip(
            found.enrol, found.test, found.labels, strict=True
        )
    }
    tests = ["a2", "b5", "b6", "c7", "c8"]
    assert trials == {
        (person, clip): int(person == clip[0])
        for person in "ab"
        for clip in tests
    }


def test_nobody_with_enough_clips_makes_no_trial():
    enrolled, found = enrolment_trials(["1", "2"], ["a", "b"], most=1)
    assert not enrolled
    assert len(found) == 0
