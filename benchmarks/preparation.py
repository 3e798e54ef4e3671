"""Speed and memory of preparation: ours, the chain of 2023, and ffmpeg.

> python benchmarks/preparation.py [--quick]

One input for all: MP3, 48 kHz, stereo, bursts of noise with pauses, to 16 kHz
mono, in one process each. Ours decodes, cuts and cleans. The chain of 2023 is
librosa.load, pydub's split_on_silence (its pieces joined at once, which it did
one by one) and writing the result. ffmpeg only decodes and resamples, and
throws the result away: the practical limit. Memory is the peak above what the
imports take. ``--quick`` takes files of 2 and 6 minutes in place of 1 and 3
hours. Needs ``pip install "speechbrain-siamese[benchmarks]"``. The last line
is JSON; times and memory in it are of the files named above.
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
from pathlib import Path

import av
import numpy as np

RATE = 16000
TRIM = 12.0


def write_recording(path: Path, minutes: int) -> None:
    """One minute of sound, encoded once and repeated: MP3 frames join."""
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

    def run() -> float:
        (cleaned,), _ = clean_corpus(
            [Recording("a", "a", "", "a-a", path)],
            folder,
            CleaningSettings(sample_rate=RATE, trim_start=TRIM, trim_end=TRIM),
            progressbar=False,
        )
        return cleaned.duration

    return run


def chain_of_2023(path: Path, folder: Path):
    """Clean it as in 2023."""
    import librosa
    from pydub import AudioSegment
    from pydub.silence import split_on_silence

    def run() -> float:
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
        joined = whole._spawn(b"".join(piece.raw_data for piece in pieces))
        joined.export(folder / "out.wav", format="wav")
        return joined.duration_seconds

    # librosa imports its parts when they are first used: before the clock.
    librosa.resample(np.zeros(RATE), orig_sr=2 * RATE, target_sr=RATE)
    return run


def in_this_process(make, path: Path, folder: Path) -> dict:
    """Seconds, and peak memory above that of the imports."""
    run = make(path, folder)
    imports = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    kept = run()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": seconds,
        "peak_mb": (peak - imports) / 1024,
        "kept": kept,
    }


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


def measure(name: str, path: Path, folder: Path) -> dict:
    """Measure one way in a process of its own."""
    if name == "ffmpeg":
        return ffmpeg(path)
    command = [sys.executable, __file__, "--child", name, str(path)]
    done = subprocess.run(
        [*command, str(folder)], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure all ways on both files and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, path, folder = options.child
        print(
            json.dumps(in_this_process(MAKERS[name], Path(path), Path(folder)))
        )
        return
    lengths = {"1h": 2, "3h": 6} if options.quick else {"1h": 60, "3h": 180}
    found: dict = {}
    print("minutes  way      seconds  hours per minute  peak MB")
    for label, minutes in lengths.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "recording.mp3"
            write_recording(path, minutes)
            for name in WAYS:
                own = Path(folder) / name
                own.mkdir()
                figures = measure(name, path, own)
                found[label, name] = figures
                print(
                    f"{minutes:7d}  {name:<6}{figures['seconds']:10.1f}"
                    f"{minutes / figures['seconds']:18.2f}"
                    f"{figures['peak_mb']:9.0f}",
                    flush=True,
                )
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
