"""The encoder of the two-tower design of 2023, as it was published.

Spectrograms are pictures of three channels, DenseNet121 sees them with its
ImageNet weights, its flattened feature maps are the embedding: no projection,
no unit length. Both towers share their weights, so one encoder is both.
"""

from __future__ import annotations

import torch
import torchvision
from torch.nn import functional as F

from speechbrain_siamese.lobes.imagenet import imagenet_state, load_imagenet
from speechbrain_siamese.lobes.windows import WindowEncoder

#: Colours of a picture.
_CHANNELS = 3


def as_picture(windows: torch.Tensor) -> torch.Tensor:
    """Turn log-mel windows into pictures as a file would hold them.

    Arguments
    ---------
    windows : torch.Tensor
        (windows, frames, bins)

    Returns
    -------
    torch.Tensor
        Time to the right, pitch upwards, from 0 (the darkest point of the
        window) to 1 (its brightest), three equal channels; 0 where a window
        has no contrast. (windows, 3, bins, frames)

    Example
    -------
    >>> as_picture(torch.tensor([[[-4.0, -2.0], [0.0, -4.0]]]))[0, 2]
    tensor([[0.5000, 0.0000],
            [0.0000, 1.0000]])
    """
    darkest = windows.amin(dim=(1, 2), keepdim=True)
    contrast = windows.amax(dim=(1, 2), keepdim=True) - darkest
    scaled = (windows - darkest) / contrast.clamp(min=1e-6)
    picture = scaled.mT.flip(1).unsqueeze(1)
    return picture.expand(-1, _CHANNELS, -1, -1)


class TwoTowerEncoder(WindowEncoder):
    """Encode spectrogram images as the flattened maps of a DenseNet121.

    The embeddings have any length; their Euclidean distance is what the design
    decides by.

    Arguments
    ---------
    n_mels : int
        Bins of the images; at least 32, since the trunk halves five times.
    window_len : float
        Seconds of a window: what training saw.
    hop_length : float
        Milliseconds between the images' frames.
    imagenet_weights : bool or str
        Start from torchvision's ImageNet weights: True, or a local file.
    min_len : float
        Seconds; items with less are refused: too short to know a voice.

    Attributes
    ----------
    embedding_dim : int
        Size of a window's flattened feature maps.
    start : str
        ``ImageNet`` or ``random start``: what tables call a model by.

    Example
    -------
    >>> encoder = TwoTowerEncoder(n_mels=32, window_len=1.0, hop_length=20.0)
    >>> encoder(torch.rand(2, 70, 32), torch.ones(2)).shape
    torch.Size([2, 1, 1024])
    >>> encoder.start
    'random start'
    """

    def __init__(
        self,
        n_mels: int = 128,
        window_len: float = 2.972,
        hop_length: float = 23.22,
        imagenet_weights: bool | str = False,
        min_len: float = 0.4,
    ):
        super().__init__(n_mels, window_len, hop_length, min_len)
        self.trunk = torchvision.models.densenet121(weights=None).features
        self.start = "ImageNet" if imagenet_weights else "random start"
        if imagenet_weights:
            load_imagenet(self.trunk, imagenet_state(121, imagenet_weights))
        # Two of the five halvings round up: 63 bins leave 2.
        rows, columns = (
            -(-size // 4) // 8 for size in (n_mels, self.window_frames)
        )
        self.embedding_dim = self.trunk.norm5.num_features * rows * columns
        # What torchvision's weights were trained with.
        picture = torchvision.models.DenseNet121_Weights.DEFAULT.transforms()
        for name in ("mean", "std"):
            colours = torch.tensor(getattr(picture, name)).view(-1, 1, 1)
            self.register_buffer(f"picture_{name}", colours, persistent=False)
        # Channels last is what the fast convolutions of CPUs and GPUs want.
        self.trunk.to(memory_format=torch.channels_last)

    def encode_windows(self, windows: torch.Tensor) -> torch.Tensor:
        """Encode windows of the training length, each alone.

        Arguments
        ---------
        windows : torch.Tensor
            (windows, window_frames, bins)

        Returns
        -------
        torch.Tensor
            Flattened feature maps, (windows, embedding_dim), float32.
        """
        pictures = (as_picture(windows) - self.picture_mean) / self.picture_std
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        return F.relu(self.trunk(pictures)).flatten(1).float()
