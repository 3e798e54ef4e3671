"""Tells models apart by all that changes an embedding."""

from __future__ import annotations

import hashlib

import torch
from speechbrain.inference.interfaces import Pretrained

#: Modules that an embedding comes through, in SpeechBrain's names.
PARTS = ("compute_features", "mean_var_norm", "embedding_model")

#: What is kept of a recording: changes where that changes.
_KEPT = "voices"

_PLAIN = (bool, int, float, str, tuple, type(None))


def model_fingerprint(model: Pretrained) -> str:
    """Short text that changes with anything that changes an embedding.

    Weights, and the plain attributes of every module: window, hop, silence.
    Thresholds and calibration do not count: they change no embedding.

    Arguments
    ---------
    model : Pretrained
        One of SpeechBrain's inference classes, or ours.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    start = f"{_KEPT} {model.audio_normalizer.sample_rate}"
    digest = hashlib.sha256(start.encode())
    for part in PARTS:
        module = getattr(model.mods, part, None)
        if isinstance(module, torch.nn.Module):
            _add(digest, part, module)
    return digest.hexdigest()[:16]


def _add(digest, part: str, module: torch.nn.Module) -> None:
    for name, own in module.named_modules():
        plain = {
            key: value
            for key, value in sorted(vars(own).items())
            if isinstance(value, _PLAIN)
            and key != "training"
            and not key.startswith("_")
        }
        digest.update(f"{part}.{name} {type(own).__name__} {plain}".encode())
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{part}.{name}".encode())
        # NumPy has no bfloat16.
        digest.update(value.cpu().double().contiguous().numpy().tobytes())
