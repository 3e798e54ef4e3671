"""The exported encoder in onnxruntime, beside PyTorch in fp32 and bf16.

> python benchmarks/onnx_export.py --source=<export>

Noise in bursts, seed 1986, in batches of 1 and 16 clips of 4 s and 1 of 60 s,
a thread a core; the ways take turns, medians of 9 (``--quick``: 3). Largest
difference of a number of an embedding from PyTorch's in fp32. Needs ``[onnx]``.
The last line is JSON: seconds of audio per second, by batch.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from onnxruntime import InferenceSession, SessionOptions

from speechbrain_siamese.inference.speaker import SiameseRecognition
from speechbrain_siamese.utils.onnx_export import export_onnx

SEED = 1986
BATCHES = ((1, 4.0), (16, 4.0), (1, 60.0))


def clips(count: int, seconds: float, rate: int) -> np.ndarray:
    """Bursts of noise, with pauses between them."""
    rng = np.random.default_rng(SEED)
    noise = rng.standard_normal((count, round(seconds * rate)))
    time_axis = np.arange(noise.shape[1]) / rate
    loud = np.where(np.sin(4 * time_axis) > -0.7, 0.1, 1e-4)
    return (noise * loud).astype(np.float32)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    threads = os.cpu_count() or 1
    torch.set_num_threads(threads)
    models = {
        precision: SiameseRecognition.from_hparams(
            source=options.source, run_opts={"precision": precision}
        )
        for precision in ("fp32", "bf16")
    }
    plain = models["fp32"]
    settings = SessionOptions()
    settings.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        mods = plain.mods
        export_onnx(mods.compute_features, mods.embedding_model, path)
        megabytes = path.stat().st_size / 1e6
        session = InferenceSession(path, settings)
    ways = {
        "onnxruntime": lambda wavs: session.run(None, {"wavs": wavs})[0],
        **{
            f"PyTorch, {precision}": lambda wavs, model=model: (
                model.encode_batch(torch.from_numpy(wavs))[:, 0].numpy()
            )
            for precision, model in models.items()
        },
    }
    print(
        f"the file has {megabytes:.1f} MB\n"
        "clips    seconds  way              times real time  difference"
    )
    figures = {}
    for count, seconds in BATCHES:
        wavs = clips(count, seconds, plain.audio_normalizer.sample_rate)
        found = {name: way(wavs) for name, way in ways.items()}  # warms up
        spent = {name: [] for name in ways}
        for _ in range(3 if options.quick else 9):
            for name, way in ways.items():
                started = time.perf_counter()
                way(wavs)
                spent[name].append(time.perf_counter() - started)
        own = figures[f"{count} x {seconds:g} s"] = {}
        for name, times in spent.items():
            own[name] = count * seconds / float(np.median(times))
            apart = float(np.abs(found[name] - found["PyTorch, fp32"]).max())
            print(
                f"{count:5}{seconds:11.0f}  {name:<15}{own[name]:17.0f}"
                f"{apart:12.1e}"
            )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
