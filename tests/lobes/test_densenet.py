"""An embedding belongs to its clip: not to the batch, its padding or level."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch.nn import functional as F

from speechbrain_siamese.lobes.densenet import (
    DEPTHS,
    DenseNetEncoder,
    mean_and_deviation,
)
from speechbrain_siamese.lobes.features import PADDING, LogMel

#: The smallest image that the trunk takes, for speed.
SMALL = {"n_mels": 32, "window_len": 0.64}
WINDOW = 64

#: How many windows pass together at inference.
AT_ONCE = "speechbrain_siamese.lobes.windows.WINDOWS_AT_ONCE"


@pytest.fixture(scope="module")
def trained(scramble) -> DenseNetEncoder:
    torch.manual_seed(0)
    encoder = DenseNetEncoder(**SMALL)
    scramble(encoder)
    return encoder.eval()


@pytest.fixture
def encoder(trained, monkeypatch) -> DenseNetEncoder:
    """The module's encoder; what a test sets on it is set back."""
    monkeypatch.setattr(trained, "silence_range", None)
    monkeypatch.setattr(trained, "training", False)
    return trained


def image(frames: int, items: int = 1, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(items, frames, 32, generator=generator) - 8


def speech_like(lengths: list[int]) -> torch.Tensor:
    """Coloured noise that pauses after every 0.3 s, padded with zeros."""
    wavs = torch.zeros(len(lengths), max(lengths))
    generator = torch.Generator().manual_seed(3)
    for item, samples in enumerate(lengths):
        wav = torch.randn(samples, generator=generator)
        wav = 0.1 * (wav + item / 4 * wav.roll(1))
        pause = torch.arange(samples) // 4800 % 2 == 1
        wavs[item, :samples] = torch.where(pause, 1e-4 * wav, wav)
    return wavs


def test_embeddings_have_their_shape_and_length_one(encoder):
    with torch.no_grad():
        embeddings = encoder(image(150, items=3), torch.ones(3))
    assert embeddings.shape == (3, 1, 192)
    torch.testing.assert_close(embeddings.norm(dim=-1), torch.ones(3, 1))


@pytest.mark.parametrize("silence_range", [None, 30.0])
def test_an_embedding_is_the_same_alone_and_in_a_padded_batch(
    encoder, silence_range
):
    encoder.silence_range = silence_range
    lengths = [31000, 64001, 9999, 12345, 50001, 7001, 40077, 20011]
    wavs = speech_like(lengths)
    images = LogMel(n_mels=32)
    with torch.no_grad():
        together = encoder(images(wavs), torch.tensor(lengths) / max(lengths))
        alone = [
            encoder(images(wavs[item : item + 1, :samples]), torch.ones(1))[0]
            for item, samples in enumerate(lengths)
        ]
    torch.testing.assert_close(together, torch.stack(alone), rtol=0, atol=1e-5)
    # It would be nothing to have them equal if all were one.
    assert torch.pdist(together[:, 0]).min() > 1e-3


def test_relative_lengths_do_not_matter_since_padding_is_marked(encoder):
    feats = image(100, items=2)
    with torch.no_grad():
        assert torch.equal(
            encoder(feats, torch.tensor([1.0, 0.3])), encoder(feats)
        )


def test_a_long_recording_is_the_weighted_mean_of_its_windows(encoder):
    feats = image(150)
    windows = torch.stack([feats[0, i : i + WINDOW] for i in (0, 64, 86)])
    with torch.no_grad():
        one, two, three = encoder.encode_windows(windows)
        expected = 64 * one + 64 * two + 22 * three
        found = encoder(feats)[0, 0]
    torch.testing.assert_close(
        found, expected / expected.norm(), rtol=0, atol=1e-5
    )
    assert (found - F.normalize(one + two + three, dim=0)).norm() > 1e-3


def test_windows_that_pass_in_several_lots_give_the_same(encoder, monkeypatch):
    feats = image(500)
    with torch.no_grad():
        at_once = encoder(feats)
        monkeypatch.setattr(AT_ONCE, 3)
        in_lots = encoder(feats)
    torch.testing.assert_close(in_lots, at_once, rtol=0, atol=1e-5)


def test_a_short_recording_is_repeated_to_one_window(encoder):
    feats = image(41)
    repeated = torch.cat([feats, feats], dim=1)[:, :WINDOW]
    with torch.no_grad():
        torch.testing.assert_close(
            encoder(feats), encoder(repeated), rtol=0, atol=1e-5
        )


def test_level_and_channel_colour_do_not_change_an_embedding(encoder):
    feats = image(100)
    with torch.no_grad():
        plain = encoder(feats)
        coloured = encoder(feats + torch.linspace(-4, 6, 32))
        other = encoder(image(100, seed=1))
    torch.testing.assert_close(coloured, plain, rtol=0, atol=1e-4)
    assert (other - plain).norm() > 1e-3


def test_quiet_frames_are_left_out_at_inference(encoder):
    feats = image(160)
    feats[:, 100:] -= 20  # 87 decibels down
    with torch.no_grad():
        # Ten frames beside the last loud one stay.
        expected = encoder(feats[:, :110])
        with_quiet = encoder(feats)
        encoder.silence_range = 30.0
        torch.testing.assert_close(encoder(feats), expected)
        # Not in training: preparation has left them out already.
        encoder.training = True
        torch.testing.assert_close(encoder(feats), with_quiet)
    assert (with_quiet - expected).norm() > 1e-3


def test_too_short_an_item_is_refused_with_its_length(encoder):
    feats = image(60, items=3)
    feats[1, 39:] = PADDING
    with pytest.raises(ValueError, match=r"item 1 .*39 frames.*at least 40"):
        encoder(feats)
    feats[1, :40] = image(40)
    encoder(feats)


def test_a_silent_item_among_others_does_not_end_the_batch(encoder):
    """The stock class scores long lists; one silent file must not stop it."""
    images = LogMel(n_mels=32)
    wavs = torch.zeros(2, 16000)
    wavs[0] = 0.1 * torch.cos(torch.arange(16000) / 9)
    with torch.no_grad():
        found = encoder(images(wavs))
        alone = encoder(images(wavs[:1]))
    assert torch.isfinite(found).all()
    assert torch.allclose(found[0], alone[0], atol=1e-5)


@pytest.mark.parametrize("depth", [0, 120, 264])
def test_a_depth_that_torchvision_lacks_is_refused(depth):
    with pytest.raises(ValueError, match=rf"depth is {depth}.*121"):
        DenseNetEncoder(depth=depth)


@pytest.mark.parametrize(
    "size", [{"n_mels": 31}, {"window_len": 0.31}, {"hop_length": 80.0}]
)
def test_an_image_too_small_for_the_trunk_is_refused(size):
    with pytest.raises(ValueError, match=r"at least 32"):
        DenseNetEncoder(**{**SMALL, **size})


@pytest.mark.parametrize("depth", DEPTHS)
def test_every_depth_builds_with_a_projection_of_its_own_width(depth):
    # Without memory or arithmetic: shapes only.
    with torch.device("meta"):
        encoder = DenseNetEncoder(**SMALL, depth=depth, embedding_dim=48)
        maps = encoder.trunk(torch.empty(2, 1, WINDOW, 32))
        pooled = mean_and_deviation(maps)
        assert encoder.projection(encoder.pooled_norm(pooled)).shape == (2, 48)
        named = torchvision.models.get_model(f"densenet{depth}").features
    shapes = {key: value.shape for key, value in named.state_dict().items()}
    own = {k: value.shape for k, value in encoder.trunk.state_dict().items()}
    # Of the first convolution's three channels one is left.
    shapes["conv0.weight"] = (len(named.norm0.weight), 1, 7, 7)
    assert own == shapes


def test_a_narrow_trunk_has_the_layers_that_are_asked_for():
    encoder = DenseNetEncoder(**SMALL, growth_rate=12, blocks=[1, 2, 3, 1])
    trunk = encoder.trunk
    layers = [len(getattr(trunk, f"denseblock{block}")) for block in (1, 2, 3)]
    assert layers == [1, 2, 3]
    # (24 + 12) / 2 = 18, (18 + 24) / 2 = 21, (21 + 36) // 2 = 28, 28 + 12.
    assert trunk.norm5.num_features == 40


@pytest.mark.parametrize(
    ("trunk", "message"),
    [
        ({"growth_rate": 0}, "growth_rate is 0, expected a whole number"),
        ({"blocks": [6, 12]}, r"blocks is \[6, 12\], expected 4 numbers"),
        ({"blocks": [6, 0, 1, 1]}, "blocks is 0, expected a whole number"),
        ({"blocks": [6, 1.5, 1, 1]}, "blocks is 1.5, expected a whole"),
    ],
)
def test_a_trunk_without_layers_is_refused(trunk, message):
    with pytest.raises(ValueError, match=message):
        DenseNetEncoder(**SMALL, **trunk)


@pytest.mark.parametrize("n_mels", [32, 40, 61, 63, 64, 80, 95, 100, 128])
def test_every_number_of_bins_fits_the_projection(n_mels):
    with torch.device("meta"):
        encoder = DenseNetEncoder(n_mels=n_mels, window_len=0.64)
        maps = encoder.trunk(torch.empty(2, 1, WINDOW, n_mels))
    assert encoder.projection.in_features == 2 * maps.shape[1] * maps.shape[3]


def test_pooling_gives_mean_and_deviation_over_time_of_every_bin():
    maps = torch.tensor(
        # Two channels, two frames, two bins.
        [[[[1.0, 5.0], [3.0, 5.0]], [[0.0, -2.0], [8.0, 4.0]]]]
    )
    expected = torch.tensor([[2.0, 5.0, 4.0, 1.0, 1.0, 0.0, 4.0, 3.0]])
    found = mean_and_deviation(maps)
    torch.testing.assert_close(found, expected, rtol=0, atol=4e-3)


def test_pooling_constant_maps_has_a_finite_gradient():
    maps = torch.ones(1, 2, 3, 2, requires_grad=True)
    mean_and_deviation(maps).sum().backward()
    assert torch.isfinite(maps.grad).all()


def test_training_reaches_the_first_convolution():
    torch.manual_seed(0)
    encoder = DenseNetEncoder(**SMALL, embedding_dim=16).train()
    embeddings = encoder(image(WINDOW, items=3))[:, 0]
    torch.pdist(embeddings).sum().backward()
    gradient = encoder.trunk.conv0.weight.grad
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0


def test_any_number_of_clips_can_train(monkeypatch):
    """Windows pass in lots; a lot of one has no statistics to train on."""
    monkeypatch.setattr(AT_ONCE, 4)
    encoder = DenseNetEncoder(**SMALL, embedding_dim=16).train()
    assert encoder(image(WINDOW, items=5)).shape == (5, 1, 16)


def test_half_precision_runs_and_returns_full(encoder):
    feats = image(150, items=2)
    with torch.no_grad():
        full = encoder(feats)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = encoder(feats)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half.norm(dim=-1), torch.ones(2, 1))
    assert F.cosine_similarity(half, full, dim=-1).min() > 0.99
    assert not torch.equal(half, full)
