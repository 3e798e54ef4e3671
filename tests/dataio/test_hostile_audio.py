"""Recordings of strangers: what a header promises takes no memory."""

from __future__ import annotations

import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speechbrain_siamese.dataio.decoding import (
    DecodingError,
    copy_stretch,
    decode,
    decode_blocks,
)

pytestmark = pytest.mark.fault(
    "recordings whose headers promise terabytes",
    "no memory is taken for them",
)


def wav(data, rate=16000, channels=1, bits=16, promised=None, kind=1) -> bytes:
    """A WAV file whose header says what it likes."""
    size = min(2**32 - 1, len(data) if promised is None else promised)
    frame = channels * bits // 8 % 65536
    return (
        struct.pack("<4sI4s", b"RIFF", min(2**32 - 1, 36 + size), b"WAVE")
        + struct.pack("<4sIHHI", b"fmt ", 16, kind, channels, rate)
        + struct.pack("<IHH", min(2**32 - 1, rate * frame), frame, bits)
        + struct.pack("<4sI", b"data", size)
        + data
    )


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rate=st.sampled_from([0, 1, 7, 999, 8000, 44100, 2**31, 2**32 - 1]),
    channels=st.sampled_from([0, 1, 2, 64, 65535]),
    bits=st.sampled_from([0, 1, 8, 16, 24, 32, 64, 65535]),
    promised=st.integers(0, 2**32 - 1),
    kind=st.sampled_from([0, 1, 3, 6, 7, 85, 0xFFFE, 0xFFFF]),
    data=st.binary(max_size=500),
)
def test_any_header_is_decoded_or_told(
    tmp_path, rate, channels, bits, promised, kind, data
):
    path = tmp_path / "a.wav"
    path.write_bytes(wav(data, rate, channels, bits, promised, kind))
    try:
        heard = sum(map(len, decode_blocks(path, 16000)))
    except DecodingError as error:
        assert str(path) in str(error)
        return
    # At most what each byte, a sample of the lowest rate, is stretched to.
    assert heard <= 16 * (len(data) + 1) * 16 + 16000


@pytest.mark.parametrize("rate", [1, 999])
def test_a_rate_that_no_sound_has_is_refused(tmp_path, rate):
    (tmp_path / "a.wav").write_bytes(wav(bytes(5000), rate))
    with pytest.raises(DecodingError, match=f"its sample rate is {rate} Hz"):
        decode(tmp_path / "a.wav", 16000)


def test_a_codec_that_nobody_knows_is_told(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(bytes(5000), bits=65535))
    with pytest.raises(DecodingError):
        copy_stretch(tmp_path / "a.wav", tmp_path / "b.mka", 0, 1)
    # Before it is decoded, at which PyAV 17.0 crashes.
    (tmp_path / "a.wav").write_bytes(wav(bytes(5000), kind=0x1234))
    with pytest.raises(DecodingError, match="no decoder knows its sound"):
        decode(tmp_path / "a.wav", 16000)


BOMB = """
import resource, sys
from speechbrain_siamese.dataio.decoding import decode_blocks
# What is mapped after the imports is all that decoding may take.
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 300_000_000,) * 2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
heard = sum(map(len, decode_blocks(sys.argv[1], 16000)))
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(heard // 16000, grown // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["flac", "ogg"])
def test_hours_of_silence_in_a_small_file_take_no_memory(
    tmp_path, tiny, ending
):
    hours, path = 2, tmp_path / f"bomb.{ending}"
    kind = {"flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "OPUS")}[ending]
    with soundfile.SoundFile(
        path, "w", 48000, 1, format=kind[0], subtype=kind[1]
    ) as file:
        for _ in range(hours * 60):
            file.write(np.zeros(60 * 48000, dtype=np.float32))
    done = subprocess.run(
        [sys.executable, "-c", BOMB, str(path)],
        env=tiny.environment(),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    heard, grown = map(int, done.stdout.split())
    assert heard == pytest.approx(hours * 3600, abs=2)
    # Whole it would be 460 MB.
    assert grown < 100
