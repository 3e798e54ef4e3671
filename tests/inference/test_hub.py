"""The safe form of an export: the same model, and nothing runs."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from speechbrain_siamese.inference.speaker import SiameseRecognition

MALICIOUS = """
threshold: 0.5
sample_rate: 16000
audio_normalizer: !new:speechbrain.dataio.preprocess.AudioNormalizer
proof: !apply:pathlib.Path.touch [!new:pathlib.Path ["{proof}"]]
modules: {{}}
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
"""


@pytest.fixture
def export(trained, tmp_path):
    return shutil.copytree(trained / "export", tmp_path / "export")


@pytest.fixture
def changed(export):
    """Change the configuration of an export."""

    def change(edit):
        path = export / "config.json"
        config = json.loads(path.read_text())
        edit(config)
        path.write_text(json.dumps(config))
        return export

    return change


def load(folder):
    return SiameseRecognition.from_pretrained(folder)


def test_both_forms_are_one_model(export, tiny):
    safe = load(export)
    stock = SiameseRecognition.from_hparams(source=str(export))
    wave = torch.from_numpy(tiny.voice(1, 9, 5.0))[None]
    assert torch.equal(safe.encode_batch(wave), stock.encode_batch(wave))
    for normalize in (True, False):
        torch.testing.assert_close(
            safe.encode_batch(wave, normalize=normalize),
            stock.encode_batch(wave, normalize=normalize),
        )
    assert safe.fingerprint == stock.fingerprint
    assert safe.decision == stock.decision
    assert safe.normalised_decision == stock.normalised_decision
    assert safe.classify_batch(wave)[3] == stock.classify_batch(wave)[3]


def test_the_safe_form_needs_no_yaml_file(export):
    whole = load(export)
    for path in export.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            path.unlink()
    assert load(export).fingerprint == whole.fingerprint


def test_an_export_of_before_voices_were_learnt_still_loads(changed):
    def edit(config):
        for name in ("voice_threshold", "online_threshold"):
            del config[name]

    found = load(changed(edit))
    with pytest.raises(ValueError, match="has not learnt which pieces"):
        found.check_label(None, None, False)


def test_by_its_name_on_the_hub_as_the_cache_has_it(export, tmp_path):
    # What a download leaves behind, so that no network is needed.
    commit = "0123456789abcdef0123456789abcdef01234567"
    kept = tmp_path / "hub" / "models--sita--voices"
    folder = kept / "snapshots" / commit
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(export / name, folder)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(commit)
    settings = {"cache_dir": tmp_path / "hub", "local_files_only": True}
    found = SiameseRecognition.from_pretrained("sita/voices", **settings)
    assert found.fingerprint == load(export).fingerprint


@pytest.mark.parametrize(
    "name",
    ["results/mine/exprot", "/results/exprot", "exprot", "./exprot", "a/b/"],
)
def test_a_mistyped_folder_is_not_told_in_the_words_of_the_hub(name):
    with pytest.raises(ValueError, match="is no folder, and no <user>/<name>"):
        load(name)


def test_a_file_is_not_asked_for_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "talk.wav").touch()
    with pytest.raises(ValueError, match="is no folder, and no <user>/<name>"):
        load("export/talk.wav")


def test_what_cannot_be_fetched_may_be_a_mistyped_folder(tmp_path):
    words = r"is no folder, and no <user>/<name> on the hub that can be .*cach"
    with pytest.raises(OSError, match=words):
        SiameseRecognition.from_pretrained(
            "results/exprot", cache_dir=tmp_path, local_files_only=True
        )


def test_what_the_yaml_loader_runs_the_safe_one_refuses(export):
    proof = export.parent / "it ran"
    text = MALICIOUS.format(proof=proof)
    (export / "hyperparams.yaml").write_text(text)
    (export / "config.json").unlink()
    with pytest.raises(ValueError, match="runs what it says"):
        load(export)
    assert not proof.exists()
    SiameseRecognition.from_hparams(source=str(export))
    assert proof.exists()


def test_a_class_that_is_no_module_is_refused(changed):
    def edit(config):
        config["embedding_model"] = {
            "class": "os.system",
            "arguments": {"command": "true"},
        }

    with pytest.raises(ValueError, match=r"names the class 'os\.system'"):
        load(changed(edit))


@pytest.mark.parametrize(
    "edit, message",
    [
        (lambda c: c.pop("threshold"), "expected"),
        (lambda c: c.update(hparams={"a": 1}), "expected"),
        (lambda c: c.update(run_opts={"device": "cpu"}), "expected"),
        (lambda c: c.update(threshold={"a": 1}), "threshold is"),
        (lambda c: c.update(speakers="abc"), "speakers is"),
        (lambda c: c["embedding_model"].pop("class"), "a class and its"),
        (
            lambda c: c["embedding_model"]["arguments"].update(
                imagenet_weights="/etc/passwd"
            ),
            "takes no 'imagenet_weights'",
        ),
        (
            lambda c: c["compute_features"]["arguments"].update(secret=1),
            "takes no 'secret'",
        ),
        (
            lambda c: c["embedding_model"]["arguments"].update(
                blocks=[{"a": 1}]
            ),
            "expected a number",
        ),
        (
            lambda c: c["embedding_model"]["arguments"].update(n_mels="many"),
            "n_mels of .*DenseNetEnsemble is 'many'",
        ),
    ],
)
def test_configurations_that_no_export_has(changed, edit, message):
    with pytest.raises(ValueError, match=message):
        load(changed(edit))


def test_a_giant_is_refused_before_it_takes_memory(changed):
    def edit(config):
        config["embedding_model"]["arguments"]["embedding_dim"] = 90_000
        config["embedding_model"]["arguments"]["growth_rate"] = 1000

    with pytest.raises(ValueError, match=r"does not fit config\.json"):
        load(changed(edit))


@pytest.mark.parametrize("what", ["pipe", "giant", "device"])
def test_a_configuration_without_end_is_refused_before_it_is_read(
    export, tmp_path, what
):
    folder = shutil.copytree(export, tmp_path / "stranger")
    path = folder / "config.json"
    if what == "giant":
        os.truncate(path, 2**40)
    else:
        path.unlink()
        os.mkfifo(path) if what == "pipe" else path.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="is no file, or one of more than"):
        SiameseRecognition.from_pretrained(folder)


def test_weights_of_another_model_are_refused(export):
    tensors = load_file(export / "model.safetensors")
    tensors.pop("cohort.voices")
    save_file(tensors, export / "model.safetensors")
    with pytest.raises(ValueError, match="does not fit"):
        load(export)


def test_damaged_and_missing_weights_are_told(export):
    path = export / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="is damaged"):
        load(export)
    path.unlink()
    with pytest.raises(ValueError, match="is not there"):
        load(export)


def test_a_folder_without_an_export(tmp_path):
    with pytest.raises(ValueError, match="expected a folder that training"):
        load(tmp_path)


def test_what_is_no_setting_is_refused(export):
    with pytest.raises(ValueError, match="takes no threshold"):
        SiameseRecognition.from_pretrained(export, threshold=1)


def test_run_opts_are_those_of_the_caller(export):
    model = SiameseRecognition.from_pretrained(
        export, run_opts={"precision": "bf16"}
    )
    assert model.precision == "bf16"
