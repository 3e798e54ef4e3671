"""Any encoder can teach, and is told from another by its fingerprint."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from speechbrain.inference.classifiers import EncoderClassifier

from speechbrain_siamese.inference.teacher import Teacher, open_teacher

RATE = 8000
HYPERPARAMS = """
seed: !apply:torch.manual_seed [{seed}]
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: 20
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.Xvector.Xvector
    in_channels: 20
    tdnn_blocks: 1
    tdnn_channels: [8]
    tdnn_kernel_sizes: [3]
    tdnn_dilations: [1]
    lin_neurons: 6
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
"""


class Edges:
    """First and last sample; refuses silence."""

    sample_rate = RATE

    def __call__(self, wavs):
        if not wavs.any(dim=1).all():
            raise ValueError("item is silent")
        return wavs[:, [0, -1]]


def middle(wavs, factor=1.0):
    return factor * wavs[:, [100, 200, 300]]


@pytest.fixture
def encoder(tmp_path):
    """Folder of a small SpeechBrain encoder with weights of its own."""
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text(HYPERPARAMS.format(seed=1))
    return folder


def test_speechbrain_encoder_answers_as_it_does_alone(encoder, tmp_path):
    teacher = open_teacher(encoder, tmp_path)
    assert teacher.sample_rate == 16000
    wavs = torch.randn(3, 8000, generator=torch.Generator().manual_seed(0))
    found = teacher.embed(wavs)
    alone = EncoderClassifier.from_hparams(source=str(encoder))
    for wav, own in zip(wavs, found, strict=True):
        assert own.shape == (6,)
        expected = alone.encode_batch(wav[None])[0, 0].detach().numpy()
        assert own == pytest.approx(expected, abs=1e-4)


def test_fingerprint_of_an_encoder_changes_with_its_weights(encoder, tmp_path):
    first = open_teacher(encoder, tmp_path).fingerprint
    assert first == open_teacher(encoder, tmp_path).fingerprint
    text = HYPERPARAMS.format(seed=2)
    (encoder / "hyperparams.yaml").write_text(text)
    assert first != open_teacher(encoder, tmp_path).fingerprint


def test_folder_that_holds_no_encoder_is_named(tmp_path):
    with pytest.raises(
        ValueError, match=f"teacher: {tmp_path} cannot be loaded"
    ):
        open_teacher(tmp_path, tmp_path)


def test_callable_is_taken_as_it_is(tmp_path):
    teacher = open_teacher(Edges(), tmp_path)
    assert teacher.sample_rate == RATE
    (found,) = teacher.embed(torch.tensor([[0.5, 0.0, 0.25]]))
    assert found.tolist() == [0.5, 0.25]
    assert open_teacher(middle, tmp_path).sample_rate == 16000


def test_fingerprint_of_a_callable_changes_with_its_answers(tmp_path):
    def opened(encode):
        return open_teacher(encode, tmp_path).fingerprint

    class Other(Edges):
        sample_rate = RATE // 2

    assert opened(middle) == opened(middle)
    assert opened(Edges()) == opened(Edges())
    turned = functools.partial(middle, factor=torch.tensor([1.0, -1.0, 1.0]))
    fingerprints = [opened(it) for it in (middle, turned, Edges(), Other())]
    assert len(set(fingerprints)) == 4


def test_rounding_makes_no_other_teacher(tmp_path):
    exact = open_teacher(functools.partial(middle), tmp_path)
    rounded = open_teacher(functools.partial(middle, factor=1 + 1e-6), tmp_path)
    assert exact.fingerprint == rounded.fingerprint


def test_item_that_cannot_be_embedded_costs_itself_only():
    wavs = torch.tensor([[1.0, 2.0], [0.0, 0.0], [float("nan"), 1.0], [3, 4]])
    found = Teacher(Edges(), RATE, "edges").embed(wavs)
    assert found[1:3] == ["item is silent", "not finite"]
    assert np.array_equal(np.stack([found[0], found[3]]), [[1, 2], [3, 4]])


@pytest.mark.parametrize("answer", [(2,), (3, 5), (2, 1, 5)])
def test_answer_of_another_shape_is_named(tmp_path, answer):
    with pytest.raises(ValueError, match=r"expected \(2, dim\)"):
        open_teacher(lambda wavs: torch.zeros(answer), tmp_path)
