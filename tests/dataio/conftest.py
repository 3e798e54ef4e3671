"""Makes audio files of every format for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

ENCODERS = {
    ".m4a": "aac",
    ".mp4": "aac",
    ".webm": "libopus",
    ".opus": "libopus",
    ".mka": "libopus",
    ".mp3": "libmp3lame",
}


@pytest.fixture(scope="session")
def write_audio() -> Callable:
    """``write_audio(path, samples, rate, subtype=None)``, returns the path.

    ``samples`` is (samples,) or (samples, channels), full scale 1; the
    format follows from the name's ending.
    """

    def write(
        path: Path,
        samples: np.ndarray,
        rate: int,
        subtype: str | None = None,
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in ENCODERS:
            encode(path, np.atleast_2d(samples.T), rate)
        else:
            soundfile.write(path, samples, rate, subtype=subtype)
        return path

    return write


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, str]]:
    """``contents(folder)``: digest of every file below it, hidden ones too."""

    def digests(folder: Path) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    return digests


@pytest.fixture(scope="session")
def speech_like() -> Callable:
    """``speech_like(pattern, rate)``: stretches of tone and of hush.

    ``pattern`` is a string such as ``"..##.#"``: one character per second,
    ``#`` is a tone of -15 dBFS, ``.`` noise of -75 dBFS.
    """

    def make(pattern: str, rate: int = 16000) -> np.ndarray:
        time = np.arange(rate) / rate
        tone = 0.25 * np.sin(2 * np.pi * 220 * time)
        hush = 1.8e-4 * np.random.default_rng(0).standard_normal(rate)
        return np.concatenate(
            [tone if mark == "#" else hush for mark in pattern]
        ).astype(np.float32)

    return make


def encode(path: Path, samples: np.ndarray, rate: int) -> None:
    """Encodes (channels, samples) by FFmpeg."""
    layout = {1: "mono", 2: "stereo"}[len(samples)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            ENCODERS[path.suffix], rate=rate, layout=layout
        )
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples, dtype=np.float32),
            format="fltp",
            layout=layout,
        )
        frame.sample_rate = rate
        frame.pts = 0
        frame.time_base = Fraction(1, rate)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
