"""What killed writers leave is removed, and nothing else."""

from __future__ import annotations

from speechbrain_siamese.utils.whole_file import (
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
