"""Fuzz target: the configuration of an export from somebody else."""

from __future__ import annotations

import copy
import functools
import json
import shutil
import tempfile
from pathlib import Path

import torch
from speechbrain.lobes.models.ECAPA_TDNN import Classifier

from speechbrain_siamese.inference.speaker import SiameseRecognition
from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.processing.score_norm import Cohort
from speechbrain_siamese.utils.safe_form import (
    CLASSES,
    CONFIG,
    LATER,
    VALUES,
    WEIGHTS,
    write_safe_form,
)

#: What stands in a place where something else is expected.
HOSTILE = (
    *(None, True, False, 0, 1, -1, 2, 3, 32, 1e-9, 1e308, -(10**30), 2**31),
    *(float("nan"), float("inf"), "", "x", "../../etc/passwd", "\0", "1"),
    *([], {}, [[]], [1], [10**9] * 4, [1000] * 4, ["a"], {"a": 1}, [None] * 9),
    *({"class": name, "arguments": {}} for name in sorted(CLASSES)),
    *({"class": name, "arguments": {"x": 1}} for name in ("os.system", [])),
)
SECTIONS = """
compute_features: !new:speechbrain_siamese.lobes.features.LogMel
    n_mels: 32
mean_var_norm: !new:speechbrain_siamese.lobes.features.KeepFeatures
embedding_model: !new:speechbrain_siamese.lobes.densenet.DenseNetEncoder
    n_mels: 32
    growth_rate: 2
    blocks: [1, 1, 1, 1]
    window_len: 0.64
    embedding_dim: 4
"""


def ask(data: bytes, folder: Path) -> None:
    """Load an export after changes; of the model that comes, embed a second.

    The first byte tells how: 0 the bytes are ``config.json``, 1 they are the
    weights, others change values (one byte tells which, the next is the
    number of what takes its place in ``HOSTILE``, or of a name in it).
    """
    good = _good_export()
    for name in (CONFIG, WEIGHTS):
        shutil.copy(good / name, folder)
    how, rest = (data[0] if data else 2), data[1:]
    if how < 2:
        (folder / (CONFIG, WEIGHTS)[how]).write_bytes(rest)
    else:
        config = json.loads((folder / CONFIG).read_text())
        for place in range(0, len(rest) - 1, 2):
            _replace(config, rest[place], HOSTILE[rest[place + 1] % _COUNT])
        (folder / CONFIG).write_text(json.dumps(config))
    try:
        model = SiameseRecognition.from_pretrained(folder)
        model.encode_batch(torch.rand(1, model.audio_normalizer.sample_rate))
    except (ValueError, OSError):
        return


def _replace(config, which, value):
    places = [(config, key) for key in config]
    for section in config.values():
        if isinstance(section, dict):
            places += [(section, key) for key in section]
            for own in section.values():
                if isinstance(own, dict):
                    places += [(own, key) for key in own]
    if places:
        holder, key = places[which % len(places)]
        holder[key] = copy.deepcopy(value)


@functools.cache
def _good_export() -> Path:
    """Folder of a tiny export."""
    # Removed when Python ends.
    folder = Path(_KEPT.name)
    torch.manual_seed(0)
    encoder = DenseNetEncoder(
        n_mels=32,
        growth_rate=2,
        blocks=[1, 1, 1, 1],
        window_len=0.64,
        embedding_dim=4,
    )
    modules = {
        "embedding_model": encoder,
        "classifier": Classifier(4, out_neurons=2),
        "cohort": Cohort(2, 4),
    }
    values = dict.fromkeys(VALUES, 0.5) | dict.fromkeys(LATER)
    values |= {"sample_rate": 16000, "measure": "cosine"}
    values |= {"change_weights": [1.0] * 9, "change_thresholds": [0.0, 1.0]}
    values |= {"threshold_target": "eer"}
    assert write_safe_form(folder, SECTIONS, values, modules, ["a", "b"])
    return folder


_COUNT = len(HOSTILE)
_KEPT = tempfile.TemporaryDirectory()
