"""A folder of noise in any format becomes audio at the model's rate."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import soundfile
import torch
from speechbrain.augment.time_domain import AddNoise

from speechbrain_siamese.dataio.manifests import read_rows
from speechbrain_siamese.dataio.noise import prepare_noise

RATE = 16000


@pytest.fixture
def folder(tmp_path, write_audio):
    """Noise of two seconds each; two files share a name."""
    rng = np.random.default_rng(0)
    for name in ("rain.wav", "மழை fan.m4a", "street/rain.flac"):
        path = tmp_path / "noise" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        sound = rng.uniform(-0.3, 0.3, (88200, 2))
        write_audio(path, sound, 44100)
    (tmp_path / "noise" / "licence.txt").write_text("free")
    return tmp_path / "noise"


def listed(save):
    return [
        (row["ID"], save / row["wav"].removeprefix("$data_root/"))
        for row in read_rows(save / "noise.csv")
    ]


def test_every_file_is_there_whole_at_the_rate(folder, tmp_path):
    save = tmp_path / "save"
    prepare_noise(str(folder), str(save), RATE)
    rows = read_rows(save / "noise.csv")
    assert len({row["ID"] for row in rows}) == 3
    for row, (_, path) in zip(rows, listed(save), strict=True):
        sound, rate = soundfile.read(path)
        assert rate == RATE
        assert sound.ndim == 1
        # AAC fills its last frame up.
        assert 2 * RATE <= len(sound) < 2.1 * RATE
        assert float(row["duration"]) == len(sound) / RATE


def test_speechbrain_reads_the_list(folder, tmp_path):
    save = tmp_path / "save"
    prepare_noise(str(folder), str(save), RATE)
    add = AddNoise(
        str(save / "noise.csv"),
        snr_low=0,
        snr_high=0,
        replacements={"data_root": str(save)},
    )
    clips = torch.zeros(3, RATE)
    clips[:, ::2] = 0.1
    assert (add(clips, torch.ones(3)) - clips / 2).std() > 0.01


def test_second_time_only_what_changed_is_written(
    folder, tmp_path, write_audio
):
    save = tmp_path / "save"
    prepare_noise(str(folder), str(save), RATE)
    before = {path: path.stat().st_mtime_ns for _, path in listed(save)}
    (folder / "rain.wav").unlink()
    sound = np.random.default_rng(1).uniform(-0.3, 0.3, RATE)
    write_audio(folder / "new.wav", sound, RATE)
    prepare_noise(str(folder), str(save), RATE)
    after = {path: path.stat().st_mtime_ns for _, path in listed(save)}
    assert len(after) == 3
    assert len(before.items() & after.items()) == 2
    # What is gone is gone.
    assert set(save.rglob("*.wav")) == set(after)


def test_broken_file_is_told_and_left_out(folder, tmp_path, caplog):
    (folder / "broken.mp3").write_bytes(b"no sound" * 100)
    with caplog.at_level(logging.WARNING):
        prepare_noise(str(folder), str(tmp_path / "save"), RATE)
    assert "broken.mp3" in caplog.text
    assert len(read_rows(tmp_path / "save" / "noise.csv")) == 3


def test_folder_without_noise_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"not a folder.*null"):
        prepare_noise(str(tmp_path / "none"), str(tmp_path / "save"), RATE)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="there is no recording"):
        prepare_noise(str(empty), str(tmp_path / "save"), RATE)
    soundfile.write(empty / "silence.wav", np.zeros(RATE), RATE)
    with pytest.raises(ValueError, match=r"no file can be used.*silence.wav"):
        prepare_noise(str(empty), str(tmp_path / "save"), RATE)
