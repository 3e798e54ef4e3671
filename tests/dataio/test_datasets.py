"""A dataset gives exactly the samples that were asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_siamese.dataio.datasets import ReadStretch, read_manifest
from speechbrain_siamese.dataio.manifests import Row, write_manifest
from speechbrain_siamese.dataio.sampler import Draw, SpeakerBatchSampler

RATE = 16000
#: Start and stop of each row; the last is shorter than a window.
STRETCHES = [(0, 4000), (1000, 3500), (3600, 3900)]
WINDOW = 800


@pytest.fixture
def samples() -> np.ndarray:
    """Each sample is told from every other by its value: exact in 16 bits."""
    return (np.arange(4000) - 2000).astype(np.int16)


@pytest.fixture
def manifest(tmp_path, samples) -> Path:
    (tmp_path / "data" / "anna").mkdir(parents=True)
    soundfile.write(tmp_path / "data" / "anna" / "a.wav", samples, RATE)
    path = tmp_path / "train.csv"
    write_manifest(
        [
            Row(
                ID=f"anna-{number}",
                duration=(stop - start) / RATE,
                wav="$data_root/anna/a.wav",
                start=start,
                stop=stop,
                spk_id="anna",
                gender="f",
                session="anna/a",
            )
            for number, (start, stop) in enumerate(STRETCHES)
        ],
        path,
    )
    return path


def opened(manifest: Path, window_samples: int | None = WINDOW):
    dataset = read_manifest(
        str(manifest), str(manifest.parent / "data"), window_samples
    )
    dataset.set_output_keys(["id", "sig", "spk_id"])
    return dataset


def expected(samples: np.ndarray, start: int, stop: int) -> torch.Tensor:
    return torch.tensor(samples[start:stop] / 32768, dtype=torch.float32)


def test_a_draw_gives_exactly_its_samples(manifest, samples):
    dataset = opened(manifest)
    for row, start in ((0, 0), (0, 3200), (1, 1001), (1, 2700)):
        item = dataset[Draw(row, start, start + WINDOW)]
        assert item["id"] == f"anna-{row}"
        assert item["spk_id"] == "anna"
        assert item["sig"].dtype == torch.float32
        assert torch.equal(
            item["sig"], expected(samples, start, start + WINDOW)
        )


@pytest.mark.parametrize("row", [0, 1])
def test_a_number_gives_the_whole_row(manifest, samples, row):
    item = opened(manifest)[row]
    assert item["id"] == f"anna-{row}"
    assert torch.equal(item["sig"], expected(samples, *STRETCHES[row]))


def test_a_draw_does_not_change_the_row(manifest, samples):
    dataset = opened(manifest)
    _ = dataset[Draw(1, 1200, 2000)]
    assert torch.equal(dataset[1]["sig"], expected(samples, *STRETCHES[1]))


@pytest.mark.parametrize("index", [2, Draw(2, 3600, 3900)])
def test_a_short_row_is_repeated_to_a_window(manifest, samples, index):
    own = expected(samples, 3600, 3900)
    repeated = torch.cat([own, own, own])[:WINDOW]
    assert torch.equal(opened(manifest)[index]["sig"], repeated)


def test_without_a_window_a_short_row_stays_as_it_is(manifest, samples):
    item = opened(manifest, window_samples=None)[2]
    assert torch.equal(item["sig"], expected(samples, 3600, 3900))


@pytest.mark.parametrize(("start", "stop"), [(3900, 4001), (5000, 5800)])
def test_a_file_shorter_than_its_manifest_is_named(
    manifest, tmp_path, start, stop
):
    wav = str(tmp_path / "data" / "anna" / "a.wav")
    count = stop - start
    found = max(0, 4000 - start)
    with pytest.raises(ValueError) as caught:
        ReadStretch(WINDOW)(wav, str(start), str(stop))
    message = str(caught.value)
    assert f"{wav} gave {found} samples from {start} on" in message
    assert f"says {count}" in message


def test_channels_are_averaged(tmp_path):
    path = tmp_path / "two.wav"
    two = np.array([[1000, 3000], [-4, 4], [0, 2]], dtype=np.int16)
    soundfile.write(path, two, RATE)
    assert torch.equal(
        ReadStretch()(str(path), 0, 3),
        torch.tensor([2000.0, 0.0, 1.0]) / 32768,
    )


@pytest.mark.parametrize("start_method", ["spawn"])
def test_spawned_workers_give_the_same_batches(manifest, start_method):
    """As on macOS and Windows, where what does not pickle does not work."""
    dataset = opened(manifest)
    sampler = SpeakerBatchSampler(
        speakers=["anna", "bela", "bela"],
        stretches=STRETCHES,
        sample_rate=RATE,
        window_samples=WINDOW,
        speakers_per_batch=2,
        clips_per_speaker=2,
    )
    loader = torch.utils.data.DataLoader(
        dataset,
        batch_sampler=sampler,
        collate_fn=list,
        num_workers=1,
        multiprocessing_context=start_method,
    )
    found = list(loader)
    assert len(found) == len(sampler) > 1
    for batch, draws in zip(found, sampler, strict=True):
        for item, draw in zip(batch, draws, strict=True):
            assert item["id"] == f"anna-{draw.row}"
            assert torch.equal(item["sig"], dataset[draw]["sig"])
