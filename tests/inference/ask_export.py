"""Loads an export as its users do, and prints what it answers as JSON.

    python ask_export.py <export folder> <recordings> <recoded>

``recoded`` holds one sound twice, as ``a.m4a`` and ``a.wav``, and another one
as ``b.wav``; the WAV files have the model's rate.

Run by test_speaker.py in a process and a working directory of its own.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile
import torch
from speechbrain.inference.speaker import EncoderClassifier, SpeakerRecognition

from speechbrain_siamese.inference.speaker import SiameseRecognition


def failure(call, *args, **kwargs) -> list[str]:
    """Kind and text of the error that a call raises."""
    try:
        call(*args, **kwargs)
    except Exception as error:
        # ValueError's own kinds count as ValueError.
        kind = ValueError if isinstance(error, ValueError) else type(error)
        return [kind.__name__, str(error)]
    return ["nothing", ""]


def decision(answer) -> tuple[float, bool]:
    score, same = answer
    return float(score), bool(same)


def labels_of(model, path: Path) -> list[str] | str:
    try:
        return model.classify_file(str(path))[3]
    except KeyError as error:
        return f"KeyError {error}"


def padded_against_alone(model) -> float:
    """Largest difference of embeddings alone and in a padded batch."""
    torch.manual_seed(0)
    lengths = [31000, 64000, 12345, 7777, 50001, 10241, 9999, 23456]
    waves = [torch.randn(n) * torch.sin(torch.arange(n) / 900) for n in lengths]
    batch = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    relative = torch.tensor(lengths) / max(lengths)
    with torch.no_grad():
        together = model.encode_batch(batch, relative)
        alone = torch.cat([model.encode_batch(w[None]) for w in waves])
    return float((together - alone).abs().max())


def main(export: str, data: str, recoded: str) -> None:
    """Ask everything; print one JSON object."""
    recordings = Path(data)
    one = recordings / "voice0" / "rec1.flac"
    other = recordings / "voice2" / "rec1.flac"
    compressed = recordings / "voice0" / "rec2.m4a"
    stock = SpeakerRecognition.from_hparams(source=export)
    encoder = EncoderClassifier.from_hparams(source=export)
    ours = SiameseRecognition.from_hparams(source=export)
    half = SiameseRecognition.from_hparams(
        source=export, run_opts={"precision": "bf16"}
    )
    noise = torch.randn(2, 16000)
    hushed = Path(recoded, "hushed.wav")
    soundfile.write(hushed, np.zeros(16000), 16000)
    found = {
        "labels": {
            type(model).__name__: labels_of(model, one)
            for model in (stock, encoder, ours)
        },
        "stock": decision(stock.verify_files(str(one), str(other))),
        "ours": decision(ours.verify_files(str(one), str(other))),
        "threshold": ours.hparams.threshold,
        "low": decision(ours.verify_files(one, other, threshold=-1.01)),
        "high": decision(ours.verify_files(one, other, threshold=1.01)),
        "paths": decision(ours.verify_files(Path(one), Path(other))),
        "same_name_differs": not torch.equal(
            ours.load_audio(one, savedir="cache"),
            ours.load_audio(other, savedir="cache"),
        ),
        "m4a_seconds": len(ours.load_audio(compressed)) / 16000,
        "m4a": decision(ours.verify_files(one, compressed)),
        "one_rate": [
            decision(
                model.verify_files(*(f"{recoded}/{name}.wav" for name in "ab"))
            )
            for model in (stock, ours)
        ],
        "recoded": float(
            ours.verify_files(Path(recoded, "a.m4a"), Path(recoded, "a.wav"))[0]
        ),
        "padded_stock": padded_against_alone(stock),
        "padded_ours": padded_against_alone(ours),
        "normalized": [
            bool(model.encode_batch(noise, normalize=True).isfinite().all())
            for model in (stock, ours)
        ],
        "normalized_differs": not torch.allclose(
            ours.encode_batch(noise, normalize=True), ours.encode_batch(noise)
        ),
        "short": failure(ours.encode_batch, torch.randn(1, 1000)),
        "hush": failure(ours.encode_batch, torch.zeros(1, 16000)),
        "missing": failure(ours.verify_files, recordings / "no.wav", one),
        "missing_folder": failure(
            ours.verify_files, recordings / "nobody" / "no.wav", one
        ),
        "hushed_file": failure(ours.embed_file, hushed),
        "half": [
            float(answer.flatten() @ ours.encode_batch(noise)[0, 0])
            for answer in (
                half.encode_batch(noise)[0],
                ours.encode_batch(noise)[0],
            )
        ],
        "half_type": str(half.embed_file(one).dtype),
        "streamed": float(
            (
                ours.embed_file(compressed)
                - ours.encode_batch(ours.load_audio(compressed)[None])
            )
            .abs()
            .max()
        ),
        "relative_missing_folder": failure(
            ours.verify_files, "nobody/no.wav", one
        ),
        "missing_on_the_hub": failure(
            ours.verify_files, "nobody/nothing/no.wav", one
        ),
        "missing_path": failure(
            ours.verify_files, Path("nobody/nothing/no.wav"), one
        ),
    }
    compared = ours.compare_files(one, compressed, prior=0.2)
    found["compared"] = asdict(compared)
    found["verified"] = decision(ours.verify_files(one, compressed))
    found["calibration"] = asdict(ours.normalised_decision.calibration)
    before = ours.encode_batch(noise)
    ours.train()
    after = ours.encode_batch(noise)
    found["gradient"] = after.requires_grad
    found["same_after_train"] = torch.equal(before, after)
    found["shape"] = list(after.shape)
    found["length"] = float(after.norm(dim=-1).sub(1).abs().max())
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
