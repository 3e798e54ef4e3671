"""Clips of strangers: what a file holds decides what it costs."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from speechbrain_siamese.inference import clips, embeddings
from speechbrain_siamese.inference.clips import MOST_SAMPLES, from_flac
from speechbrain_siamese.inference.speaker import SiameseRecognition

pytestmark = pytest.mark.fault(
    "clips of strangers: bombs and lies about length",
    "bounded memory, or refused",
)

RATE = 16000


def flac(rate: int = RATE, channels: int = 1) -> bytes:
    """A second of a rising line."""
    file = io.BytesIO()
    line = np.linspace(-0.5, 0.5, RATE)
    soundfile.write(
        file, np.stack([line] * channels, axis=1), rate, format="FLAC"
    )
    return file.getvalue()


def test_audio_that_was_kept_is_read_as_mono():
    for channels in (1, 2):
        sound = from_flac(flac(channels=channels), RATE)
        assert sound.shape == (RATE,)
        assert sound[[0, -1]] == pytest.approx([-0.5, 0.5], abs=1e-4)


@pytest.mark.parametrize("data", [b"", b"fLaC", b"x" * 99, flac()[:40]])
def test_audio_that_is_none_is_told(data):
    with pytest.raises(ValueError, match=r"is damaged|tells of"):
        from_flac(data, RATE)


def test_a_header_that_promises_too_much_is_refused_before_memory_is_taken():
    data = bytearray(flac())
    # Behind "fLaC" and the block's header: the last 36 bits of 8 bytes.
    data[21] |= 0x0F
    data[22:26] = b"\xff" * 4
    with pytest.raises(ValueError, match=f"at most {MOST_SAMPLES}"):
        from_flac(bytes(data), RATE)


def test_a_rate_that_would_make_hours_of_a_second_is_refused():
    with pytest.raises(ValueError, match="at 100 Hz"):
        from_flac(flac(rate=100), RATE)


def test_a_long_file_among_many_goes_block_by_block(
    trained, tiny, tmp_path, monkeypatch
):
    model = SiameseRecognition.from_pretrained(trained / "export")
    files = [
        tiny.write(tmp_path / f"{seconds}.wav", tiny.voice(1, 9, seconds))
        for seconds in (9.0, 3.0)
    ]
    expected = [model.embed_file(path).flatten().numpy() for path in files]
    monkeypatch.setattr(embeddings, "WAITING_SECONDS", 4)
    whole = []
    add = embeddings._Queue.add
    monkeypatch.setattr(
        embeddings._Queue,
        "add",
        lambda *own: whole.append(len(own[1])) or add(*own),
    )
    found, unusable = model.embed_files(files)
    assert not unusable
    # The short one alone was in memory as a whole.
    assert len(whole) == 1
    for path, embedding in zip(files, expected, strict=True):
        np.testing.assert_allclose(found[str(path)], embedding, atol=1e-4)


def test_a_long_waveform_goes_block_by_block(trained, tiny, monkeypatch):
    model = SiameseRecognition.from_pretrained(trained / "export")
    wave = tiny.voice(1, 9, 9.0)
    expected = clips.embed_clip(model, wave)
    monkeypatch.setattr(clips, "BLOCK", 2.0)
    monkeypatch.setattr(model, "encode_batch", None)
    found = clips.embed_clip(model, wave)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_more_than_can_be_kept_is_not_read_to_its_end(
    trained, tiny, tmp_path, monkeypatch
):
    model = SiameseRecognition.from_pretrained(trained / "export")
    long = tiny.write(tmp_path / "long.wav", tiny.voice(1, 9, 9.0))
    monkeypatch.setattr(clips, "MOST_SAMPLES", RATE)
    monkeypatch.setattr(clips, "embed_clip", None)
    with pytest.raises(ValueError, match="enroll it without keep_audio"):
        clips.clip_to_enroll(model, long, keep_audio=True)
