"""ImageNet weights for a DenseNet: where they come from, how they fit."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import torch
import torchvision


def imagenet_state(depth: int, source: bool | str | Path) -> dict:
    """Fetch a DenseNet's ImageNet weights.

    Arguments
    ---------
    depth : int
        Number of layers: 121, 161, 169 or 201.
    source : bool or str or Path
        True for torchvision's own weights, from its cache or the network; or
        the path of a ``.pth`` file with the state of a torchvision DenseNet.

    Returns
    -------
    dict
        State of the whole torchvision model.

    Raises
    ------
    ValueError
        If the weights cannot be had, with the ways to go on.
    """
    name = f"densenet{depth}"
    if source is True:
        weights = torchvision.models.get_model_weights(name).DEFAULT
        try:
            return weights.get_state_dict(progress=True, check_hash=True)
        except (OSError, RuntimeError) as error:
            cache = Path(torch.hub.get_dir()) / "checkpoints"
            raise ValueError(
                f"imagenet_weights is True, but torchvision's {name} weights "
                f"are neither in {cache} nor can they be downloaded from "
                f"{weights.url} ({error}). Put that file into the folder by "
                "hand, give its path as imagenet_weights, or start from "
                "random weights with imagenet_weights: False"
            ) from error
    path = Path(source)
    if not path.is_file():
        raise ValueError(
            f"imagenet_weights names {path}, which is not a file; expected the "
            f".pth file of torchvision's {name}, True or False"
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        raise ValueError(
            f"imagenet_weights names {path}, which holds no weights "
            f"({type(error).__name__}); expected the .pth file of "
            f"torchvision's {name}: get it again"
        ) from error


def trunk_state(state: dict) -> dict:
    """State of a DenseNet's ``features`` from that of the whole model.

    Arguments
    ---------
    state : dict
        Of a torchvision DenseNet; torchvision's own files name the layers
        ``norm.1`` that its code names ``norm1``.

    Returns
    -------
    dict
    """
    return {
        re.sub(r"\.(norm|conv)\.(?=\d)", r".\1", key[len("features.") :]): value
        for key, value in state.items()
        if key.startswith("features.")
    }


def load_imagenet(trunk: torch.nn.Module, state: dict) -> None:
    """Put ImageNet weights into a trunk with one input channel or three.

    For one channel the first convolution is summed over its three: the same
    output as three equal channels would give. torchvision's per-channel mean
    and deviation are left out, since the images are normalised by us.

    Arguments
    ---------
    trunk : torch.nn.Module
        ``features`` of a torchvision DenseNet.
    state : dict
        State of the whole torchvision model.

    Raises
    ------
    ValueError
        If the weights are those of another model.
    """
    features = trunk_state(state)
    try:
        first = features["conv0.weight"]
        if trunk.conv0.in_channels == 1:
            first = first.sum(dim=1, keepdim=True)
        trunk.load_state_dict({**features, "conv0.weight": first})
    except (KeyError, RuntimeError) as error:
        raise ValueError(
            "the ImageNet weights do not fit the trunk; expected the state of "
            f"a torchvision DenseNet of the same depth: {error}"
        ) from error
