"""Speed and memory of preparation: ours, the chain of 2023, and ffmpeg.

> python benchmarks/preparation.py [--quick]

One input for all: MP3, 48 kHz, stereo, bursts of noise with pauses, to 16 kHz
mono, in one process each. Ours decodes, cuts and cleans. The chain of 2023 is
librosa.load, pydub's split_on_silence, ``joined += piece`` for each piece and
encoding as MP3; the column "no join" leaves out the joining, whose time grows
with the square of the length. ffmpeg only decodes and resamples, and throws
the result away: the practical limit. Memory is the peak above what the
imports take. ``--quick`` takes files of 2 and 6 minutes in place of 1 and 3
hours. Needs ``pip install "speechbrain-siamese[benchmarks]"``. The last line
is JSON; its times are of the shorter file, joining included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

# Imports are at their use: what this process takes counts for its children.

RATE = 16000
TRIM = 12.0


def write_recording(path: Path, minutes: int) -> None:
    """One minute of sound, encoded once and repeated: MP3 frames join."""
    import av
    import numpy as np

    source_rate = 48000
    rng = np.random.default_rng(0)
    time_axis = np.arange(60 * source_rate) / source_rate
    sound = 0.1 * rng.standard_normal((2, len(time_axis)))
    sound *= np.where(time_axis % 3.0 < 2.2, 1.0, 1e-3)
    minute = path.with_name("minute.mp3")
    options = {"write_xing": "0", "id3v2_version": "0"}
    with av.open(str(minute), "w", options=options) as container:
        stream = container.add_stream(
            "libmp3lame", rate=source_rate, layout="stereo"
        )
        frame = av.AudioFrame.from_ndarray(
            sound.astype(np.float32), format="fltp", layout="stereo"
        )
        frame.sample_rate = source_rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open(path, "wb") as file:
        for _ in range(minutes):
            file.write(minute.read_bytes())
    minute.unlink()


def ours(path: Path, folder: Path):
    """Clean one recording as preparation does; imports before the clock."""
    from speechbrain_siamese.dataio.cleaning import CleaningSettings
    from speechbrain_siamese.dataio.corpus import clean_corpus
    from speechbrain_siamese.dataio.recordings import Recording

    def run() -> dict:
        (cleaned,), _ = clean_corpus(
            [Recording("a", "a", "", "a-a", path)],
            folder,
            CleaningSettings(sample_rate=RATE, trim_start=TRIM, trim_end=TRIM),
            progressbar=False,
        )
        return {"kept": cleaned.duration}

    return run


def chain_of_2023(path: Path, folder: Path):
    """Clean it as in 2023."""
    import imageio_ffmpeg
    import librosa
    import numpy as np

    with warnings.catch_warnings():
        # It looks for ffmpeg on the PATH when it is imported.
        warnings.simplefilter("ignore", RuntimeWarning)
        from pydub import AudioSegment
        from pydub.silence import split_on_silence

    AudioSegment.converter = imageio_ffmpeg.get_ffmpeg_exe()

    def run() -> dict:
        samples, _ = librosa.load(path, sr=RATE, mono=True)
        samples = samples[round(TRIM * RATE) : -round(TRIM * RATE)]
        whole = AudioSegment(
            (samples * 32767).astype("<i2").tobytes(),
            frame_rate=RATE,
            sample_width=2,
            channels=1,
        )
        pieces = split_on_silence(
            whole, min_silence_len=100, silence_thresh=-30, keep_silence=100
        )
        start = time.perf_counter()
        joined = AudioSegment.empty()
        for piece in pieces:
            joined += piece
        join_seconds = time.perf_counter() - start
        joined.export(folder / "out.mp3", format="mp3").close()
        return {"kept": joined.duration_seconds, "join_seconds": join_seconds}

    # librosa imports its parts when they are first used: before the clock.
    librosa.resample(np.zeros(RATE), orig_sr=2 * RATE, target_sr=RATE)
    return run


def in_this_process(make, path: Path, folder: Path) -> dict:
    """Seconds, and peak memory above that of the imports."""
    run = make(path, folder)
    imports = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    figures = run()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return figures | {"seconds": seconds, "peak_mb": (peak - imports) / 1024}


def ffmpeg(path: Path) -> dict:
    """Decode and resample by the ffmpeg program, one thread."""
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin"]
    command += ["-threads", "1", "-i", str(path), "-ac", "1"]
    command += ["-ar", str(RATE), "-f", "s16le", "-y", "/dev/null"]
    start = time.perf_counter()
    process = subprocess.Popen(command)
    # By its own account: RUSAGE_CHILDREN has the largest of all children.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise RuntimeError(f"ffmpeg ended with {status}: {' '.join(command)}")
    return {"seconds": seconds, "peak_mb": usage.ru_maxrss / 1024}


WAYS = ("ffmpeg", "ours", "2023")
MAKERS = {"ours": ours, "2023": chain_of_2023}


def in_child(*arguments: object) -> str:
    """Run this script in a process of its own; the last line it prints."""
    command = [sys.executable, __file__, "--child", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with an error, above")
    return done.stdout.rpartition("\n")[0].rpartition("\n")[2]


def child(name: str, path: str, detail: str) -> None:
    """Write the recording of so many minutes, or measure one way on it."""
    if name == "write":
        write_recording(Path(path), int(detail))
    else:
        figures = in_this_process(MAKERS[name], Path(path), Path(detail))
        print(json.dumps(figures))


def measure(label: str, minutes: int) -> dict:
    """Measure all ways on a recording of so many minutes; print the rows."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.mp3"
        in_child("write", path, minutes)
        for name in WAYS:
            own = Path(folder) / name
            own.mkdir()
            if name == "ffmpeg":
                figures = ffmpeg(path)
            else:
                figures = json.loads(in_child(name, path, own))
            found[label, name] = figures
            seconds = figures["seconds"]
            print(
                f"{minutes:7d}  {name:<6}{seconds:10.1f}"
                f"{seconds - figures.get('join_seconds', 0.0):10.1f}"
                f"{minutes / seconds:18.2f}{figures['peak_mb']:9.0f}",
                flush=True,
            )
    return found


def main() -> None:
    """Measure all ways on both files and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    lengths = {"1h": 2, "3h": 6} if options.quick else {"1h": 60, "3h": 180}
    found: dict = {}
    print("minutes  way      seconds   no join  hours per minute  peak MB")
    for label, minutes in lengths.items():
        found |= measure(label, minutes)
    seconds = {name: found["1h", name]["seconds"] for name in WAYS}
    print(
        json.dumps(
            {
                "times_2023": seconds["2023"] / seconds["ours"],
                "times_ffmpeg": seconds["ours"] / seconds["ffmpeg"],
                "peak_mb_1h": found["1h", "ours"]["peak_mb"],
                "peak_mb_3h": found["3h", "ours"]["peak_mb"],
            }
        )
    )


if __name__ == "__main__":
    main()
