"""Files that people really have in their folders: none ends the job.

Each is made by a function that takes its path and a good WAV recording of
speech-like sound (16 kHz, mono) to start from.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.corpus import clean_corpus, write_rejected
from speechbrain_siamese.dataio.recordings import find_recordings

pytestmark = pytest.mark.fault(
    "odd and broken files among good ones",
    "listed with the reason; the job goes on",
)

RATE = 16000


def _samples(good: Path) -> np.ndarray:
    return soundfile.read(good, dtype="float32")[0]


def _wav(path: Path, samples: np.ndarray, rate: int = RATE, **options) -> None:
    soundfile.write(path, samples, rate, format="WAV", **options)


def _encode(path: Path, codec: str, samples: np.ndarray) -> None:
    """Mono audio by FFmpeg; the container follows from the name."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48000, layout="mono")
        _fill(container, stream, samples)


def _fill(container, stream: av.AudioStream, samples: np.ndarray) -> None:
    """Encode all of a mono stream."""
    frame = av.AudioFrame.from_ndarray(
        samples[None], format="fltp", layout="mono"
    )
    frame.sample_rate, frame.pts = RATE, 0
    frame.time_base = Fraction(1, RATE)
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _video(path: Path, samples: np.ndarray | None) -> None:
    """Moving picture, with sound or without."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=5)
        picture.width = picture.height = 64
        picture.pix_fmt = "yuv420p"
        sound = None
        if samples is not None:
            sound = container.add_stream("aac", rate=RATE, layout="mono")
        for number in range(20):
            image = np.full((64, 64, 3), 10 * number, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        if sound is not None:
            _fill(container, sound, samples)


def _half(path: Path, whole: Path) -> None:
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])


def truncated_mp3(path, good):
    whole = path.with_name("whole.mp3")
    _encode(whole, "libmp3lame", _samples(good))
    _half(path, whole)
    whole.unlink()


def truncated_m4a(path, good):
    # The index of an m4a comes last: without it nothing can be found.
    whole = path.with_name("whole.m4a")
    _encode(whole, "aac", _samples(good))
    _half(path, whole)
    whole.unlink()


def garbage_inside(path, good):
    _encode(path, "libmp3lame", _samples(good))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    noise = np.random.default_rng(0).integers(0, 256, 600, dtype=np.uint8)
    data[middle : middle + 600] = noise.tobytes()
    path.write_bytes(data)


def one_channel_silent(path, good):
    samples = _samples(good)
    _wav(path, np.stack([samples, np.zeros_like(samples)], axis=1))


def six_channels(path, good):
    _wav(path, np.stack([_samples(good)] * 6, axis=1))


def opposite_channels(path, good):
    samples = _samples(good)
    _wav(path, np.stack([samples, -samples], axis=1), subtype="FLOAT")


def very_high_rate(path, good):
    _wav(path, np.repeat(_samples(good), 12), 192000)


def low_rate(path, good):
    _wav(path, _samples(good)[::4], 4000)


def with_nan(path, good):
    samples = _samples(good)
    samples[len(samples) // 2] = np.nan
    _wav(path, samples, subtype="FLOAT")


def louder_than_full_scale(path, good):
    _wav(path, 8 * _samples(good), subtype="FLOAT")


def wrong_length_in_header(path, good):
    """As a recorder leaves it that lost its power: no length was written."""
    data = bytearray(good.read_bytes())
    data[4:8] = data[40:44] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(data)


def symlink_loop(path, good):
    path.symlink_to(path.name)


def dangling_symlink(path, good):
    path.symlink_to("nowhere.wav")


def named_pipe(path, good):
    os.mkfifo(path)


def text_after_bytes(path, good):
    path.write_text("These are the minutes of the meeting.\n" * 50)


def playlist(path, good):
    path.write_text(f"#EXTM3U\n#EXTINF:5,x\n{good.resolve()}\n")


def concat_script(path, good):
    path.write_text(f"ffconcat version 1.0\nfile '{good.resolve()}'\n")


#: File name -> who writes it, and how the reason begins for which it is
#: rejected; None where it is used, "" where nobody looks at it.
ODD: dict[str, tuple[Callable[[Path, Path], object], str | None]] = {
    "8 bit.wav": (lambda p, g: _wav(p, _samples(g), subtype="PCM_U8"), None),
    "24 bit.wav": (lambda p, g: _wav(p, _samples(g), subtype="PCM_24"), None),
    "telephone.wav": (lambda p, g: _wav(p, _samples(g), subtype="ULAW"), None),
    "192 kHz.wav": (very_high_rate, None),
    "4 kHz.wav": (low_rate, None),
    "six channels.wav": (six_channels, None),
    "one channel silent.wav": (one_channel_silent, None),
    "opposite channels.wav": (opposite_channels, "silent: no sound in 6.0 s"),
    "offset.wav": (lambda p, g: _wav(p, _samples(g) * 0.5 + 0.4), None),
    "clipped.wav": (lambda p, g: _wav(p, (30 * _samples(g)).clip(-1, 1)), None),
    "too loud.wav": (louder_than_full_scale, None),
    "nan.wav": (with_nan, "NaN or infinite samples near 0 s"),
    "tenth of a second.wav": (
        lambda p, g: _wav(p, _samples(g)[:1600]),
        "silent: no sound in 0.1 s",
    ),
    "silent.wav": (
        lambda p, g: _wav(p, np.zeros(5 * RATE)),
        "silent: no sound in 5.0 s",
    ),
    "zero bytes.wav": (lambda p, g: p.touch(), "unreadable: zero bytes"),
    "only a header.wav": (
        lambda p, g: _wav(p, np.zeros(0)),
        "unreadable: nothing in it could be decoded",
    ),
    "no length.wav": (wrong_length_in_header, None),
    "text.mp3": (text_after_bytes, "unreadable: no audio that can be decoded"),
    "wav in disguise.mp3": (lambda p, g: shutil.copy(g, p), None),
    "truncated.mp3": (truncated_mp3, None),
    "truncated.m4a": (
        truncated_m4a,
        "unreadable: no audio that can be decoded, or cut off",
    ),
    "garbage inside.mp3": (garbage_inside, None),
    "video.mp4": (lambda p, g: _video(p, _samples(g)), None),
    "video without sound.mp4": (
        lambda p, g: _video(p, None),
        "unreadable: no audio stream",
    ),
    "😀 नमस्ते.ogg": (lambda p, g: soundfile.write(p, _samples(g), RATE), None),
    "UPPER.WAV": (lambda p, g: shutil.copy(g, p), None),
    "upper.wav": (lambda p, g: shutil.copy(g, p), None),
    "upper.flac": (lambda p, g: soundfile.write(p, _samples(g), RATE), None),
    "list in disguise.mp3": (
        playlist,
        "unreadable: no audio that can be decoded",
    ),
    "script in disguise.mp3": (
        concat_script,
        "unreadable: no audio that can be decoded",
    ),
    "list.m3u": (playlist, ""),
    ".hidden.wav": (lambda p, g: shutil.copy(g, p), ""),
    "loop.wav": (symlink_loop, "unreadable: a link that leads nowhere"),
    "dangling.wav": (dangling_symlink, "unreadable: a link that leads nowhere"),
    "pipe.wav": (named_pipe, "unreadable: a link that leads nowhere, a pipe"),
}


#: Seconds that the good recording keeps.
KEPT = 3.36


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, write_audio, speech_like) -> Path:
    """One speaker with odd files, one with a good recording."""
    root = tmp_path_factory.mktemp("odd") / "corpus"
    good = write_audio(root / "good" / "a.wav", speech_like(".##.#."), RATE)
    (root / "odd").mkdir()
    for name, (make, _) in ODD.items():
        make(root / "odd" / name, good)
    return root


@pytest.fixture(scope="module", params=[1, 2])
def outcome(request, corpus, tmp_path_factory):
    """What is cleaned (by file name) and what is rejected; the folder."""
    output = tmp_path_factory.mktemp("clean")
    cleaned, rejected = clean_corpus(
        find_recordings(corpus),
        output,
        CleaningSettings(),
        n_jobs=request.param,
        progressbar=False,
    )
    write_rejected(rejected, output / "rejected.csv")
    return (
        {item.recording.path.name: item for item in cleaned},
        {item.recording.path.name: item.reason for item in rejected},
        output,
    )


@pytest.mark.parametrize("name", ODD)
def test_odd_file_is_used_or_told_with_its_reason(outcome, name):
    cleaned, rejected, output = outcome
    reason = ODD[name][1]
    if reason is None:
        expected = 2.07 if name.startswith("truncated") else KEPT
        assert cleaned[name].duration == pytest.approx(expected, abs=0.1)
        assert soundfile.info(cleaned[name].path).samplerate == RATE
    elif reason:
        assert rejected[name].startswith(reason)
        listed = (output / "rejected.csv").read_text(encoding="utf-8")
        assert f"odd/{name}" in listed
    else:
        assert name not in cleaned.keys() | rejected.keys()


def test_good_recording_is_untouched_by_its_odd_neighbours(
    outcome, corpus, tmp_path
):
    cleaned, _, _ = outcome
    alone, _ = clean_corpus(
        [r for r in find_recordings(corpus) if r.speaker == "good"],
        tmp_path,
        CleaningSettings(),
    )
    assert alone[0].kept == cleaned["a.wav"].kept
    assert alone[0].path.read_bytes() == cleaned["a.wav"].path.read_bytes()


def test_nothing_but_whole_files_is_left(outcome):
    cleaned, _, output = outcome
    audio = {path for path in output.rglob("*.wav")}
    assert audio == {item.path for item in cleaned.values()}
    assert not list(output.rglob("*partial*"))


def test_names_that_differ_by_case_or_ending_stay_apart(outcome):
    cleaned, _, _ = outcome
    names = ("UPPER.WAV", "upper.wav", "upper.flac")
    sessions = {cleaned[name].recording.session.lower() for name in names}
    assert len(sessions) == 3


def test_file_without_permission_is_listed_and_tried_again(
    tmp_path, write_audio, speech_like
):
    path = write_audio(tmp_path / "in" / "a" / "a.wav", speech_like("##"), RATE)
    recordings = find_recordings(tmp_path / "in")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file")
    _, (rejected,) = clean_corpus(
        recordings, tmp_path / "out", CleaningSettings()
    )
    assert rejected.reason == "unreadable: Permission denied"
    path.chmod(0o600)
    cleaned, _ = clean_corpus(recordings, tmp_path / "out", CleaningSettings())
    assert len(cleaned) == 1


LIMITED = """
import resource, sys
from pathlib import Path
from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.corpus import clean_corpus
from speechbrain_siamese.dataio.recordings import find_recordings
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
_, rejected = clean_corpus(
    find_recordings(sys.argv[1]), sys.argv[2], CleaningSettings()
)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) / 1024, rejected[0].reason, sep="|")
"""


@pytest.mark.slow
def test_hours_of_silence_are_told_in_little_memory(tmp_path):
    path = tmp_path / "in" / "a" / "silence.flac"
    path.parent.mkdir(parents=True)
    minute = np.zeros(60 * 48000, dtype=np.int16)
    with soundfile.SoundFile(path, "w", 48000, 1) as file:
        for _ in range(4 * 60):
            file.write(minute)
    command = [sys.executable, "-c", LIMITED, tmp_path / "in", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    megabytes, reason = done.stdout.split("|")
    assert reason.startswith("silent: no sound in 14400.0 s between the cuts")
    assert float(megabytes) < 400
