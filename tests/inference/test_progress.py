"""Long calls draw a bar where that is asked for, and nowhere else."""

from __future__ import annotations

import io

import pytest


class Terminal(io.StringIO):
    """Keeps what is drawn."""

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("call", "unit"),
    [
        (
            lambda m, file, _, **bar: m.detect_changes(file, **bar),
            "s of speech",
        ),
        (lambda m, file, _, **bar: m.label(file, **bar), "s of speech"),
        (
            lambda m, file, _, **bar: m.label(file, online=True, **bar),
            "8 s of sound",
        ),
        (
            lambda m, file, new, **bar: m.gallery(new).enroll("a", file, **bar),
            "1/1",
        ),
    ],
    ids=["changes", "label", "online", "enroll"],
)
def test_a_bar_is_drawn_on_terminals_where_asked_for(
    model, clips, tmp_path, monkeypatch, call, unit
):
    for number, (stream, asked) in enumerate(
        [(Terminal(), True), (Terminal(), False), (io.StringIO(), True)]
    ):
        monkeypatch.setattr("sys.stderr", stream)
        call(model, clips[0][0], tmp_path / f"{number}.sqlite", progress=asked)
        drawn = asked and stream.isatty()
        assert (unit in stream.getvalue()) is drawn, number
