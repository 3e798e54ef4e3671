"""Are decisions right for long recordings, too?

> python benchmarks/lengths.py --source=<export> --prepared=<folder>

``--prepared`` is what the training has left there: recordings of its validation
people, on whom it chose its thresholds, in pieces of some seconds. Here their
speech is joined to pieces of each length, and every pair is decided: by the
cosine, at the threshold that SpeechBrain's stock class is told, and by our
class. Same voices that are missed, and strangers taken for one. With
``--quick`` at most two pieces of a person. The last line is JSON: both shares
by score, each by its seconds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from speechbrain_siamese.dataio.datasets import read_manifest
from speechbrain_siamese.inference.speaker import SiameseRecognition

#: Seconds of speech of a piece.
LENGTHS = (4, 16, 32)

#: Pieces of a person of one length.
MOST = 6


def voices(prepared: Path) -> dict[str, np.ndarray]:
    """All speech of each validation person, in order."""
    heard = read_manifest(str(prepared / "valid.csv"), str(prepared))
    heard.set_output_keys(["id", "spk_id", "sig"])
    parts: dict[str, dict[str, np.ndarray]] = {}
    for item in heard:
        own = parts.setdefault(item["spk_id"], {})
        own[item["id"]] = item["sig"].numpy()
    return {
        name: np.concatenate([own[key] for key in sorted(own)])
        for name, own in parts.items()
    }


def decided(
    model: SiameseRecognition,
    people: dict[str, np.ndarray],
    seconds: int,
    most: int,
    folder: Path,
) -> dict[str, dict[str, float]]:
    """Shares of wrong decisions about pieces of one length."""
    rate, pieces = model.audio_normalizer.sample_rate, []
    for name, speech in people.items():
        size = seconds * rate
        for number in range(min(most, len(speech) // size)):
            path = folder / f"{name}_{number}.wav"
            piece = speech[number * size : (number + 1) * size]
            soundfile.write(path, piece, rate)
            pieces.append((name, path))
    pairs = [*itertools.combinations(pieces, 2)]
    found, _ = model.compare_pairs([(a[1], b[1]) for a, b in pairs])
    same = np.array([a[0] == b[0] for a, b in pairs])
    scores = np.array([one.score for one in found])
    answers = {
        "cosine": scores > model.decision.threshold,
        "normalised": np.array([one.same for one in found]),
    }
    print(f"{seconds:5} s {same.sum():11} {(~same).sum():12}", end="")
    told = {}
    for name, answer in answers.items():
        told[name] = {
            # Of a few people there may be nobody with two long pieces.
            "missed": float((~answer[same]).mean()) if same.any() else None,
            "false": float(answer[~same].mean()),
        }
        missed = told[name]["missed"]
        shown = "      -" if missed is None else f"{100 * missed:5.1f} %"
        print(f"  {shown} {100 * told[name]['false']:7.1f} %", end="")
    print(flush=True)
    return told


def main() -> None:
    """Decide about pieces of each length."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--prepared", required=True, type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    model = SiameseRecognition.from_hparams(source=options.source)
    people = voices(options.prepared)
    most = 2 if options.quick else MOST
    print("pieces  same voice  other voices    cosine: missed, false  ours: ")
    found: dict[str, dict[str, dict]] = {}
    for seconds in LENGTHS:
        with tempfile.TemporaryDirectory() as folder:
            told = decided(model, people, seconds, most, Path(folder))
        for name, own in told.items():
            found.setdefault(name, {})[str(seconds)] = own
    print(json.dumps(found))


if __name__ == "__main__":
    main()
