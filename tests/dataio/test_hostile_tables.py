"""Tables, lists and manifests of strangers: refused or harmless."""

from __future__ import annotations

import csv
import os
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speechbrain_siamese.dataio.datasets import read_manifest
from speechbrain_siamese.dataio.manifests import (
    LONGEST_LINE,
    check_inside,
    read_rows,
    read_trials,
)
from speechbrain_siamese.dataio.recordings import (
    find_recordings,
    read_excluded,
    read_speakers,
)
from speechbrain_siamese.dataio.sources import read_source_note, read_sources
from speechbrain_siamese.dataio.trial_sets import listed_trials
from speechbrain_siamese.dataio.user_tables import read_user_table, seconds_of
from speechbrain_siamese.utils.whole_file import plain_cell, write_table

pytestmark = pytest.mark.fault(
    "tables of strangers: paths that climb out, formulas, newlines, links",
    "refused, or harmless",
)

quick = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
#: Text that breaks tables more often than any text does.
PIECES = st.sampled_from(
    [
        *"=+-@'\",\n\r\t/\\\0a1:\ufeff ",
        "..",
        "सी",
        "$x",
        '=HYPERLINK("http://x")',
    ]
)
TEXT = st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=20)
#: Python 3.10 cannot read a CSV file with it.
WHOLE = TEXT.filter(lambda text: "\0" not in text)
HEADERS = (
    "speaker,url,start,stop,gender",
    "recording,start,stop",
    "speaker,name,gender",
    "ID,duration,wav,start,stop,spk_id,gender,session",
)


@quick
@given(st.sampled_from(HEADERS), st.lists(TEXT), st.binary(max_size=40))
def test_any_table_is_read_or_told(tmp_path, header, rows, tail):
    path = tmp_path / "table.csv"
    path.write_bytes(
        "\n".join([header, *rows]).encode("utf-8", "replace") + tail
    )
    for read in (read_sources, read_excluded, read_speakers, read_rows):
        try:
            read(path)
        except ValueError as error:
            assert str(path) in str(error)


@quick
@given(st.lists(TEXT), st.binary(max_size=40))
def test_any_trial_list_is_read_or_told(tmp_path, lines, tail):
    path = tmp_path / "trials.txt"
    path.write_bytes("\n".join(lines).encode("utf-8", "replace") + tail)
    try:
        read_trials(path)
    except ValueError as error:
        assert str(path) in str(error)


@quick
@given(TEXT)
def test_a_path_is_inside_or_refused(name):
    try:
        check_inside(name, "list")
    except ValueError as error:
        assert "leads out" in str(error)
        return
    assert os.path.normpath(f"/data/{name}").startswith("/data")
    assert os.path.normpath(os.path.join("/data", name)).startswith("/data")


@quick
@given(st.lists(st.tuples(WHOLE, WHOLE), min_size=1))
def test_no_cell_is_a_formula_and_none_is_lost(tmp_path, rows):
    path = tmp_path / "table.csv"
    write_table(path, ["first", "second"], rows)
    with open(path, encoding="utf-8", newline="") as file:
        written = list(csv.reader(file))[1:]
    for cells, row in zip(written, rows, strict=True):
        for cell, value in zip(cells, row, strict=True):
            assert not cell.lstrip().startswith(("=", "@"))
            # What is told for a number has no formula's power.
            assert cell[:1] not in ("+", "-") or float(cell) is not None
            if not value.startswith("'"):
                assert plain_cell(cell) == value


def test_a_reported_name_can_be_copied_into_exclude_csv(tmp_path):
    name = '=HYPERLINK("http://x")/a "b",\n1.wav'
    write_table(tmp_path / "exclude.csv", ["recording"], [[name]])
    ((_, cells),) = read_user_table(tmp_path / "exclude.csv", ["recording"], "")
    assert cells["recording"] == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    "line", ["1 a.wav ../b.wav", "0 /etc/passwd a", "1 a\\..\\..\\b c"]
)
def test_a_trial_list_that_climbs_is_refused(tmp_path, line):
    (tmp_path / "trials.txt").write_text(line)
    (tmp_path / "clips").mkdir()
    with pytest.raises(ValueError, match="leads out of its folder"):
        listed_trials(tmp_path / "trials.txt", tmp_path / "clips")


def test_a_line_without_end_is_refused_before_it_is_read(tmp_path):
    (tmp_path / "trials.txt").write_text("x" * (2 * LONGEST_LINE))
    with pytest.raises(ValueError, match="so it is no trial list"):
        read_trials(tmp_path / "trials.txt")


@pytest.mark.parametrize(
    "wav", ["$data_root/../x.wav", "/etc/passwd", "a.wav", "$other/a.wav"]
)
def test_a_manifest_that_climbs_is_refused(tmp_path, wav):
    path = tmp_path / "train.csv"
    path.write_text(
        f"ID,duration,wav,start,stop,spk_id,gender,session\n1,1,{wav},0,1,a,,s\n"
    )
    with pytest.raises(ValueError, match=r"leads out|expected a path"):
        read_manifest(str(path), str(tmp_path))


@pytest.mark.parametrize(
    "rows, message",
    [
        ("1,1,$data_root/a,0,1,a,$x,s", "requires replacements"),
        ("1,1,$data_root/a", "row of another length"),
        ("", "holds no row"),
    ],
)
def test_a_damaged_manifest_is_told(tmp_path, rows, message):
    path = tmp_path / "train.csv"
    path.write_text(
        f"ID,duration,wav,start,stop,spk_id,gender,session\n{rows}\n"
    )
    with pytest.raises(ValueError, match=message):
        read_manifest(str(path), str(tmp_path))


def test_a_gender_that_speechbrain_would_replace_is_refused(tmp_path):
    (tmp_path / "speakers.csv").write_text("speaker,gender\na,$data_root\n")
    with pytest.raises(ValueError, match="without a dollar sign"):
        read_speakers(tmp_path / "speakers.csv")


def test_a_cell_without_end_and_a_time_of_a_thousand_digits(tmp_path):
    path = tmp_path / "speakers.csv"
    path.write_text(f"speaker\n{'a' * 200_000}\n")
    with pytest.raises(ValueError, match="line 2: field larger"):
        read_speakers(path)
    with pytest.raises(ValueError, match="is no time"):
        seconds_of("9" * 1000)


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"title": 1' + "9" * 5000 + "}", "[1]", "\0", ""]
)
def test_a_note_beside_a_recording_that_is_none_is_passed_over(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    assert read_source_note(tmp_path / "a.json") == {}


def test_a_pipe_or_a_giant_in_the_place_of_a_note_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    with open(tmp_path / "b.json", "wb") as file:
        file.write(b'{"title": "a"}')
        file.truncate(2**40)
    for name in ("a.json", "b.json"):
        assert read_source_note(tmp_path / name) == {}


def test_links_out_of_the_corpus_are_followed_and_told(tmp_path, caplog):
    for name in ("corpus/anna/a.wav", "elsewhere/b.wav"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "corpus/anna/b.wav").symlink_to(tmp_path / "elsewhere/b.wav")
    (tmp_path / "corpus/anna/c.wav").symlink_to("a.wav")
    (tmp_path / "corpus/anna/d.wav").symlink_to("d.wav")
    found = find_recordings(tmp_path / "corpus")
    assert len(found) == 4
    assert "1 recordings are links to files elsewhere" in caplog.text
