"""A file that is read in blocks has the embedding of the whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from speechbrain_siamese.inference.long_files import (
    SpeechFrames,
    embed_in_blocks,
    feature_blocks,
)


@pytest.fixture(scope="module")
def log_mel(small):
    return small.features()


def in_blocks(wav, size):
    return lambda: (wav[k : k + size] for k in range(0, len(wav), size))


def embedding(wav, size, log_mel, encoder):
    speech = SpeechFrames(in_blocks(wav, size), log_mel, encoder, "cpu")
    return embed_in_blocks(speech, encoder)[0]


@pytest.mark.parametrize("size", [1, 159, 160, 161, 5000, 16001])
def test_features_of_blocks_are_those_of_the_whole(small, size, log_mel):
    wav = torch.from_numpy(small.sound(5003 if size == 1 else 48013))
    found = torch.cat([*feature_blocks(wav.split(size), log_mel)])
    expected = log_mel.log_power(wav[None])[0]
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kept_frames", [0, 300, 6000])
@pytest.mark.parametrize("silence_range", [None, 30.0])
@pytest.mark.parametrize("samples", [7000, 8000, 80013, 160000])
def test_embedding_is_that_of_the_whole(
    small, samples, silence_range, kept_frames, log_mel, monkeypatch
):
    monkeypatch.setattr(
        "speechbrain_siamese.inference.long_files.KEPT_FRAMES", kept_frames
    )
    wav, encoder = small.sound(samples), small.encoder(silence_range)
    # Zeros within are silence, those at the end padding, wherever a block ends.
    wav[4000:5000] = 0
    padded = np.concatenate([wav, np.zeros(3000, np.float32)])
    with torch.no_grad():
        feats = log_mel(torch.from_numpy(padded)[None])
        whole, _ = encoder.mean_embeddings(feats)
    for size in (4500, 4801, 1_000_000):
        found = embedding(padded, size, log_mel, encoder)
        torch.testing.assert_close(found, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("samples", "readings"), [(80000, 1), (1040000, 2)])
def test_a_short_recording_is_read_once(small, samples, readings, log_mel):
    wav, encoder, read = small.sound(samples), small.encoder(None), []

    def blocks():
        read.append(len(wav))
        yield from np.array_split(wav, 5)

    embed_in_blocks(SpeechFrames(blocks, log_mel, encoder, "cpu"), encoder)
    assert len(read) == readings


def test_silence_is_left_out_by_the_level_of_the_whole(small, log_mel):
    """A block of pause alone must not be judged by its own level."""
    wav = small.sound(160000)
    wav[80000:] *= 1e-4
    encoder, half = small.encoder(30.0), small.encoder(None)
    half.load_state_dict(encoder.state_dict())
    found = embedding(wav, 40000, log_mel, encoder)
    kept_all = embedding(wav, 40000, log_mel, half)
    with torch.no_grad():
        feats = log_mel(torch.from_numpy(wav)[None])
        whole, _ = encoder.mean_embeddings(feats)
    torch.testing.assert_close(found, whole, rtol=0, atol=1e-5)
    assert (found - kept_all).abs().max() > 1e-3


def test_silent_and_short_recordings_are_refused(small, log_mel):
    encoder = small.encoder(30.0)
    silent = np.zeros(50000, np.float32)
    with pytest.raises(ValueError, match="zeros only"):
        embedding(silent, 9000, log_mel, encoder)
    silent[:3000] = small.sound(3000)
    with pytest.raises(ValueError, match="too short to know a voice"):
        embedding(silent, 9000, log_mel, encoder)


@pytest.mark.fault(
    "recording that grows or shrinks while it is labelled or embedded",
    "refused with words",
)
@pytest.mark.parametrize("change", [-30000, -200, 200, 30000])
def test_a_recording_that_changes_while_it_is_read_is_told(
    small, log_mel, monkeypatch, change
):
    monkeypatch.setattr(
        "speechbrain_siamese.inference.long_files.KEPT_FRAMES", 0
    )
    encoder, sizes = small.encoder(30.0), [100000, 100000 + change]
    wav = small.sound(max(sizes))

    def blocks():
        return in_blocks(wav[: sizes.pop(0)], 4500)()

    speech = SpeechFrames(blocks, log_mel, encoder, "cpu")
    told = "longer" if change > 0 else "shorter"
    with pytest.raises(ValueError, match=f"while it was read, it is {told}"):
        embed_in_blocks(speech, encoder)


@pytest.mark.slow
def test_memory_does_not_grow_with_length(trained, tiny):
    """From 5 to 25 minutes: as samples alone these are 77 MB more."""
    script = Path(__file__).parents[2] / "benchmarks" / "memory.py"
    done = subprocess.run(
        [
            sys.executable,
            str(script),
            f"--source={trained / 'export'}",
            "--quick",
        ],
        env=tiny.environment(),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["growth_mb"] < 15, done.stdout
