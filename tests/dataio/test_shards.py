"""Shards hold what the cleaned files hold, for our training and for others."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import soundfile
import torch
import webdataset

from speechbrain_siamese.dataio import shards
from speechbrain_siamese.dataio.datasets import read_samples
from speechbrain_siamese.dataio.shards import ReadShards, write_shards

RATE = 8000


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """Three recordings, one of them in several pieces; their rows."""
    monkeypatch.setattr(shards, "PIECE_SECONDS", 1.0)
    rows = []
    rng = np.random.default_rng(0)
    for number, (seconds, start) in enumerate([(0.5, 0), (3.3, 400), (2, 7)]):
        count = round(seconds * RATE)
        path = tmp_path / "clean" / f"s{number}" / f"s{number}-a.b.wav"
        path.parent.mkdir(parents=True)
        samples = rng.integers(-32768, 32768, count).astype(np.int16)
        soundfile.write(path, samples, RATE)
        rows.append(
            {
                "ID": f"s{number}-a.b",
                "wav": f"$data_root/clean/s{number}/s{number}-a.b.wav",
                "start": str(start),
                "stop": str(count),
                "spk_id": f"s{number}",
            }
        )
    return tmp_path, rows


def write(prepared, seed=0):
    root, rows = prepared
    write_shards(rows, root, root / "shards", RATE, seed)
    return root / "shards"


def test_every_stretch_is_read_as_from_its_file(prepared):
    root, rows = prepared
    read = ReadShards(write(prepared), root)
    rng = np.random.default_rng(1)
    for row in rows:
        wav = row["wav"].replace("$data_root", str(root))
        first, last = int(row["start"]), int(row["stop"])
        cuts = [(first, last), (first, first + 1), (last - 1, last)]
        cuts += [sorted(rng.integers(first, last, 2)) for _ in range(20)]
        for start, stop in cuts:
            if start < stop:
                found = read(wav, int(start), int(stop))
                expected = read_samples(wav, int(start), int(stop))
                assert found.dtype == torch.float32
                assert torch.equal(found, expected)


def test_webdataset_reads_them_as_speechbrains_recipes_do(prepared):
    _, rows = prepared
    folder = write(prepared)
    meta = json.loads((folder / "meta.json").read_text())
    samples = list(
        webdataset.WebDataset(
            [str(path) for path in sorted(folder.glob("*.tar"))],
            shardshuffle=False,
        ).decode("pil")
    )
    assert len(samples) == meta["num_data_samples"] == 7
    assert meta["speaker_ids"] == ["s0", "s1", "s2"]
    seconds = {row["spk_id"]: 0 for row in rows}
    for sample in samples:
        speaker = sample["spk_id"]
        speaker = speaker.decode() if isinstance(speaker, bytes) else speaker
        assert sample["__key__"].startswith(f"{speaker}-a_b&")
        assert sample["audio.pth"].shape[0] == 1
        seconds[speaker] += sample["audio.pth"].shape[1]
    assert seconds == {
        row["spk_id"]: int(row["stop"]) - int(row["start"]) for row in rows
    }


def test_many_shards_are_one_corpus(prepared, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_BYTES", 40_000)
    folder = write(prepared)
    assert len(list(folder.glob("*.tar"))) > 2
    root, rows = prepared
    wav = rows[1]["wav"].replace("$data_root", str(root))
    read = ReadShards(folder, root)
    whole = read(wav, 400, int(rows[1]["stop"]))
    assert torch.equal(whole, read_samples(wav, 400, int(rows[1]["stop"])))


def test_same_rows_are_not_written_again_and_others_are(prepared):
    folder = write(prepared)
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    write(prepared)
    assert before == {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    write(prepared, seed=1)
    assert before != {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}


def test_shards_are_the_same_bit_for_bit(prepared, contents):
    folder = write(prepared)
    first = contents(folder)
    for path in folder.iterdir():
        path.unlink()
    write(prepared)
    assert first == contents(folder)


def test_interrupted_writing_leaves_the_old_shards(
    prepared, monkeypatch, contents
):
    folder = write(prepared)
    first = contents(folder)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(shards, "_places", killed)
    with pytest.raises(KeyboardInterrupt):
        write(prepared, seed=1)
    assert first == contents(folder)
    monkeypatch.undo()
    write(prepared, seed=1)
    assert sorted(path.name for path in prepared[0].iterdir()) == [
        "clean",
        "shards",
    ]


def test_missing_shards_are_told(tmp_path):
    with pytest.raises(ValueError, match=r"there are no shards in .*: prepare"):
        ReadShards(tmp_path, tmp_path)


def test_shards_of_another_manifest_are_refused(prepared):
    root, rows = prepared
    folder = write(prepared)
    ReadShards(folder, root, rows)
    shorter = [{**rows[0], "stop": "100"}, *rows[1:]]
    with pytest.raises(ValueError, match="written from another manifest"):
        ReadShards(folder, root, shorter)


def test_missing_package_names_the_extra(prepared, monkeypatch):
    monkeypatch.setitem(sys.modules, "webdataset", None)
    with pytest.raises(ImportError, match=r"speechbrain-siamese\[shards\]"):
        write(prepared)
