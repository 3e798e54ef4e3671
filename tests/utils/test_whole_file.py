"""What killed writers leave is removed, and nothing else."""

from __future__ import annotations

import os

import pytest

from speechbrain_siamese.utils.whole_file import (
    check_writable,
    remove_partials,
    remove_partials_of,
    whole_file,
)


def test_what_another_file_has_half_written_stays(tmp_path):
    killed = tmp_path / ".new.0123abcd.partial"
    killed.touch()
    (tmp_path / f"{killed.name}-journal").touch()
    with whole_file(tmp_path / "new.sqlite") as partial:
        partial.write_text("half")
        remove_partials_of(tmp_path / "new")
        assert [*tmp_path.iterdir()] == [partial]
    assert (tmp_path / "new.sqlite").read_text() == "half"


# Three bytes a character; 255 bytes are what a name may have.
@pytest.mark.parametrize(
    "name",
    ["क" * 83 + ".rttm", "x" * 250 + ".rttm"],
    ids=["Devanagari", "ASCII"],
)
def test_a_long_name_is_written_and_its_partials_are_found(tmp_path, name):
    target, other = tmp_path / name, tmp_path / f"{name[:-6]}.rttm"
    check_writable(target)
    with whole_file(target) as partial:
        partial.write_text("half")
        # SQLite's journal of a gallery has a longer one.
        (tmp_path / f"{partial.name}-journal").touch()
        remove_partials_of(other)
        assert partial.exists()
        remove_partials_of(target)
        assert [*tmp_path.iterdir()] == []
        partial.write_text("all of it")
    assert target.read_text() == "all of it"
    with whole_file(target) as partial:
        partial.write_text("half")
        remove_partials(tmp_path)
        assert [*tmp_path.iterdir()] == [target]
        partial.touch()


def test_a_long_name_that_is_no_text_is_written(tmp_path):
    target = tmp_path / os.fsdecode(b"\xe9" * 250)
    with whole_file(target) as partial:
        partial.write_text("all of it")
    assert [*tmp_path.iterdir()] == [target]


def test_a_name_that_is_too_long_is_told_before_the_work(tmp_path):
    with pytest.raises(OSError, match="too long"):
        check_writable(tmp_path / ("x" * 252 + ".rttm"))
