"""ImageNet weights: one channel or three, from the cache or a file."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision

from speechbrain_siamese.lobes.densenet import DenseNetEncoder, narrow_trunk
from speechbrain_siamese.lobes.imagenet import load_imagenet

#: The smallest image that the trunk takes, for speed.
SMALL = {"n_mels": 32, "window_len": 0.64}


def test_imagenet_weights_give_what_three_equal_channels_gave(
    imagenet, weights_file
):
    encoder = DenseNetEncoder(**SMALL, imagenet_weights=str(weights_file))
    images = torch.randn(2, 1, 64, 32)
    coloured = images.expand(-1, 3, -1, -1)
    with torch.no_grad():
        torch.testing.assert_close(
            encoder.trunk.conv0(images),
            imagenet.features.conv0(coloured),
            rtol=1e-4,
            atol=1e-4,
        )
        torch.testing.assert_close(
            encoder.eval().trunk(images),
            imagenet.features(coloured),
            rtol=1e-3,
            atol=1e-3,
        )


@pytest.mark.parametrize("channels", [1, 3])
def test_weights_with_torchvisions_old_names_are_the_same(imagenet, channels):
    """As in the files that torchvision offers: older than ``norm1``."""
    state = imagenet.state_dict()
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))", r"\1.", key): value
        for key, value in state.items()
        if not key.endswith("num_batches_tracked")
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    assert "features.transition1.norm.weight" in old
    trunk = narrow_trunk(121)
    if channels == 3:
        trunk = torchvision.models.densenet121(weights=None).features
    load_imagenet(trunk, old)
    for key, value in trunk.state_dict().items():
        if key != "conv0.weight" and not key.endswith("batches_tracked"):
            assert torch.equal(value, state[f"features.{key}"]), key


def test_weights_in_torchvisions_cache_are_used_offline(
    imagenet, tmp_path, weights_file, monkeypatch
):
    forbid_downloads(monkeypatch, URLError("no network"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    url = torchvision.models.DenseNet121_Weights.DEFAULT.url
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    assert tmp_path in cached.parents
    cached.parent.mkdir(parents=True)
    cached.symlink_to(weights_file)
    encoder = DenseNetEncoder(**SMALL, imagenet_weights=True)
    assert torch.equal(
        encoder.trunk.norm5.running_mean, imagenet.features.norm5.running_mean
    )


@pytest.mark.parametrize(
    "error",
    [
        URLError("no network"),
        RuntimeError("invalid hash value"),
    ],
)
def test_weights_that_cannot_be_had_are_an_error_with_the_ways_out(
    tmp_path, monkeypatch, error
):
    forbid_downloads(monkeypatch, error)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ValueError) as caught:
        DenseNetEncoder(**SMALL, imagenet_weights=True)
    message = str(caught.value)
    url = torchvision.models.DenseNet121_Weights.DEFAULT.url
    for part in (str(tmp_path), url, str(error), "imagenet_weights: False"):
        assert part in message


def test_a_file_of_another_depth_is_refused(weights_file):
    with pytest.raises(ValueError, match=r"do not fit.*same depth"):
        DenseNetEncoder(**SMALL, depth=169, imagenet_weights=str(weights_file))


def test_a_file_without_a_densenet_is_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"do not fit"):
        DenseNetEncoder(**SMALL, imagenet_weights=str(path))


def test_a_file_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "missing.pth"
    with pytest.raises(ValueError, match=rf"{path}.*not a file"):
        DenseNetEncoder(**SMALL, imagenet_weights=str(path))


def test_a_file_that_holds_no_weights_is_named(tmp_path):
    path = tmp_path / "page.pth"
    path.write_text("<html>404</html>")
    with pytest.raises(ValueError, match=str(path)):
        DenseNetEncoder(**SMALL, imagenet_weights=str(path))


def forbid_downloads(monkeypatch, error: Exception) -> None:
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
