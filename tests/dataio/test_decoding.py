"""Every format decodes to the mean of its channels, streamed in blocks."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import soundfile
import soxr

from speechbrain_siamese.dataio.decoding import (
    DecodingError,
    decode,
    decode_blocks,
)

LOSSY = ["m4a", "mp4", "webm", "opus", "mka", "mp3", "ogg"]


def stereo(seconds: float = 2.0, rate: int = 48000) -> np.ndarray:
    time = np.arange(int(seconds * rate)) / rate
    left = 0.4 * np.sin(2 * np.pi * 220 * time)
    right = 0.2 * np.sin(2 * np.pi * 330 * time)
    return np.stack([left, right], axis=1)


@pytest.mark.parametrize("ending", [*LOSSY, "wav", "flac", "aiff"])
def test_every_format_gives_the_mean_of_its_channels(
    tmp_path, write_audio, ending
):
    sound = stereo()
    path = write_audio(tmp_path / f"मो हन.{ending}", sound, 48000)
    heard = decode(path, 16000)
    mean = soxr.resample(sound.mean(axis=1).astype(np.float32), 48000, 16000)
    assert heard.dtype == np.float32
    # AAC fills its last frame up.
    assert 0 <= len(heard) - len(mean) < 1024
    # Encoders take a while to settle on a sudden tone.
    middle = slice(len(mean) // 2, len(mean) - 2000)
    assert np.abs(heard[middle] - mean[middle]).max() < 0.03


@pytest.mark.parametrize(
    ("subtype", "error"),
    [
        ("PCM_U8", 1e-2),
        ("PCM_16", 4e-5),
        ("PCM_24", 2e-7),
        ("PCM_32", 1e-7),
        ("FLOAT", 1e-7),
        ("DOUBLE", 1e-7),
    ],
)
def test_samples_of_every_width_have_full_scale_one(
    tmp_path, write_audio, subtype, error
):
    sound = stereo()
    path = write_audio(tmp_path / "a.wav", sound, 48000, subtype)
    heard = decode(path, 48000)
    assert np.abs(heard - sound.mean(axis=1)).max() < error


@pytest.mark.parametrize("block_seconds", [0.01, 0.5, 30.0])
def test_blocks_join_without_clicks(tmp_path, write_audio, block_seconds):
    rng = np.random.default_rng(0)
    sound = rng.uniform(-0.5, 0.5, 44100 * 3).astype(np.float32)
    path = write_audio(tmp_path / "a.wav", sound, 44100, "FLOAT")
    blocks = list(decode_blocks(path, 16000, block_seconds))
    size = round(block_seconds * 16000)
    assert all(len(block) == size for block in blocks[:-1])
    assert 0 < len(blocks[-1]) <= size
    whole = soxr.resample(sound, 44100, 16000)
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-6)


def test_change_of_rate_midstream_keeps_pitch_and_duration(
    tmp_path, write_audio
):
    parts = []
    for rate in (22050, 44100):
        tone = 0.2 * np.sin(2 * np.pi * 300 * np.arange(2 * rate) / rate)
        path = write_audio(tmp_path / f"{rate}.mp3", tone, rate)
        parts.append(path.read_bytes())
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(b"".join(parts))
    heard = decode(joined, 16000)
    assert len(heard) / 16000 == pytest.approx(4.0, abs=0.2)
    for second in (heard[8000:24000], heard[-24000:-8000]):
        assert np.argmax(np.abs(np.fft.rfft(second))) == 300


def test_not_a_number_is_not_hidden(tmp_path, write_audio):
    sound = stereo()[:, 0].copy()
    sound[1000], sound[5000] = np.nan, np.inf
    path = write_audio(tmp_path / "a.wav", sound, 48000, "FLOAT")
    assert np.isnan(decode(path, 48000)[1000])
    assert np.isinf(decode(path, 48000)[5000])
    assert not np.isfinite(decode(path, 16000)).all()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("zero.wav", b"", "zero bytes"),
        ("text.wav", b"hello, this is text\n" * 99, "no audio"),
        ("text.mp3", b"hello, this is text\n" * 99, "no audio"),
        ("noise.m4a", bytes(range(256)) * 40, "no audio"),
    ],
)
def test_what_is_no_audio_is_told_with_its_file(
    tmp_path, name, content, reason
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DecodingError, match=reason) as error:
        decode(tmp_path / name, 16000)
    assert name in str(error.value)


def test_missing_file_is_told(tmp_path):
    with pytest.raises(DecodingError, match="no such file"):
        decode(tmp_path / "none.wav", 16000)
    # Which is there: whoever is told that it is not looks for it in vain.
    with pytest.raises(DecodingError, match="a folder, expected an audio file"):
        decode(tmp_path, 16000)


def test_header_without_samples_is_told(tmp_path, write_audio):
    path = write_audio(tmp_path / "a.wav", np.zeros(0), 16000)
    with pytest.raises(DecodingError, match="nothing in it"):
        decode(path, 16000)


def test_picture_is_told_to_have_no_audio(tmp_path):
    # A portable greymap of 4 by 4 points.
    (tmp_path / "a.wav").write_bytes(b"P5 4 4 255\n" + bytes(16))
    with pytest.raises(DecodingError, match="no audio"):
        decode(tmp_path / "a.wav", 16000)


def test_truncated_file_gives_what_is_there_and_a_warning(
    tmp_path, write_audio, caplog
):
    path = write_audio(tmp_path / "a.mp3", stereo(6.0), 48000)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with caplog.at_level(logging.WARNING):
        heard = decode(path, 16000)
    assert 2.5 < len(heard) / 16000 < 3.5
    assert "a.mp3" in caplog.text
    assert "6.0 s" in caplog.text


def test_whole_file_gives_no_warning(tmp_path, write_audio, caplog):
    for ending in LOSSY:
        path = write_audio(tmp_path / f"a.{ending}", stereo(3.0), 48000)
        decode(path, 16000)
    assert not caplog.records


def test_corrupt_packets_are_skipped_and_counted(tmp_path, write_audio, caplog):
    path = write_audio(tmp_path / "a.mp3", stereo(5.0), 48000)
    content = bytearray(path.read_bytes())
    third = len(content) // 3
    content[third : third + 2000] = bytes(2000)
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        heard = decode(path, 16000)
    assert len(heard) / 16000 > 4
    assert "skipped" in caplog.text
    assert len(caplog.records) == 1


def test_decoder_prints_nothing_itself(tmp_path, write_audio, capfd):
    path = write_audio(tmp_path / "a.m4a", stereo(5.0), 48000)
    content = bytearray(path.read_bytes())
    third = len(content) // 3
    content[third : third + 300] = bytes(300)
    path.write_bytes(content)
    decode(path, 16000)
    assert capfd.readouterr().out == ""
    assert "[aac" not in capfd.readouterr().err


def test_first_block_comes_before_the_file_is_decoded(
    tmp_path, write_audio, monkeypatch
):
    path = write_audio(tmp_path / "a.wav", np.zeros(16000 * 60), 16000)
    seen = []
    from speechbrain_siamese.dataio import decoding

    original = decoding._mono

    def counted(channels):
        seen.append(channels.shape[1])
        return original(channels)

    monkeypatch.setattr(decoding, "_mono", counted)
    next(decode_blocks(path, 16000, block_seconds=1.0))
    assert sum(seen) < 3 * 16000
    assert soundfile.info(path).frames == 16000 * 60


def test_channels_are_heard_as_they_are_in_the_file(tmp_path, write_audio):
    left = np.full(24000, 0.5)
    path = write_audio(tmp_path / "a.wav", np.stack([left, -left]).T, 24000)
    heard = []
    mono = np.concatenate(
        [
            *decode_blocks(
                path, 8000, hear_channels=lambda *own: heard.append(own)
            )
        ]
    )
    assert not mono.any()
    assert {rate for _, rate in heard} == {24000}
    sound = np.concatenate([channels for channels, _ in heard], axis=1)
    assert sound.shape == (2, 24000)
    assert sound[:, 0] == pytest.approx([0.5, -0.5], abs=1e-4)
