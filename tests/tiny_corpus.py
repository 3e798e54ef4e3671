"""A tiny corpus of voice-like sound, and the user's command on it.

Eight speakers, two recordings each, in the formats that people have. A voice
is a harmonic tone with a speaker's own pitch and formants, in syllables with
pauses between them: enough for a small model to tell them apart, built in
seconds and without a speech synthesiser.
"""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parent.parent
RATE = 22050
SPEAKERS = tuple(f"voice{number}" for number in range(8))
SECONDS = 21.0  # of a recording, with one second to be cut at both ends
_FORMATS = ("wav", "flac", "m4a", "ogg")
_CODECS = {".m4a": "aac", ".webm": "libopus", ".mp3": "libmp3lame"}

#: A model that trains in seconds on one core.
QUICK = {
    "trim_start": 1,
    "trim_end": 1,
    "number_of_epochs": 3,
    "speakers_per_batch": 4,
    "clips_per_speaker": 2,
    "window_len": 0.64,
    "n_mels": 32,
    "growth_rate": 8,
    "blocks": "[1,1,1,1]",
    "embedding_dim": 64,
    "n_jobs": 1,
    "precision": "fp32",
    "change_seconds": 80,
}


#: One of the smallest size, for tests that train it many times.
SMALL = {
    "growth_rate": 8,
    "blocks": "[1,1,1,1]",
    "embedding_dim": 16,
    "steps_per_epoch": 5,
    "number_of_epochs": 2,
    "change_seconds": 40,
}


def voice(speaker: int, recording: int, seconds: float = SECONDS):
    """Voice-like sound, (samples,), float32, full scale 1."""
    rng = np.random.default_rng([speaker, recording])
    time = np.arange(round(seconds * RATE)) / RATE
    drift = 0.04 * np.sin(2 * np.pi * 0.7 * time + rng.uniform(0, 6))
    pitch = (90 + 18 * speaker) * (1 + drift)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formants = np.array([350, 1100, 2500]) * (1 + 0.06 * speaker)
    # One period of the voice, read at the pace of the pitch.
    turn = np.linspace(0, 2 * np.pi, 4096)
    period = np.zeros_like(turn)
    for harmonic in range(1, 30):
        distance = (harmonic * (90 + 18 * speaker) - formants) / 220
        gain = np.exp(-(distance**2)).sum() + 0.02
        period += gain * np.sin(harmonic * turn)
    sound = np.interp(phase % (2 * np.pi), turn, period)
    syllables = np.clip(3 * np.sin(2 * np.pi * 2.5 * time) + 2, 0, 1)
    pauses = (time % 5.0) < 4.4
    sound = sound * syllables * pauses
    sound = 0.3 * sound / np.abs(sound).max()
    hiss = 3e-4 * rng.standard_normal(len(time))
    return (sound + hiss).astype(np.float32)


def write(path: Path, samples: np.ndarray, source_rate: int = RATE) -> Path:
    """Write stereo audio; the format follows from the name's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stereo = np.stack([samples, 0.8 * samples])
    if path.suffix not in _CODECS:
        soundfile.write(path, stereo.T, source_rate)
        return path
    rate = 48000 if path.suffix == ".webm" else source_rate
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            _CODECS[path.suffix], rate=rate, layout="stereo"
        )
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(stereo), format="fltp", layout="stereo"
        )
        frame.sample_rate = source_rate
        frame.pts = 0
        frame.time_base = Fraction(1, source_rate)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def build(folder: Path, speakers: int = 8, seconds: float = SECONDS) -> Path:
    """Write the corpus, ``<folder>/<speaker>/rec<1|2>.<ext>``."""
    for index in range(speakers):
        for recording in (1, 2):
            suffix = _FORMATS[(2 * index + recording) % len(_FORMATS)]
            write(
                folder / SPEAKERS[index] / f"rec{recording}.{suffix}",
                voice(index, recording, seconds),
            )
    return folder


def environment() -> dict[str, str]:
    """One thread, so that runs can be compared bit for bit; no network."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "MPLBACKEND": "Agg",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(
            [str(ROOT), os.environ.get("PYTHONPATH", "")]
        ).rstrip(os.pathsep),
    }


def command(output: Path, data: Path, **settings) -> list[str]:
    """The command that a user types, with ``QUICK`` unless told."""
    options = {
        "data_folder": data,
        "output_folder": output,
        **QUICK,
        **settings,
    }
    return [
        sys.executable,
        "train.py",
        "hparams/siamese.yaml",
        *(f"--{key}={value}" for key, value in options.items()),
    ]


def evaluation(export: Path, output: Path) -> list[str]:
    """The command that evaluates an export, with the fewest tables."""
    return [
        sys.executable,
        "evaluate.py",
        "hparams/evaluate.yaml",
        f"--model={export}",
        f"--output_folder={output}/evaluation",
        "--lengths=[1]",
        "--enrolment_clips=[1]",
    ]


def train(
    output: Path, data: Path, cwd: Path = ROOT, **settings
) -> subprocess.CompletedProcess:
    """Run the command to its end."""
    return subprocess.run(
        command(output, data, **settings),
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=900,
    )


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Modification time and size of every file."""
    return {
        path.relative_to(folder).as_posix(): (
            path.stat().st_mtime_ns,
            path.stat().st_size,
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


def leftovers(folder: Path) -> list[Path]:
    """Files that killed runs leave."""
    return [
        path
        for path in folder.rglob("*")
        if path.suffix in (".partial", ".old", ".samples")
    ]
