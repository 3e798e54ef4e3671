"""Who is named in ``exclude_speakers`` is out, however the name is written."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.splits import SplitSettings

PREPARE = (
    Path(__file__).resolve().parent.parent
    / "recipes"
    / "YouTubeSpeakers"
    / "youtube_prepare.py"
)


@pytest.fixture(scope="module")
def prepare(by_path):
    """The recipe's preparation as a module."""
    return by_path(PREPARE)


def left(prepare, folder, names) -> set[str]:
    """Folders of the people who are not excluded by a list."""
    found, _ = prepare._find(folder, None, prepare._read_names(names))
    return {item.path.parent.name for item in found}


@pytest.mark.parametrize("folder_form", ["NFC", "NFD"])
@pytest.mark.parametrize("list_form", ["NFC", "NFD"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_excluded_people_are_out_in_any_writing(
    prepare, tmp_path, caplog, folder_form, list_form, encoding
):
    data = tmp_path / "data"
    for name in ("José", "Zoë", "anna"):
        folder = data / unicodedata.normalize(folder_form, name)
        folder.mkdir(parents=True)
        (folder / "a.wav").touch()
    names = tmp_path / "exclude.txt"
    text = unicodedata.normalize(list_form, "José\r\nZoë\r\n")
    names.write_bytes(text.encode(encoding))
    assert left(prepare, data, str(names)) == {"anna"}
    assert "of whom there is no folder" not in caplog.text


def test_where_nobody_is_left_the_reason_is_told(prepare, tmp_path):
    for name in ("anna", "bert"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "a.wav").touch()
    names = tmp_path / "exclude.txt"
    names.write_text("anna\nbert\n")
    with pytest.raises(ValueError, match="found 0 usable speaker"):
        prepare.prepare_youtube(
            data_folder=str(tmp_path / "data"),
            save_folder=str(tmp_path / "out"),
            cleaning=CleaningSettings(),
            splits=SplitSettings(),
            seed=0,
            exclude_speakers=str(names),
        )


def test_a_list_in_another_encoding_is_refused(prepare, tmp_path):
    names = tmp_path / "exclude.txt"
    names.write_bytes("José\n".encode("utf-16"))
    with pytest.raises(ValueError, match="save it as UTF-8"):
        prepare._read_names(str(names))
