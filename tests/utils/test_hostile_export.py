"""Exports of strangers: what is loaded as data runs nothing."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from speechbrain_siamese.inference.speaker import SiameseRecognition
from speechbrain_siamese.utils.export import export_weights
from speechbrain_siamese.utils.safe_form import VALUES

pytestmark = pytest.mark.fault(
    "exports of strangers: pickles, calls, giant layers",
    "refused; nothing of them is run",
)


class Touch:
    """A pickle that leaves a file where it is loaded."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def export(trained, tmp_path):
    return shutil.copytree(trained / "export", tmp_path / "export")


@pytest.mark.parametrize("save", [torch.save, lambda o, p: p.write_bytes(o)])
def test_a_pickle_in_the_place_of_weights_does_not_run(export, save, tmp_path):
    proof = tmp_path / "it ran"
    program = Touch(proof)
    if save is not torch.save:
        program = pickle.dumps(program)
    for path in export.glob("*.ckpt"):
        save(program, path)
    with pytest.raises(ValueError, match="no weights alone, or is damaged"):
        export_weights(export)
    # The safe form has weights of its own, and looks at no others.
    SiameseRecognition.from_pretrained(export)
    with pytest.raises(Exception, match=r"(?i)weights|pickle|load"):
        SiameseRecognition.from_hparams(source=str(export))
    assert not proof.exists()


def test_going_on_from_an_export_runs_nothing_of_it(export, tmp_path):
    proof = tmp_path / "it ran"
    path = export / "hyperparams.yaml"
    told = export_weights(export)
    path.write_text(
        f"{path.read_text()}\n"
        f'a: !applyref:pathlib.Path.touch [!new:pathlib.Path ["{proof}"]]\n'
        f'b: !applyref:os.mkdir ["{proof}"]\n'
        "c: !include:/etc/hostname\n"
    )
    found = export_weights(export)
    assert all(torch.equal(found[key], told[key]) for key in told)
    assert not proof.exists()


@pytest.mark.parametrize("text", ["[" * 500, "a: *b", "- 1", "\0", "a: b: c"])
def test_settings_that_are_none_are_told(export, text):
    (export / "hyperparams.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"hyperparams\.yaml"):
        export_weights(export)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(export, value):
    path = export / "model.safetensors"
    tensors = load_file(path)
    tensors["embedding_model.projection.bias"][0] = value
    save_file(tensors, path)
    with pytest.raises(ValueError, match="holds NaN or infinite"):
        SiameseRecognition.from_pretrained(export)
    path = export / "embedding_model.ckpt"
    state = torch.load(path, weights_only=True)
    state["projection.bias"][0] = value
    torch.save(state, path)
    with pytest.raises(ValueError, match="all of them finite"):
        export_weights(export)


def change(config: dict, keys: list, value: object) -> None:
    for key in keys[:-1]:
        config = config[key]
    config[keys[-1]] = value


MODEL = ["embedding_model", "arguments"]


@pytest.mark.parametrize(
    "keys, value, message",
    [
        ([*MODEL, "blocks"], [10**9] * 4, "expected a number up to"),
        ([*MODEL, "blocks"], [1000] * 4, "more than"),
        ([*MODEL, "statistics"], False, "tensors differ"),
        ([*MODEL, "networks"], 2, "TypeError.*'networks'"),
        ([*MODEL, "window_len"], 1e9, "expected a number"),
        (["compute_features", "arguments", "n_mels"], 10**6, "n_mels of"),
        (["compute_features", "arguments", "n_mels"], 80, "do not fit"),
        (["embedding_model", "class"], [], "names the class"),
        (["speakers"], ["a", "a"], "each of them once"),
        (["sample_rate"], 0, "sample_rate is 0"),
        (["measure"], "x", "measure is x"),
        (["threshold"], float("nan"), "threshold is nan"),
        (["voice_threshold"], None, "expected all or none"),
        (["threshold_target"], "nonsense", "json: target is 'nonsense'"),
        (["calibration_slope"], -1.0, r"json: the calibration has slope -1\.0"),
        (["calibration_slope"], float("inf"), "has slope inf"),
        (["calibration_intercept"], float("inf"), "intercept inf"),
        (["calibration_intercept"], 10**400, "too large"),
    ],
)
def test_a_configuration_that_would_fail_later_is_refused(
    export, keys, value, message
):
    path = export / "config.json"
    config = json.loads(path.read_text())
    change(config, keys, value)
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=message):
        SiameseRecognition.from_pretrained(export)


@pytest.mark.parametrize("name", [n for n in VALUES if n.endswith("_slope")])
def test_each_calibration_is_looked_at(export, name):
    path = export / "config.json"
    config = json.loads(path.read_text())
    # A tiny training has learnt nothing but the first.
    group = [n for n in VALUES if n.startswith(name.removesuffix("slope"))]
    config |= {**dict.fromkeys(group, 0.5), name: -2.0}
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"config\.json: .* slope -2\.0"):
        SiameseRecognition.from_pretrained(export)


@pytest.mark.parametrize("text", ["[]", "1", "null", "[" * 100_000, "{", "\0"])
def test_json_that_is_no_configuration_is_told(export, text):
    (export / "config.json").write_text(text)
    with pytest.raises(ValueError):
        SiameseRecognition.from_pretrained(export)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.slow
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(place=st.integers(0, 99), value=JSON)
def test_any_value_is_loaded_or_told(export, place, value):
    whole = (export / "config.json").read_text()
    config = json.loads(whole)
    places = [[key] for key in config]
    places += [[*MODEL, key] for key in config["embedding_model"]["arguments"]]
    change(config, places[place % len(places)], value)
    (export / "config.json").write_text(json.dumps(config))
    try:
        SiameseRecognition.from_pretrained(export)
    except ValueError as error:
        assert "config.json" in str(error)
    finally:
        (export / "config.json").write_text(whole)
