"""Fuzz target: any bytes as a recording."""

from __future__ import annotations

from pathlib import Path

from speechbrain_siamese.dataio.decoding import (
    audio_format,
    copy_stretch,
    decode_blocks,
)

#: Samples after which a file has been heard enough: ten minutes.
ENOUGH = 16000 * 600
SUFFIXES = (".wav", ".flac", ".ogg", ".m4a", ".mp3", ".webm")


def ask(data: bytes, folder: Path) -> None:
    """Decode, describe and cut a file whose ending the first byte tells."""
    path = folder / f"a{SUFFIXES[data[0] % len(SUFFIXES)] if data else '.wav'}"
    path.write_bytes(data[1:])
    for attempt in (
        lambda: _hear(path),
        lambda: audio_format(path),
        lambda: copy_stretch(path, folder / "cut.mka", 0.0, 1.0),
    ):
        try:
            attempt()
        except ValueError:
            continue


def _hear(path):
    heard = 0
    for block in decode_blocks(path, 16000, 10.0):
        assert block.ndim == 1 and 0 < len(block) <= 160_000, block.shape
        heard += len(block)
        if heard > ENOUGH:
            return
