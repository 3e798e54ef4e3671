"""The published encoder: pictures of three colours, flattened, any length."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from hyperpyyaml import load_hyperpyyaml
from torch.nn import functional as F

from speechbrain_siamese.dataio.splits import Session, split_sessions
from speechbrain_siamese.lobes.features import PADDING, LogMel
from speechbrain_siamese.lobes.two_tower import TwoTowerEncoder, as_picture
from speechbrain_siamese.lobes.windows import mean_over_windows

#: A small picture, 64 frames of 32 bins, for speed.
SMALL = {"n_mels": 32, "window_len": 0.64, "hop_length": 10.0}
WINDOW = 64

#: How many windows pass together at inference.
AT_ONCE = "speechbrain_siamese.lobes.windows.WINDOWS_AT_ONCE"

RECIPE = Path(__file__).parents[2] / "hparams" / "siamese_two_tower.yaml"


@pytest.fixture(scope="module")
def encoder(weights_file) -> TwoTowerEncoder:
    return TwoTowerEncoder(**SMALL, imagenet_weights=str(weights_file)).eval()


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> dict:
    """The recipe's objects, without ImageNet weights."""
    with open(RECIPE, encoding="utf-8") as file:
        return load_hyperpyyaml(
            file,
            {
                "imagenet_weights": False,
                "output_folder": str(tmp_path_factory.mktemp("output")),
            },
        )


def image(frames: int, items: int = 1, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(items, frames, 32, generator=generator) - 8


def test_an_embedding_is_what_torchvisions_trunk_sees_in_the_picture(
    encoder, imagenet
):
    """Step by step by hand, with the colours of torchvision's weights."""
    feats = image(WINDOW, items=2)
    colours = torchvision.models.DenseNet121_Weights.DEFAULT.transforms()
    pictures = torch.stack(
        [
            torch.stack(
                [
                    ((own - own.min()) / (own.max() - own.min()) - mean) / std
                    for mean, std in zip(colours.mean, colours.std, strict=True)
                ]
            )
            for own in feats.transpose(1, 2).flip(1)
        ]
    )
    assert pictures.shape == (2, 3, 32, WINDOW)
    with torch.no_grad():
        maps = imagenet.features(pictures)
        found = encoder(feats, torch.ones(2))
    expected = F.relu(maps).reshape(2, 1, -1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert found.shape == (2, 1, encoder.embedding_dim)
    assert (found - found.flip(0)).norm() > 0.1


def test_a_picture_has_time_to_the_right_and_pitch_upwards():
    # Three frames of two bins: the high bin rises.
    window = torch.tensor([[[0.0, 2.0], [0.0, 6.0], [0.0, 8.0]]])
    expected = torch.tensor([[0.25, 0.75, 1.0], [0.0, 0.0, 0.0]])
    assert torch.equal(as_picture(window), expected.expand(1, 3, 2, 3))


def test_each_window_has_its_own_range_from_0_to_1():
    windows = torch.stack([image(8)[0], 10 * image(8, seed=1)[0] + 5])
    pictures = as_picture(windows)
    assert pictures.amin(dim=(1, 2, 3)).tolist() == [0.0, 0.0]
    torch.testing.assert_close(pictures.amax(dim=(1, 2, 3)), torch.ones(2))
    torch.testing.assert_close(pictures[:1], as_picture(windows[:1]))


def test_a_window_of_digital_silence_is_a_black_picture():
    assert (as_picture(torch.full((1, 4, 3), -23.0)) == 0).all()


def test_an_embedding_is_the_same_alone_and_in_a_padded_batch(encoder):
    lengths = [31000, 9999, 12345, 20011, 7001]
    wavs = torch.zeros(len(lengths), max(lengths))
    generator = torch.Generator().manual_seed(3)
    for item, samples in enumerate(lengths):
        noise = torch.randn(samples, generator=generator)
        wavs[item, :samples] = 0.1 * (noise + item / 4 * noise.roll(1))
    images = LogMel(n_mels=32)
    with torch.no_grad():
        together = encoder(images(wavs), torch.tensor(lengths) / max(lengths))
        alone = [
            encoder(images(wavs[item : item + 1, :samples]), torch.ones(1))[0]
            for item, samples in enumerate(lengths)
        ]
    torch.testing.assert_close(together, torch.stack(alone), rtol=0, atol=1e-5)
    # It would be nothing to have them equal if all were one.
    assert torch.pdist(together[:, 0]).min() > 0.1


def test_a_long_recording_is_the_mean_of_its_windows_by_what_they_add():
    def encode(windows):
        return windows.sum(dim=2)[:, :1]  # The number of its first frame.

    frames = torch.arange(150.0)[:, None]
    found, counts = mean_over_windows(
        [frames, frames[:41]], 64, encode, at_once=2
    )
    expected = (64 * 0 + 64 * 64 + 22 * 86) / 150
    torch.testing.assert_close(found, torch.tensor([[expected], [0.0]]))
    # The last window adds 22 frames of 64.
    worth = 150**2 / (64**2 + 64**2 + 22**2)
    torch.testing.assert_close(counts, torch.tensor([worth, 1.0]))


def test_a_short_recording_is_repeated_to_one_window(encoder):
    feats = image(41)
    repeated = torch.cat([feats, feats], dim=1)[:, :WINDOW]
    with torch.no_grad():
        torch.testing.assert_close(
            encoder(feats), encoder(repeated), rtol=0, atol=1e-5
        )


def test_too_short_an_item_is_refused_with_its_length(encoder):
    feats = image(60, items=3)
    feats[1, 39:] = PADDING
    with pytest.raises(ValueError, match=r"item 1 .*39 frames.*at least 40"):
        encoder(feats)


@pytest.mark.parametrize(
    "size", [{"n_mels": 31}, {"window_len": 0.31}, {"hop_length": 80.0}]
)
def test_a_picture_too_small_for_the_trunk_is_refused(size):
    with pytest.raises(ValueError, match=r"at least 32"):
        TwoTowerEncoder(**{**SMALL, **size})


@pytest.mark.parametrize("n_mels", [32, 61, 64, 100, 128])
@pytest.mark.parametrize("frames", [32, 95, 128, 129])
def test_the_dimension_is_known_before_anything_is_encoded(n_mels, frames):
    # Without memory or arithmetic: shapes only.
    with torch.device("meta"):
        encoder = TwoTowerEncoder(n_mels, frames / 100, hop_length=10.0)
        maps = encoder.encode_windows(torch.empty(2, frames, n_mels))
    assert maps.shape == (2, encoder.embedding_dim)


def test_embeddings_are_not_brought_to_one_length(encoder):
    with torch.no_grad():
        lengths = encoder(image(WINDOW, items=2)).norm(dim=-1).flatten()
    assert (lengths - 1).abs().min() > 0.5
    assert (lengths[0] - lengths[1]).abs() > 1e-3


def test_training_reaches_the_first_convolution_and_is_one_lot(monkeypatch):
    monkeypatch.setattr(AT_ONCE, 1)
    torch.manual_seed(0)
    # Maps of 1 x 1: a lot of one would have no statistics to train on.
    encoder = TwoTowerEncoder(32, 0.32, hop_length=10.0, min_len=0.3).train()
    torch.pdist(encoder(image(32, items=3))[:, 0]).sum().backward()
    gradient = encoder.trunk.conv0.weight.grad
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0


def test_half_precision_runs_and_returns_full(encoder):
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert encoder(image(WINDOW)).dtype == torch.float32


def test_three_input_channels_keep_weights_of_their_own(encoder, imagenet):
    expected = imagenet.features.conv0.weight
    assert torch.equal(encoder.trunk.conv0.weight, expected)
    assert not torch.equal(expected[:, 0], expected[:, 1])


def test_weights_of_another_model_are_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"features.conv0.weight": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"do not fit.*same depth"):
        TwoTowerEncoder(**SMALL, imagenet_weights=str(path))


def test_a_model_says_where_it_started(encoder):
    assert encoder.start == "ImageNet"
    assert TwoTowerEncoder(**SMALL).start == "random start"


def test_what_is_saved_are_the_trunks_weights_alone(encoder):
    assert {key.partition(".")[0] for key in encoder.state_dict()} == {"trunk"}


def test_the_recipe_holds_the_published_figures(recipe):
    published = {
        "sample_rate": 22050,
        "trim_start": 60,
        "trim_end": 60,
        "silence_threshold": -30,
        "silence_relative": False,
        "keep_silence": 0.1,
        "test_time": 0.2,
        "similar_per_speaker": 100,
        "dissimilar_per_pair": 25,
        "measure": "euclidean",
        "margin": 3.0,
        "lr": 1e-4,
        "number_of_epochs": 30,
        "threshold_target": "mean_similar",
        "classifier_weight": 0,
    }
    assert {key: recipe[key] for key in published} == published
    assert recipe["compute_cost"].margin == 3.0
    assert recipe["opt_class"].func is torch.optim.Adam
    assert recipe["lr_schedule"].warmup_steps == 100
    assert recipe["cleaning"].sample_rate == 22050


def test_the_recipes_windows_are_square_pictures(recipe):
    encoder, features = recipe["embedding_model"], recipe["compute_features"]
    samples = encoder.window_frames * features.hop_samples
    assert features.hop_samples == 512
    assert features(torch.rand(1, samples)).shape == (1, 128, 128)
    assert encoder.embedding_dim == 1024 * 4 * 4
    # A held-out utterance is one window too.
    held_out = round(recipe["splits"].utterance_len * 22050)
    assert features(torch.rand(1, held_out)).shape == (1, 128, 128)
    assert recipe["classifier"].keywords == {"input_size": 16384}


def test_the_recipe_holds_out_time_alone(recipe):
    sessions = [
        Session(f"s{i % 10}", f"r{i}", samples=22050 * 120) for i in range(20)
    ]
    stretches = split_sessions(sessions, recipe["splits"], 22050, seed=0)
    speakers = {
        role: {s.session.speaker for s in stretches if s.role == role}
        for role in ("train", "valid", "time", "session", "speaker")
    }
    everyone = {f"s{i}" for i in range(10)}
    assert speakers == {
        "train": everyone,
        "valid": everyone,
        "time": everyone,
        "session": set(),
        "speaker": set(),
    }
    trained = sum(s.samples for s in stretches if s.role == "train")
    assert trained == pytest.approx(0.8 * 20 * 22050 * 120)
