"""Recordings are found, named and described as their folders say."""

from __future__ import annotations

import logging
import unicodedata
from itertools import chain
from pathlib import Path

import pytest

from speechbrain_siamese.dataio.recordings import (
    AUDIO_SUFFIXES,
    CLIP,
    ascii_id,
    find_corpus,
    find_recordings,
)


def corpus(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"sound")
    return root


def test_plain_names_stay_as_they_are():
    assert ascii_id("ml0002_a.b-C") == "ml0002_a.b-C"


@pytest.mark.parametrize("text", ["मोहन", "Anna Karenina", "a/b", "", "日本"])
def test_other_names_become_ascii_without_spaces(text):
    made = ascii_id(text)
    assert made.isascii()
    assert made == ascii_id(made)
    assert made not in ("", ".", "..")


def test_names_that_share_their_ascii_part_stay_apart():
    names = ["मोहन", "सोहन", "राम a", "श्याम a", "a b", "a  b", "ä", "a"]
    assert len({ascii_id(name) for name in names}) == len(names)


def test_ids_are_the_same_on_every_platform():
    # Composed and decomposed as Linux and macOS write it.
    assert ascii_id("José") == ascii_id(unicodedata.normalize("NFD", "José"))
    # A fixed value: a change would rename every cleaned file.
    assert ascii_id("Anna Karenina") == "Anna-Karenina-a8aea844"


def test_recordings_are_found_sorted_with_their_speakers(tmp_path):
    corpus(tmp_path, "b/rec2.WAV", "b/rec1.m4a", "a/x.webm", "मोहन/एक.mp3")
    found = find_recordings(tmp_path)
    assert [r.session for r in found] == sorted(r.session for r in found)
    assert [r.session for r in found if r.speaker == "b"] == [
        "b-rec1",
        "b-rec2",
    ]
    (mohan,) = [r for r in found if r.name == "मोहन"]
    assert mohan.speaker == ascii_id("मोहन")
    assert mohan.session.startswith(mohan.speaker)
    assert mohan.session.isascii()
    assert mohan.gender == ""
    assert mohan.path == tmp_path / "मोहन" / "एक.mp3"


def test_all_known_endings_are_lower_case_with_a_dot():
    assert all(s == s.lower() and s[0] == "." for s in AUDIO_SUFFIXES)
    wanted = {"wav", "flac", "ogg", "opus", "mp3", "m4a", "webm", "mp4"}
    assert {f".{name}" for name in wanted} <= AUDIO_SUFFIXES


def test_other_files_are_passed_over_and_counted_once(tmp_path, caplog):
    corpus(
        tmp_path,
        "a/rec.wav",
        "a/notes.txt",
        "a/rec2.m4a.part",
        "a/.hidden.wav",
        "a/deeper/rec.wav",
        ".cache/rec.wav",
        "readme.md",
    )
    with caplog.at_level(logging.INFO):
        (found,) = find_recordings(tmp_path)
    assert found.session == "a-rec"
    (message,) = [r.getMessage() for r in caplog.records]
    assert "ignored 4" in message
    assert "1 .txt" in message
    assert "1 .part" in message


@pytest.mark.parametrize(
    "names",
    [
        ("a/rec.m4a", "a/rec.wav"),
        ("a/rec.wav", "a/REC.wav"),
        ("a/b-c.wav", "a-b/c.wav"),
        ("anna/r.wav", "Anna/r.wav"),
    ],
)
def test_sessions_that_would_collide_stay_apart(tmp_path, names):
    corpus(tmp_path, *names)
    if len({n for n in tmp_path.glob("*/*")}) < 2:
        pytest.skip("this file system does not tell case apart")
    found = find_recordings(tmp_path)
    assert len({r.session.lower() for r in found}) == 2
    assert all(r.session.startswith(r.speaker) for r in found)
    assert found == find_recordings(tmp_path)


def test_speakers_that_differ_by_case_get_distinct_folders(tmp_path):
    corpus(tmp_path, "anna/r.wav", "Anna/s.wav")
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system does not tell case apart")
    found = find_recordings(tmp_path)
    assert len({r.speaker.lower() for r in found}) == 2


def test_one_name_in_both_folders_is_one_person(tmp_path):
    data = corpus(tmp_path / "data", "Sita/r.wav", "sita/s.wav", "José/r.wav")
    if len(list(data.iterdir())) < 3:
        pytest.skip("this file system does not tell case apart")
    decomposed = unicodedata.normalize("NFD", "José")
    clips = corpus(
        tmp_path / "clips", "Sita/c.wav", f"{decomposed}/c.wav", "SITA/c.wav"
    )
    ids = {}
    for item in chain(*find_corpus(data, clips)):
        folder = unicodedata.normalize("NFC", item.path.parent.name)
        ids.setdefault(folder, set()).add(item.speaker)
    assert all(len(own) == 1 for own in ids.values())
    assert len({one.lower() for own in ids.values() for one in own}) == 4


def test_ids_without_a_namesake_do_not_change_with_clips(tmp_path):
    """A training goes by them."""
    data = corpus(tmp_path / "data", "a/r.wav", "मोहन/एक.mp3", "b/c.wav")
    clips = corpus(tmp_path / "clips", "a/r.wav", "c/b.wav")
    recordings, found = find_corpus(data, clips)
    assert recordings == find_recordings(data)
    assert found == find_recordings(clips)
    assert find_corpus(data) == (recordings, [])


def test_no_clip_has_the_session_of_a_recording(tmp_path):
    data = corpus(tmp_path / "data", "anna/Interview-CLIP.wav", "anna/a.wav")
    clips = corpus(tmp_path / "clips", "anna/interview.wav", "anna/a.wav")
    recordings, found = find_corpus(data, clips)
    assert recordings == find_recordings(data)
    sessions = [item.session for item in recordings]
    sessions += [item.session + CLIP for item in found]
    assert len({session.lower() for session in sessions}) == 4
    assert "anna-a-clip" in sessions


def test_what_is_told_of_a_person_first_counts_in_both_folders(
    tmp_path, caplog
):
    data = corpus(tmp_path / "data", "a/r.wav", "b/r.wav")
    clips = corpus(tmp_path / "clips", "a/c.wav", "b/c.wav", "c/c.wav")
    (data / "speakers.csv").write_text("speaker,name,gender\na,Anna,\nc,C,f\n")
    (clips / "speakers.csv").write_text("speaker,name,gender\na,Ann,f\nzoe,,\n")
    for items, told in zip(
        find_corpus(data, clips),
        (
            [("a", "Anna", "f"), ("b", "b", "")],
            [("a", "Anna", "f"), ("b", "b", ""), ("c", "C", "f")],
        ),
        strict=True,
    ):
        assert [(one.speaker, one.name, one.gender) for one in items] == told
    (warning,) = caplog.messages
    assert "zoe" in warning


@pytest.mark.parametrize("missing", ["data_folder", "clips_folder"])
def test_a_folder_that_is_missing_is_named_as_its_setting(tmp_path, missing):
    folders = {
        key: tmp_path / "nowhere" if key == missing else tmp_path / "there"
        for key in ("data_folder", "clips_folder")
    }
    corpus(tmp_path / "there", "a/r.wav")
    with pytest.raises(ValueError, match=f"^{missing}: .*nowhere is not"):
        find_corpus(**folders)


def test_long_names_leave_room_for_endings(tmp_path):
    corpus(tmp_path, f"{'a' * 100}/{'b' * 200}1.wav", f"{'a' * 100}/c.wav")
    corpus(tmp_path, f"{'a' * 100}/{'b' * 200}2.wav")
    found = find_recordings(tmp_path)
    assert len({r.session for r in found}) == 3
    assert max(len(r.session) for r in found) <= 120


def test_speakers_csv_gives_names_and_genders(tmp_path):
    corpus(tmp_path, "a/1.wav", "b/1.wav")
    (tmp_path / "speakers.csv").write_text(
        "speaker,name,gender\na,अन्ना,f\n", encoding="utf-8-sig"
    )
    a, b = find_recordings(tmp_path)
    assert (a.name, a.gender) == ("अन्ना", "f")
    assert (b.name, b.gender) == ("b", "")


def test_speakers_csv_needs_only_the_speaker_column(tmp_path):
    corpus(tmp_path, "मो हन/1.wav")
    (tmp_path / "speakers.csv").write_text("speaker\nमो हन\n", "utf-8")
    (found,) = find_recordings(tmp_path)
    assert found.name == "मो हन"


@pytest.mark.parametrize("row", [",,", " , ,", ",,,,,", '"",""'])
def test_rows_of_commas_alone_are_passed_over(tmp_path, row):
    corpus(tmp_path, "a/1.wav")
    people = f"speaker,name,gender\n{row}\na,Anna,f\n{row}\n"
    (tmp_path / "speakers.csv").write_text(people)
    cuts = f"recording,start,stop\na/1.wav,1,2\n{row}\n"
    (tmp_path / "exclude.csv").write_text(cuts)
    (found,) = find_recordings(tmp_path)
    assert (found.name, found.gender) == ("Anna", "f")
    assert [(cut.start, cut.stop) for cut in found.cut] == [(1.0, 2.0)]


def test_unknown_speaker_in_the_csv_is_a_warning(tmp_path, caplog):
    corpus(tmp_path, "a/1.wav")
    (tmp_path / "speakers.csv").write_text("speaker,gender\nzoe,f\na,f\n")
    with caplog.at_level(logging.WARNING):
        assert len(find_recordings(tmp_path)) == 1
    assert "zoe" in caplog.text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"name;gender\nx;f\n", "speaker"),
        (b"", "speaker"),
        (b"speaker,name\na,b,c\n", "line 2"),
        (b"speaker,name\n,b\n", "line 2"),
        (b"speaker\na\na\n", "twice"),
        ("speaker,name\na,J\xe9\n".encode("latin-1"), "UTF-8"),
    ],
)
def test_malformed_speakers_csv_is_an_error(tmp_path, content, told):
    corpus(tmp_path, "a/1.wav")
    (tmp_path / "speakers.csv").write_bytes(content)
    with pytest.raises(ValueError, match=told) as error:
        find_recordings(tmp_path)
    assert "speakers.csv" in str(error.value)


def test_missing_folder_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="not a folder"):
        find_recordings(tmp_path / "nowhere")


def test_empty_folder_error_shows_the_layout(tmp_path):
    with pytest.raises(ValueError, match=r"<speaker>/<recording>"):
        find_recordings(tmp_path)


def test_flat_folder_error_says_what_was_found(tmp_path):
    corpus(tmp_path, "stray.wav", "a/notes.txt")
    with pytest.raises(ValueError, match=r"stray\.wav"):
        find_recordings(tmp_path)
