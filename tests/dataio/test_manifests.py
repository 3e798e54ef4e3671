"""Manifests and trial lists come back as they were written, or say why not."""

from __future__ import annotations

import pytest
from speechbrain.dataio.dataio import load_data_csv

from speechbrain_siamese.dataio.manifests import (
    Row,
    Trial,
    read_trials,
    write_manifest,
    write_trials,
)

ROW = Row(
    ID="anna-0",
    duration=2.0625,
    wav="$data_root/anna/a.wav",
    start=100,
    stop=33100,
    spk_id="anna",
    gender="f",
    session="anna/एक, दो",
)

TRIALS = [
    Trial(1, "anna/a-0.wav", "anna/b-0.wav"),
    Trial(0, "anna/a-0.wav", "bela/a-0.wav"),
]


def test_speechbrain_reads_the_manifest_back(tmp_path):
    path = tmp_path / "new" / "train.csv"
    write_manifest([ROW], path)
    assert path.read_text(encoding="utf-8").splitlines()[0] == (
        "ID,duration,wav,start,stop,spk_id,gender,session"
    )
    assert load_data_csv(path, {"data_root": "/data"}) == {
        "anna-0": {
            "duration": 2.0625,
            "wav": "/data/anna/a.wav",
            "start": "100",
            "stop": "33100",
            "spk_id": "anna",
            "gender": "f",
            "session": "anna/एक, दो",
        }
    }


def test_a_manifest_that_fails_midway_leaves_the_old_one(tmp_path):
    path = tmp_path / "train.csv"
    write_manifest([ROW], path)
    before = path.read_bytes()

    def broken():
        yield ROW
        raise RuntimeError("disk is gone")

    with pytest.raises(RuntimeError):
        write_manifest(broken(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_trials_come_back_as_they_were_written(tmp_path):
    path = tmp_path / "new" / "trials.txt"
    write_trials(TRIALS, path)
    assert read_trials(path) == TRIALS
    assert read_trials(str(path)) == TRIALS


def test_trials_are_written_in_the_format_of_voxceleb(tmp_path):
    path = tmp_path / "trials.txt"
    write_trials(TRIALS, path)
    assert path.read_bytes() == (
        b"1 anna/a-0.wav anna/b-0.wav\n0 anna/a-0.wav bela/a-0.wav\n"
    )


def test_lists_of_others_may_have_tabs_blank_lines_and_returns(tmp_path):
    path = tmp_path / "trials.txt"
    path.write_bytes(
        b"1\tanna/a-0.wav\tanna/b-0.wav\r\n\r\n0  anna/a-0.wav  bela/a-0.wav"
    )
    assert read_trials(path) == TRIALS


@pytest.mark.parametrize(
    "line",
    [
        "1 anna/a.wav",
        "1 anna/a.wav anna/b.wav 0.7",
        "2 anna/a.wav anna/b.wav",
        "anna/a.wav anna/b.wav 1",
        "target anna/a.wav anna/b.wav",
        "1,anna/a.wav,anna/b.wav",
    ],
)
def test_a_malformed_line_is_named_by_file_and_number(tmp_path, line):
    path = tmp_path / "trials.txt"
    path.write_text(f"0 a.wav b.wav\n\n{line}\n1 a.wav c.wav\n")
    with pytest.raises(ValueError) as caught:
        read_trials(path)
    assert f"{path}, line 3: found {line!r}" in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n  \n"])
def test_a_list_without_trials_is_named(tmp_path, text):
    path = tmp_path / "trials.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=str(path)):
        read_trials(path)


def test_a_missing_list_is_named(tmp_path):
    path = tmp_path / "nowhere.txt"
    with pytest.raises(ValueError, match=str(path)):
        read_trials(path)
