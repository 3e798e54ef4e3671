"""Fuzz target: any bytes as a table, a trial list or a manifest."""

from __future__ import annotations

import os
from pathlib import Path

from speechbrain_siamese.dataio.datasets import read_manifest
from speechbrain_siamese.dataio.manifests import read_rows
from speechbrain_siamese.dataio.recordings import read_excluded, read_speakers
from speechbrain_siamese.dataio.sources import read_sources
from speechbrain_siamese.dataio.trial_sets import (
    listed_trials,
    prepared_trials,
)


def ask(data: bytes, folder: Path) -> None:
    """Read a file with the reader that the first byte tells."""
    read = READERS[data[0] % len(READERS)] if data else _trials
    path = folder / "table.csv"
    path.write_bytes(data[1:])
    try:
        read(path)
    except (ValueError, OSError):
        return


def _trials(path):
    found = listed_trials(path, path.parent)
    for audio in found.paths:
        _assert_inside(audio, path.parent)


def _sources(path):
    for source in read_sources(path):
        _assert_inside(path.parent / source.speaker, path.parent)
        assert source.speaker not in ("", ".")
        assert 0 <= source.start < float("inf")


def _manifest(path):
    root = path.parent
    for row in read_rows(path):
        _assert_inside(Path(row["wav"].replace("$data_root", str(root))), root)
    for item in read_manifest(str(path), str(root)).data.values():
        _assert_inside(Path(item["wav"]), root)


def _prepared(path):
    data = path.read_bytes()
    manifest, _, trials = data.partition(b"\n\n")
    path.with_name("test.csv").write_bytes(manifest)
    path.with_name("trials_time.txt").write_bytes(trials)
    for audio in prepared_trials(path.parent, "time", "").paths:
        _assert_inside(audio, path.parent)


def _assert_inside(path, folder):
    inside, root = os.path.normpath(path), os.path.normpath(folder)
    assert inside == root or inside.startswith(f"{root}{os.sep}"), inside


READERS = (
    _trials,
    _sources,
    read_speakers,
    read_excluded,
    _manifest,
    _prepared,
)
