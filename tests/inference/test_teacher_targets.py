"""Targets are the teacher's words on the audio at hand, heard once."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import soundfile
import torch
from speechbrain.augment.time_domain import SpeedPerturb

from speechbrain_siamese.dataio.datasets import read_manifest
from speechbrain_siamese.dataio.manifests import Row, write_manifest
from speechbrain_siamese.dataio.sampler import Draw
from speechbrain_siamese.inference import teacher_targets as module
from speechbrain_siamese.inference.teacher import Teacher
from speechbrain_siamese.inference.teacher_targets import teacher_targets

RATE = 1000
#: Of rows of files of 6,000 samples; windows of 1 s every 0.5 s.
STRETCHES = [(0, 6000), (2000, 4300), (500, 900), (100, 500)]
#: Starts of the windows of each row: 0, 500 ... 5000; 2000, 2500, 3000, 3300.
COUNTS = [11, 4, 1, 1]


class Levels:
    """Mean of four parts of a waveform; keeps what it was given."""

    def __init__(self, fail=None):
        self.heard, self.fail = [], fail

    def __call__(self, wavs):
        if self.fail is not None:
            self.fail(self, wavs)
        self.heard.append(tuple(wavs.shape))
        return torch.stack(
            [part.mean(dim=1) for part in wavs.chunk(4, dim=1)], dim=1
        )

    @property
    def windows(self) -> int:
        return sum(items for items, _ in self.heard)


@pytest.fixture
def sound() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.9, 0.9, (4, 6000)).round(3)


@pytest.fixture
def dataset(tmp_path, sound):
    rows = []
    for number, (start, stop) in enumerate(STRETCHES):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, sound[number], RATE, subtype="FLOAT")
        rows.append(
            Row(
                ID=f"row{number}",
                duration=(stop - start) / RATE,
                wav=f"$data_root/{number}.wav",
                start=start,
                stop=stop,
                spk_id="anna",
                gender="",
                session="",
            )
        )
    write_manifest(rows, tmp_path / "train.csv")
    return read_manifest(str(tmp_path / "train.csv"), str(tmp_path))


def taught(
    encode, dataset, tmp_path, rate=RATE, name="levels", hop=0.5, speeds=None
):
    return teacher_targets(
        Teacher(encode, rate, name),
        dataset.data,
        RATE,
        tmp_path / "teacher",
        window_seconds=1.0,
        hop_seconds=hop,
        speed_perturb=speeds,
    )


def expected_targets(sound):
    """By row and first sample: unit length, then without the mean of all."""
    units = {}
    for row, (start, stop) in enumerate(STRETCHES):
        last = max(start, stop - 1000)
        for first in {*range(start, last, 500), last}:
            part = sound[row, first : min(stop, first + 1000)]
            means = np.array([quarter.mean() for quarter in np.split(part, 4)])
            units[row, first] = means / np.linalg.norm(means)
    mean = np.mean(list(units.values()), axis=0)
    return {key: unit - mean for key, unit in units.items()}


def test_draws_get_the_window_that_overlaps_most(dataset, tmp_path, sound):
    targets = taught(Levels(), dataset, tmp_path)
    expected = expected_targets(sound)
    assert len(expected) == sum(COUNTS)
    assert targets.dim == 4
    dataset.add_dynamic_item(
        targets, takes=["id", "start", "stop"], provides="teacher"
    )
    dataset.set_output_keys(["teacher"])
    for draw, first in (
        (Draw(0, 0, 500), 0),
        (Draw(0, 740, 1240), 500),
        (Draw(0, 5500, 6000), 5000),
        (Draw(1, 3700, 4300), 3300),
        (Draw(2, 500, 900), 500),
        (3, 100),
        (1, 2500),
    ):
        row = draw.row if isinstance(draw, Draw) else draw
        found = dataset[draw]["teacher"].numpy()
        assert found == pytest.approx(expected[row, first], abs=1e-5)


def test_targets_pickle_for_workers(dataset, tmp_path):
    targets = taught(Levels(), dataset, tmp_path)
    again = pickle.loads(pickle.dumps(targets))
    assert torch.equal(again("row1", 2100, 2500), targets("row1", 2100, 2500))


def test_windows_of_one_length_are_heard_together_and_none_is_padded(
    dataset, tmp_path
):
    encoder = Levels()
    taught(encoder, dataset, tmp_path)
    assert sorted(encoder.heard) == [(2, 400), (15, 1000)]


def test_teacher_hears_at_its_own_rate(dataset, tmp_path):
    encoder = Levels()
    taught(encoder, dataset, tmp_path, rate=1600)
    assert sorted(encoder.heard) == [(2, 640), (15, 1600)]


def test_every_window_is_heard_at_each_speed(dataset, tmp_path, sound):
    plain = taught(Levels(), dataset, tmp_path)
    encoder, speeds = Levels(), SpeedPerturb(RATE, speeds=[80, 100])
    targets = taught(encoder, dataset, tmp_path, speeds=speeds)
    # At their own speed they had been heard.
    assert sorted(encoder.heard) == [(2, 500), (15, 1250)]

    # Units as heard; the mean over all of both speeds is taken off.
    slow, own = targets("row0", 0, 900)
    part = torch.from_numpy(sound[0, :1000]).float()[None]
    heard = Levels()(speeds.resamplers[0](part))[0]
    window = Levels()(part)[0]
    step = heard / heard.norm() - window / window.norm()
    assert torch.allclose(slow - own, step, atol=1e-4)
    other = targets("row1", 2000, 2900)[1] - plain("row1", 2000, 2900)
    assert torch.allclose(own - plain("row0", 0, 900), other, atol=1e-6)


def test_nothing_is_heard_twice(dataset, tmp_path):
    first = taught(Levels(), dataset, tmp_path)
    encoder = Levels()
    again = taught(encoder, dataset, tmp_path)
    assert not encoder.heard
    assert torch.equal(first("row0", 0, 500), again("row0", 0, 500))


def test_killed_run_goes_on_where_it_saved(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 2)
    monkeypatch.setattr(module, "SAVE_EVERY", 0.0)

    def stop(encoder, wavs):
        if len(encoder.heard) == 3:
            raise KeyboardInterrupt

    killed, encoder = Levels(stop), Levels()
    with pytest.raises(KeyboardInterrupt):
        taught(killed, dataset, tmp_path)
    whole = taught(encoder, dataset, tmp_path)
    assert killed.windows == 6
    assert encoder.windows == sum(COUNTS) - 6
    other = taught(Levels(), dataset, tmp_path, name="other")
    assert torch.equal(whole("row0", 0, 500), other("row0", 0, 500))


def test_another_teacher_grid_manifest_or_file_is_heard_anew(
    dataset, tmp_path, sound
):
    def windows(**changes):
        encoder = Levels()
        taught(encoder, dataset, tmp_path, **changes)
        return encoder.windows

    assert windows() == sum(COUNTS)
    assert windows(name="other") == sum(COUNTS)
    assert windows(hop=1.0) == 11 - 5 + 4 - 1 + 2
    soundfile.write(tmp_path / "3.wav", sound[3], RATE, subtype="DOUBLE")
    assert windows() == sum(COUNTS)
    del dataset.data["row2"]
    assert windows() == sum(COUNTS) - 1


def test_windows_without_an_embedding_have_no_target(dataset, tmp_path, caplog):
    def refuse(encoder, wavs):
        if wavs.shape[1] == 400:
            raise ValueError("too short")

    targets = taught(Levels(refuse), dataset, tmp_path)
    assert targets("row2", 500, 900).isnan().all()
    assert targets("row0", 0, 500).isfinite().all()
    assert "cannot embed 2 of 17 windows" in caplog.text
    assert f"{tmp_path}/2.wav at 0.5 s: too short" in caplog.text


def test_teacher_that_can_embed_nothing_is_an_error(dataset, tmp_path):
    def refuse(encoder, wavs):
        raise ValueError("no voice")

    with pytest.raises(ValueError, match=r"none of 17 windows.*no voice"):
        taught(Levels(refuse), dataset, tmp_path)
