"""DenseNet speaker encoder: from spectrogram images to unit-length embeddings.

The trunk is torchvision's DenseNet (Huang et al. 2017, "Densely connected
convolutional networks"), read here from small to large: which depths there
are, pooling over time, the encoder.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torchvision
from torch.nn import functional as F

from speechbrain_siamese.lobes.features import subtract_mean
from speechbrain_siamese.lobes.folded_trunk import FoldedTrunk
from speechbrain_siamese.lobes.imagenet import imagenet_state, load_imagenet
from speechbrain_siamese.lobes.windows import WindowEncoder
from speechbrain_siamese.utils.ranges import check_range

#: The depths that torchvision has, by their number of layers: maps that each
#: layer adds, layers of each block.
DEPTHS = {
    121: (32, (6, 12, 24, 16)),
    161: (48, (6, 12, 36, 24)),
    169: (32, (6, 12, 32, 32)),
    201: (32, (6, 12, 48, 32)),
}


def mean_and_deviation(maps: torch.Tensor) -> torch.Tensor:
    """Pool feature maps over time (statistics pooling, Snyder et al. 2018).

    SpeechBrain's ``StatisticsPooling`` adds noise at inference too, which an
    embedding that has to be the same every time cannot have.

    Arguments
    ---------
    maps : torch.Tensor
        (batch, channels, frames, bins)

    Returns
    -------
    torch.Tensor
        Mean and standard deviation over the frames of every channel and bin,
        (batch, 2 * channels * bins).
    """
    mean = maps.mean(dim=2, keepdim=True)
    # Faster than var(), which takes the frames one by one.
    variance = (maps - mean).square().mean(dim=2)
    deviation = (variance + 1e-5).sqrt()
    return torch.cat([mean.flatten(1), deviation.flatten(1)], dim=-1)


def narrow_trunk(
    depth: int,
    growth_rate: int | None = None,
    blocks: Sequence[int] | None = None,
) -> torch.nn.Module:
    """Build the layers of a DenseNet below its pooling, for one channel.

    Arguments
    ---------
    depth : int
        One of ``DEPTHS``.
    growth_rate : int or None
        Maps that each layer adds; None for what the depth says.
    blocks : Sequence[int] or None
        Layers of each of the four blocks; None for what the depth says.

    Returns
    -------
    torch.nn.Module
        ``features`` of torchvision's ``DenseNet``, whose ``conv0`` takes 1
        channel.

    Raises
    ------
    ValueError
        If torchvision has no such depth, or a number is out of its range.

    Example
    -------
    >>> trunk = narrow_trunk(121, growth_rate=16, blocks=[2, 4, 6, 4])
    >>> trunk(torch.rand(1, 1, 64, 64)).shape
    torch.Size([1, 136, 2, 2])
    """
    if depth not in DEPTHS:
        raise ValueError(f"depth is {depth}, expected one of {list(DEPTHS)}")
    own_growth, own_blocks = DEPTHS[depth]
    growth = own_growth if growth_rate is None else growth_rate
    blocks = own_blocks if blocks is None else blocks
    check_range("growth_rate", growth, 1, 1000, whole=True)
    if len(blocks) != len(own_blocks):
        raise ValueError(
            f"blocks is {list(blocks)}, expected {len(own_blocks)} numbers of "
            "layers"
        )
    for layers in blocks:
        check_range("blocks", layers, 1, 1000, whole=True)
    trunk = torchvision.models.DenseNet(growth, blocks, 2 * growth).features
    trunk.conv0 = torch.nn.Conv2d(
        1, 2 * growth, kernel_size=7, stride=2, padding=3, bias=False
    )
    torch.nn.init.kaiming_normal_(trunk.conv0.weight)
    return trunk


class DenseNetEncoder(WindowEncoder):
    """Encode spectrogram images of any length as unit-length embeddings.

    Each bin's mean over a window is subtracted.

    Arguments
    ---------
    n_mels : int
        Bins of the images; at least 32, since the trunk halves five times.
    window_len : float
        Seconds of a window: what training saw.
    hop_length : float
        Milliseconds between the images' frames.
    embedding_dim : int
        Numbers in an embedding.
    depth : int
        Layers of the trunk, one of ``DEPTHS``.
    growth_rate : int or None
        Maps that each layer adds; None for what the depth says.
    blocks : Sequence[int] or None
        Layers of each of the four blocks; None for what the depth says. Fewer
        and narrower layers are another trunk, for which ImageNet weights
        cannot be had.
    imagenet_weights : bool or str
        Start from torchvision's ImageNet weights: True, or a local file.
    min_len : float
        Seconds; items with less are refused: too short to know a voice.
    silence_range : float or None
        At inference, frames quieter than this many decibels below the item's
        level are left out, as preparation does with the training data. None
        keeps all.

    Example
    -------
    >>> encoder = DenseNetEncoder(n_mels=32, window_len=0.64)
    >>> encoder(torch.rand(2, 150, 32), torch.ones(2)).shape
    torch.Size([2, 1, 192])
    """

    def __init__(
        self,
        n_mels: int = 80,
        window_len: float = 2.0,
        hop_length: float = 10.0,
        embedding_dim: int = 192,
        depth: int = 121,
        growth_rate: int | None = None,
        blocks: Sequence[int] | None = None,
        imagenet_weights: bool | str = False,
        min_len: float = 0.4,
        silence_range: float | None = None,
    ):
        super().__init__(n_mels, window_len, hop_length, min_len, silence_range)
        self.trunk = narrow_trunk(depth, growth_rate, blocks)
        check_range("embedding_dim", embedding_dim, 1, 100_000, whole=True)
        self.embedding_dim = embedding_dim
        if imagenet_weights:
            load_imagenet(self.trunk, imagenet_state(depth, imagenet_weights))
        # Two of the five halvings round up: 63 bins leave 2.
        pooled = 2 * self.trunk.norm5.num_features * (-(-n_mels // 4) // 8)
        self.pooled_norm = torch.nn.BatchNorm1d(pooled)
        self.projection = torch.nn.Linear(pooled, embedding_dim)
        self._folded: FoldedTrunk | None = None
        # Channels last is what the fast convolutions of CPUs and GPUs want.
        self.to(memory_format=torch.channels_last)

    def forward(
        self, feats: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Encode a batch of images.

        Arguments
        ---------
        feats, lengths
            As for ``WindowEncoder``.

        Returns
        -------
        torch.Tensor
            Embeddings of length 1, (batch, 1, embedding_dim).

        Raises
        ------
        ValueError
            If an item has less than ``min_len`` of sound.
        """
        return F.normalize(super().forward(feats, lengths), dim=-1)

    def encode_windows(self, windows: torch.Tensor) -> torch.Tensor:
        """Encode windows of the training length, each alone.

        Arguments
        ---------
        windows : torch.Tensor
            (windows, window_frames, bins)

        Returns
        -------
        torch.Tensor
            Embeddings of length 1, (windows, embedding_dim), float32.
        """
        images = subtract_mean(windows).unsqueeze(1)
        images = images.contiguous(memory_format=torch.channels_last)
        maps = F.relu(self._maps(images))
        # Statistics and length in full precision, also under autocast.
        with torch.autocast(maps.device.type, enabled=False):
            pooled = self.pooled_norm(self.pool(maps.float()))
            return F.normalize(self.projection(pooled), dim=-1)

    def pool(self, maps: torch.Tensor) -> torch.Tensor:
        """What is kept of the feature maps; other encoders pool otherwise.

        Arguments
        ---------
        maps : torch.Tensor
            (windows, channels, frames, bins)

        Returns
        -------
        torch.Tensor
            (windows, 2 * channels * bins)
        """
        return mean_and_deviation(maps)

    def _maps(self, images: torch.Tensor) -> torch.Tensor:
        """What the trunk gives; by its folded copy where nothing is learnt."""
        learns = torch.is_grad_enabled() and any(
            weight.requires_grad for weight in self.trunk.parameters()
        )
        if self.training or learns or torch.compiler.is_compiling():
            return self.trunk(images)
        kind = images.device.type
        dtype = (
            torch.get_autocast_dtype(kind)
            if torch.is_autocast_enabled(kind)
            else self.trunk.conv0.weight.dtype
        )
        if self._folded is None or not self._folded.fits(self.trunk, dtype):
            self._folded = FoldedTrunk(self.trunk, dtype)
        return self._folded(images)

    def __getstate__(self) -> dict:
        """Without the folded copy, which is made again where it is needed."""
        return {**self.__dict__, "_folded": None}
