"""Windows of nobody in particular come beside those of the speakers."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import soundfile
import torch
from speechbrain.dataio.encoder import CategoricalEncoder

from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.datasets import read_manifest
from speechbrain_siamese.dataio.manifests import Row, write_manifest
from speechbrain_siamese.dataio.sampler import SpeakerBatchSampler
from speechbrain_siamese.dataio.unlabelled import (
    NOBODY,
    SpeakerNumbers,
    UnlabelledSampler,
    prepare_unlabelled,
    unlabelled_fingerprint,
    with_unlabelled,
)

RATE = 16000
LABELLED = [(0, 5000), (0, 3000), (200, 2500)]
UNLABELLED = [(0, 9000), (0, 1500), (0, 100)]


def sampler(rank=0, world_size=1, clips=4):
    labelled = SpeakerBatchSampler(
        speakers=["a", "b", "b"],
        stretches=LABELLED,
        sample_rate=1000,
        window_samples=400,
        speakers_per_batch=2,
        clips_per_speaker=2,
        steps=200,
        rank=rank,
        world_size=world_size,
    )
    return UnlabelledSampler(labelled, UNLABELLED, clips)


def test_each_batch_is_the_samplers_and_so_many_windows_more():
    both = sampler()
    batches = list(both)
    assert len(batches) == len(both) == 200
    assert [batch[:4] for batch in batches] == list(both.sampler)
    more = [draw for batch in batches for draw in batch[4:]]
    assert len(more) == 4 * 200
    for row, start, stop in more:
        first, last = UNLABELLED[row - len(LABELLED)]
        assert first <= start < stop <= last
        assert stop - start == min(400, last - first)
    # As often as there is speech, and from all of it.
    rows = np.array([draw.row for draw in more])
    share = (rows == 3).mean()
    assert share == pytest.approx(9000 / 10600, abs=0.05)
    starts = [draw.start for draw in more if draw.row == 3]
    assert min(starts) < 500 and max(starts) > 8000


def test_windows_follow_from_the_epoch_and_the_step():
    first, again = sampler(), sampler()
    assert list(first) == list(again)
    again.sampler.set_epoch(2)
    assert list(first) != list(again)


def test_shares_of_two_processes_are_one_batch():
    whole, left, right = (
        list(sampler(rank, size)) for rank, size in ((0, 1), (0, 2), (1, 2))
    )
    for batch, first, second in zip(whole, left, right, strict=True):
        assert len(first) == len(second) == 4
        assert batch == first[:2] + second[:2] + first[2:] + second[2:]


def test_windows_that_processes_cannot_share_are_refused():
    with pytest.raises(ValueError, match="unlabelled_per_batch is 3, which 2"):
        sampler(world_size=2, clips=3)


def test_nobody_has_a_number_of_its_own():
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(["a", "b"])
    encoder.ignore_len()
    numbers = pickle.loads(pickle.dumps(SpeakerNumbers(encoder)))
    found = [numbers(name) for name in ("b", "", "a")]
    assert torch.cat(found).tolist() == [1, NOBODY, 0]


@pytest.fixture
def prepared(tmp_path, write_audio):
    """Recordings of nobody, and a manifest of two speakers."""
    rng = np.random.default_rng(0)
    for name in ("talk.m4a", "radio/बात.flac"):
        path = tmp_path / "more" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_audio(path, rng.uniform(-0.3, 0.3, (88200, 2)), 44100)
    (tmp_path / "more" / "broken.mp3").write_bytes(b"no sound" * 100)
    rows = []
    for speaker in ("a", "b"):
        wav = tmp_path / "prepared" / f"{speaker}.wav"
        wav.parent.mkdir(exist_ok=True)
        soundfile.write(wav, rng.uniform(-0.3, 0.3, RATE), RATE)
        path = f"$data_root/{speaker}.wav"
        rows.append(Row(speaker, 1.0, path, 0, RATE, speaker, "", speaker))
    write_manifest(rows, tmp_path / "prepared" / "train.csv")
    settings = CleaningSettings(trim_start=0.5, trim_end=0.0)
    prepare_unlabelled(
        str(tmp_path / "more"), str(tmp_path / "prepared"), settings
    )
    return tmp_path / "prepared"


def test_rows_of_nobody_follow_those_of_the_speakers(prepared):
    train = read_manifest(str(prepared / "train.csv"), str(prepared))
    train.set_output_keys(["spk_id", "sig"])
    both = with_unlabelled(train, prepared)
    assert len(train) == 2
    assert [item["spk_id"] for item in both] == ["a", "b", "", ""]
    assert [len(item["sig"]) for item in train] == [RATE, RATE]
    for item in list(both)[2:]:
        # Two seconds; what is cut of the speakers' is cut of these.
        assert len(item["sig"]) == pytest.approx(1.5 * RATE, rel=0.05)


def test_other_speech_has_another_fingerprint(prepared, tmp_path):
    first = unlabelled_fingerprint("more", prepared)
    assert first == unlabelled_fingerprint("more", prepared)
    assert unlabelled_fingerprint(None, prepared) == ""
    (tmp_path / "more" / "talk.m4a").unlink()
    settings = CleaningSettings(trim_start=0.5, trim_end=0.0)
    prepare_unlabelled(str(tmp_path / "more"), str(prepared), settings)
    assert first != unlabelled_fingerprint("more", prepared)


def test_a_folder_without_speech_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"unlabelled_folder.*null lets"):
        prepare_unlabelled(
            str(tmp_path / "none"), str(tmp_path), CleaningSettings()
        )
