"""Exports that cannot run code: ``config.json`` and ``model.safetensors``.

SpeechBrain's ``hyperparams.yaml`` builds whatever it names: from a stranger it
is a program. Here a class is one of a fixed table, its settings are plain
values, and weights are tensors.
"""

from __future__ import annotations

import copy
import inspect
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from ruamel.yaml import YAML
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.dataio.preprocess import AudioNormalizer
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN, Classifier
from speechbrain.lobes.models.Xvector import Xvector
from speechbrain.processing.features import InputNormalization
from speechbrain.utils.logger import get_logger
from torch.nn.modules.module import register_module_parameter_registration_hook

from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.ensemble import DenseNetEnsemble
from speechbrain_siamese.lobes.features import KeepFeatures, LogMel
from speechbrain_siamese.lobes.mfcc_stack import MfccStack, StandardisedDenseNet
from speechbrain_siamese.lobes.two_tower import TwoTowerEncoder
from speechbrain_siamese.processing.score_norm import Cohort
from speechbrain_siamese.utils.calibration import Calibration
from speechbrain_siamese.utils.ranges import check_range
from speechbrain_siamese.utils.working_points import parse_target

logger = get_logger(__name__)

CONFIG, WEIGHTS = "config.json", "model.safetensors"

#: What a configuration may name, and nothing else.
CLASSES = {
    f"{one.__module__}.{one.__name__}": one
    for one in (
        LogMel,
        MfccStack,
        Fbank,
        KeepFeatures,
        InputNormalization,
        DenseNetEncoder,
        DenseNetEnsemble,
        StandardisedDenseNet,
        TwoTowerEncoder,
        ECAPA_TDNN,
        Xvector,
    )
}

#: Modules that are built by name, as the recipe's YAML file has them.
SECTIONS = ("compute_features", "mean_var_norm", "embedding_model")

#: Plain values that an export has in its YAML file too.
VALUES = (
    "sample_rate",
    "measure",
    "threshold_target",
    "threshold",
    "calibration_slope",
    "calibration_intercept",
    "norm_threshold",
    "norm_slope",
    "norm_intercept",
    "norm_likeness",
    "norm_middle",
    "norm_usual",
    "change_weights",
    "change_threshold",
    "change_thresholds",
    "voice_threshold",
    "online_threshold",
)

#: Those that exports of before do not have: they are None there.
LATER = (
    "voice_threshold",
    "online_threshold",
    *(name for name in VALUES if name.startswith("norm_")),
)

#: Those of AS-norm, which exports of before have; they decide nothing now.
EARLIER = ("normalised_threshold", "normalised_slope", "normalised_intercept")

#: How those begin that are None where training could not learn them, which it
#: learns together.
_MAY_BE_ABSENT = (("norm_",), ("change_",), ("voice_", "online_"))

#: Ranges of what decides how much memory is taken, which no shape of the
#: weights tells; a list has at most ``MOST_ITEMS``, other numbers ``GREATEST``.
LIMITS = {
    "sample_rate": (1000, 192_000),
    "n_mels": (1, 1024),
    "n_mfcc": (1, 1024),
    "n_fft": (16, 65_536),
    "win_length": (1, 1000),
    "hop_length": (1, 1000),
    "window_len": (0, 60),
    "min_len": (0, 60),
    "left_frames": (0, 100),
    "right_frames": (0, 100),
}
MOST_ITEMS, GREATEST = 10_000, 1e6

#: Ranges of what scores are divided by.
_DIVIDE_BY = {"norm_likeness": (1e-6, 1), "norm_usual": (1e-6, 1e6)}

#: Of weights, and of counts.
_KINDS = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
)

#: Values that are lists of numbers.
_LISTS = ("change_weights", "change_thresholds")

#: Settings that would fetch or open other files: weights come from the export.
_NEVER = ("imagenet_weights",)


def write_safe_form(
    folder: str | Path,
    sections: str,
    values: Mapping[str, object],
    modules: Mapping[str, torch.nn.Module],
    speakers: list[str],
) -> bool:
    """Write ``config.json`` and ``model.safetensors`` into an export.

    Arguments
    ---------
    folder : str or Path
    sections : str
        YAML of ``SECTIONS``, as ``utils.export.recipe_sections`` gives it.
    values : Mapping[str, object]
        Of ``VALUES``.
    modules : Mapping[str, torch.nn.Module]
        ``embedding_model``, ``classifier`` and ``cohort``.
    speakers : list of str
        The training speakers, in the classifier's order.

    Returns
    -------
    bool
        False, and nothing is written, where the encoder is none of
        ``CLASSES``.
    """
    config = {name: values[name] for name in VALUES}
    for name, section in YAML().load(sections).items():
        tag = section.tag.value.removeprefix("!new:")
        if tag not in CLASSES:
            logger.info(
                "%s is %s, which the safe form of an export does not know: "
                "there is hyperparams.yaml only",
                name,
                tag,
            )
            return False
        arguments = json.loads(json.dumps(dict(section or {})))
        for key in _NEVER:
            arguments.pop(key, None)
        config[name] = {"class": tag, "arguments": arguments}
    config["speakers"] = speakers
    tensors = {
        f"{name}.{key}": value.detach().cpu().contiguous().clone()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }
    folder = Path(folder)
    # Not by save_file(), whose files nobody else may read.
    (folder / WEIGHTS).write_bytes(save(tensors))
    (folder / CONFIG).write_text(
        json.dumps(config, ensure_ascii=False, indent=1) + "\n",
        encoding="utf-8",
    )
    return True


def build(config: dict, weights: Path) -> tuple[dict, dict]:
    """Make the modules and hyperparameters that a configuration tells.

    Arguments
    ---------
    config : dict
        As ``write_safe_form`` writes it.
    weights : Path
        The ``.safetensors`` file.

    Returns
    -------
    modules : dict
        As SpeechBrain's inference classes take them.
    hparams : dict

    Raises
    ------
    ValueError
        If a class or a value is none that an export has, or the weights do
        not fit.
    """
    known = {*VALUES, *SECTIONS, "speakers"}
    if isinstance(config, dict):
        config = dict.fromkeys(LATER) | {
            key: value for key, value in config.items() if key not in EARLIER
        }
    if not isinstance(config, dict) or config.keys() != known:
        found = sorted(config) if isinstance(config, dict) else config
        raise ValueError(f"{CONFIG} has {found}, expected {sorted(known)}")
    _check_values(config)
    speakers = config["speakers"]
    if (
        not isinstance(speakers, list)
        or not all(isinstance(name, str) for name in speakers)
        or len({*speakers}) < len(speakers)
    ):
        raise ValueError(
            f"{CONFIG}: speakers is no list of names, each of them once"
        )
    shapes = _shapes(weights)
    dim = [*shapes.get("cohort.voices", []), 0, 0][1]
    # Without memory first: a configuration may promise a giant.
    with torch.device("meta"), _at_most(len(shapes) + 1000):
        planned = {
            "embedding_model": _module(config["embedding_model"]),
            "classifier": Classifier(dim, out_neurons=len(speakers)),
            "cohort": Cohort(len(speakers), dim),
        }
    expected = {
        f"{name}.{key}": [*value.shape]
        for name, module in planned.items()
        for key, value in module.state_dict().items()
    }
    if expected != shapes:
        differ = sorted(
            key
            for key in expected.keys() | shapes.keys()
            if expected.get(key) != shapes.get(key)
        )
        raise ValueError(
            f"{weights} does not fit {CONFIG}: {len(differ)} of "
            f"{len(expected)} tensors differ, the first is {differ[0]}"
        )
    modules = {name: _module(config[name]) for name in SECTIONS}
    modules["classifier"] = Classifier(dim, out_neurons=len(speakers))
    cohort = Cohort(len(speakers), dim)
    tensors = load_file(weights)
    for key, value in tensors.items():
        if value.dtype not in _KINDS or not value.isfinite().all():
            raise ValueError(
                f"{weights} is damaged: {key} holds NaN or infinite numbers, "
                f"or none that weights are ({value.dtype})"
            )
    for name, module in {**modules, "cohort": cohort}.items():
        own = {
            key.removeprefix(f"{name}."): value
            for key, value in tensors.items()
            if key.startswith(f"{name}.")
        }
        if own:
            module.load_state_dict(own)
    shortest = config["embedding_model"]["arguments"].get("min_len") or 0
    samples = round((1 + shortest) * config["sample_rate"])
    _check_fit(modules, samples, dim)
    modules["mean_var_norm_emb"] = mean_of(cohort)
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(speakers)
    encoder.ignore_len()
    hparams = {
        **{name: config[name] for name in VALUES},
        **modules,
        "modules": modules,
        "cohort": cohort,
        "label_encoder": encoder,
        "audio_normalizer": AudioNormalizer(config["sample_rate"]),
    }
    return modules, hparams


@torch.no_grad()
def _check_fit(modules, samples: int, dim: int) -> None:
    """Refuse modules that cannot work together: a little noise tells."""
    # Copies: to be heard once may leave its marks on a module.
    own = {name: copy.deepcopy(modules[name]).eval() for name in SECTIONS}
    generator = torch.Generator().manual_seed(0)
    wave = torch.rand(1, samples, generator=generator) - 0.5
    try:
        feats = own["compute_features"](wave)
        feats = own["mean_var_norm"](feats, torch.ones(1))
        found = own["embedding_model"](feats, torch.ones(1)).flatten()
    except Exception as error:
        raise ValueError(
            f"{CONFIG} names modules that do not fit each other "
            f"({type(error).__name__}: {error})"
        ) from error
    if len(found) != dim:
        raise ValueError(
            f"{CONFIG} makes embeddings of {len(found)} numbers, the weights "
            f"are for {dim}"
        )


def mean_of(cohort: Cohort) -> InputNormalization:
    """The mean embedding of the training speech, as SpeechBrain subtracts it.

    Arguments
    ---------
    cohort : Cohort

    Returns
    -------
    InputNormalization
    """
    norm = InputNormalization(norm_type="global", std_norm=False)
    norm.count = 1
    norm.glob_mean = cohort.voices.mean(dim=0).cpu()
    norm.glob_std = torch.ones_like(norm.glob_mean)
    return norm


def _module(section: object) -> torch.nn.Module:
    """One of ``CLASSES`` with plain settings."""
    if (
        not isinstance(section, dict)
        or section.keys() != {"class", "arguments"}
        or not isinstance(section["arguments"], dict)
    ):
        raise ValueError(
            f"{CONFIG} has {section!r}, expected a class and its arguments"
        )
    name, arguments = section["class"], section["arguments"]
    if not isinstance(name, str) or name not in CLASSES:
        raise ValueError(
            f"{CONFIG} names the class {name!r}, expected one of "
            f"{sorted(CLASSES)}"
        )
    allowed = inspect.signature(CLASSES[name]).parameters
    open_ended = any(one.kind is one.VAR_KEYWORD for one in allowed.values())
    for key, value in arguments.items():
        if key in _NEVER or not (key in allowed or open_ended):
            raise ValueError(f"{CONFIG}: {name} takes no {key!r} here")
        if not _is_plain(value):
            raise ValueError(
                f"{CONFIG}: {key} of {name} is {str(value)[:100]}, expected a "
                f"number up to {GREATEST:g}, a word, or a list of them"
            )
        if key in LIMITS and value is not None:
            check_range(f"{CONFIG}: {key} of {name}", value, *LIMITS[key])
    try:
        return CLASSES[name](**arguments)
    except Exception as error:
        # A class that is given nonsense fails in any way that Python has.
        raise ValueError(
            f"{CONFIG}: {name}: {type(error).__name__}: {error}"
        ) from error


def _is_plain(value: object, depth: int = 2) -> bool:
    """A word, a number that is one, or a list of some of them."""
    if isinstance(value, list):
        return (
            depth > 0
            and len(value) <= MOST_ITEMS
            and all(_is_plain(one, depth - 1) for one in value)
        )
    if isinstance(value, (int, float)):
        return abs(value) <= GREATEST
    return value is None or (isinstance(value, str) and len(value) < MOST_ITEMS)


def _check_values(config: dict) -> None:
    for name in VALUES:
        _check_value(name, config[name])
    for begins in _MAY_BE_ABSENT:
        group = [name for name in VALUES if name.startswith(begins)]
        if len({config[name] is None for name in group}) > 1:
            raise ValueError(
                f"{CONFIG} has some of {', '.join(group)}, expected all or none"
            )
    try:
        parse_target(config["threshold_target"])
        for name in VALUES:
            pair = name.removesuffix("_slope")
            if name != pair and config[name] is not None:
                # One that is too large for a float cannot be told finite.
                Calibration(
                    float(config[name]), float(config[f"{pair}_intercept"])
                )
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{CONFIG}: {error}") from error


def _check_value(name: str, value: object) -> None:
    """Refuse a value that ends in an error, or in nonsense, later."""
    if name == "sample_rate":
        check_range(f"{CONFIG}: {name}", value, *LIMITS[name], whole=True)
        return
    if name in _DIVIDE_BY and value is not None:
        check_range(f"{CONFIG}: {name}", value, *_DIVIDE_BY[name])
        return
    if name == "measure":
        good = value in ("cosine", "euclidean")
    elif name == "threshold_target":
        good = isinstance(value, str)
    else:
        absent = value is None and any(map(name.startswith, _MAY_BE_ABSENT))
        numbers = value if name in _LISTS else [value]
        # A threshold may be infinite: nobody passes, or everybody.
        good = absent or (
            isinstance(numbers, list)
            and all(
                type(one) in (int, float) and one == one
                for one in numbers[:MOST_ITEMS]
            )
        )
    if not good:
        raise ValueError(f"{CONFIG}: {name} is {str(value)[:100]}, no value")


@contextmanager
def _at_most(most: int) -> Iterator[None]:
    """Refuse to build modules with more weights than a file holds."""
    own, found = threading.get_ident(), 0

    def count(module, name, weight):
        nonlocal found
        found += threading.get_ident() == own
        if found > most:
            raise ValueError(f"more than {most} tensors, the weights have less")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _shapes(weights: Path) -> dict[str, list[int]]:
    """Shape of each tensor of a file, without reading them."""
    if not weights.is_file():
        raise ValueError(f"{weights} is not there: expected the weights")
    try:
        with safe_open(weights, framework="pt") as file:
            names = file.keys()
            return {name: file.get_slice(name).get_shape() for name in names}
    except SafetensorError as error:
        raise ValueError(f"{weights} is damaged: {error}") from error
