"""What commands leave, without what tells the time.

Each function takes a folder and gives a mapping that has to be the same after
any kill. Left out are the times that are named here, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from pathlib import Path

import torch
import yaml

#: Logs, and SpeechBrain's copies of script and settings, which have dates.
NOTES = {
    "env.log",
    "evaluate.py",
    "hyperparams.yaml",
    "log.txt",
    "train.py",
    "train_log.txt",
}


def digest(path: Path) -> str:
    """Hash of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files(folder: Path) -> dict:
    """Every file below a folder, hidden ones too, bit for bit."""
    return {
        path.relative_to(folder).as_posix(): digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def numbers(path: Path) -> str:
    """Hash of what a file of PyTorch holds, however it is laid out.

    What was loaded and saved again has its names in other places.
    """
    made = hashlib.sha256()

    def take(found):
        if isinstance(found, torch.Tensor):
            made.update(found.contiguous().numpy().tobytes())
        elif isinstance(found, dict):
            for key in sorted(found, key=str):
                made.update(str(key).encode())
                take(found[key])
        elif isinstance(found, list | tuple):
            for one in found:
                take(one)
        else:
            made.update(repr(found).encode())

    take(torch.load(path, weights_only=True))
    return made.hexdigest()


def figures(path: Path, *clock: str) -> dict:
    """A JSON object without some keys."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return {key: value for key, value in found.items() if key not in clock}


def trained(output: Path) -> dict:
    """Export and pictures bit for bit, figures and checkpoints.

    A checkpoint's name is its time, its history knows the seconds.
    """
    found = {
        name: value
        for name, value in files(output).items()
        if name not in NOTES and not name.startswith("save/CKPT")
    }
    found["metrics.json"] = figures(output / "metrics.json", "training_minutes")
    notes = [
        (yaml.safe_load(path.read_text()), path.parent)
        for path in output.glob("save/CKPT*/CKPT.yaml")
    ]
    found["checkpoints"] = sorted(
        (
            note["epoch"],
            note["EER"],
            *(
                numbers(folder / f"{name}.ckpt")
                for name in ("embedding_model", "classifier", "optimizer")
            ),
        )
        for note, folder in notes
        # One within an epoch may be there as well.
        if note["end-of-epoch"]
    )
    return found


def onnx(output: Path) -> dict:
    """An ONNX file's operations and weights, and that nothing is beside it.

    Notes for people who debug are left out: they are in another order each
    time.
    """
    import onnx as package

    found = dict.fromkeys(files(output))
    model = package.load(output / "model.onnx")
    model.ClearField("metadata_props")
    model.graph.ClearField("metadata_props")
    model.graph.ClearField("value_info")
    for one in (*model.graph.node, *model.graph.initializer):
        one.ClearField("metadata_props")
        one.ClearField("doc_string")
    found["model.onnx"] = hashlib.sha256(model.SerializeToString()).hexdigest()
    return found


def evaluated(output: Path) -> dict:
    """Figures, scores, pictures, embeddings, and the page."""
    found = {
        name: value
        for name, value in files(output).items()
        if Path(name).name not in NOTES
    }
    folder = output / "evaluation"
    found["evaluation/metrics.json"] = figures(
        folder / "metrics.json", "seconds", "peak_mb"
    )
    page = (folder / "evaluation.html").read_text(encoding="utf-8")
    found["evaluation/evaluation.html"] = re.sub(
        r"<p>[\d.]+ s; at most [\d,]+ MB of memory", "", page
    )
    return found


def enrolled(output: Path) -> dict:
    """All tables of a gallery but when somebody was enrolled, and the mark
    of its last change, which is random."""
    with sqlite3.connect(output / "people.sqlite") as database:
        found = {"check": database.execute("PRAGMA integrity_check").fetchall()}
        for table, columns in (
            ("model", "fingerprint, dim"),
            ("people", "*"),
            (
                "clips",
                "person, digest, source, seconds, weight, embedding, audio",
            ),
        ):
            rows = database.execute(f"SELECT {columns} FROM {table}")
            found[table] = rows.fetchall()
    return found
