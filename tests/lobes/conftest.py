"""Encoders look trained, and a file holds what ImageNet's weights might be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision


@pytest.fixture(scope="session")
def scramble() -> Callable[[torch.nn.Module], None]:
    """Sets random statistics in every normalisation, as training does.

    Fresh ones hardly change their input, and would hide an error.
    """

    def scramble_model(model: torch.nn.Module) -> None:
        generator = torch.Generator().manual_seed(1)
        for module in model.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                size = module.running_mean.shape
                module.running_mean.normal_(0, 0.3, generator=generator)
                module.running_var.uniform_(0.5, 2.0, generator=generator)
                with torch.no_grad():
                    random = torch.rand(size, generator=generator)
                    module.weight.copy_(0.5 + random)
                    module.bias.normal_(0, 0.3, generator=generator)

    return scramble_model


@pytest.fixture(scope="session")
def imagenet(scramble) -> torchvision.models.DenseNet:
    """A torchvision model with random numbers for ImageNet's weights."""
    torch.manual_seed(2)
    model = torchvision.models.densenet121(weights=None)
    scramble(model)
    return model.eval()


@pytest.fixture(scope="session")
def weights_file(imagenet, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "densenet121.pth"
    torch.save(imagenet.state_dict(), path)
    return path
