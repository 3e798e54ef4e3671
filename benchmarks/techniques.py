"""What choices.py tries that the recommended YAML file does not have.

Classes without arguments, so that a setting can name them. What pays moves
into the package; what does not stays out of it.
"""

from __future__ import annotations

import random

import torch
from pytorch_metric_learning import losses
from pytorch_metric_learning.miners import TripletMarginMiner
from pytorch_metric_learning.utils.loss_and_miner_utils import convert_to_pairs
from speechbrain.augment.augmenter import Augmenter
from speechbrain.augment.freq_domain import SpectrogramDrop
from speechbrain.lobes.models.ECAPA_TDNN import AttentiveStatisticsPooling
from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper

from speechbrain_siamese.lobes import densenet
from speechbrain_siamese.lobes.features import subtract_mean
from speechbrain_siamese.nnet.losses import ContrastiveLoss

#: Sizes that hparams/siamese.yaml has.
EMBEDDING, GROWTH, BLOCKS, WINDOW = 192, 16, (4, 8, 16, 12), 2.0


class MarginsPerSide(ContrastiveLoss):
    """Similar pairs cost nothing below a distance either."""

    def __init__(self):
        super().__init__(margin=1.2, balanced=True)

    def over_pairs(self, distances, same):
        """As without, of distances that are too large by so much."""
        near = (distances - 0.4).clamp(min=0.0)
        return super().over_pairs(torch.where(same, near, distances), same)


class Mined(ContrastiveLoss):
    """Takes the pairs that a miner picks."""

    def __init__(self):
        super().__init__(margin=1.2, balanced=True)

    def forward(self, embeddings, labels, indices_tuple=None):
        """``indices_tuple`` as miners of pytorch_metric_learning give it."""
        first, alike, other, unlike = convert_to_pairs(indices_tuple, labels)
        distances = torch.linalg.vector_norm(
            embeddings[torch.cat([first, other])]
            - embeddings[torch.cat([alike, unlike])],
            dim=-1,
        )
        same = torch.arange(len(distances)) < len(first)
        return self.over_pairs(distances, same)


class SemiHard(TripletMarginMiner):
    """Others who are further than the own voice, by less than the margin."""

    def __init__(self):
        super().__init__(margin=0.3, type_of_triplets="semihard")


class Memory(losses.CrossBatchMemory):
    """Pairs with the clips of the last 16 batches (Wang et al. 2020)."""

    def __init__(self):
        super().__init__(
            losses.ContrastiveLoss(0.0, 1.2), EMBEDDING, memory_size=16 * 64
        )


class GrowingMargin(LogSoftmaxWrapper):
    """AAM-softmax whose margin grows from 0.2 to 0.5 with the steps.

    Large-margin fine-tuning (Thienpondt et al. 2021) inside one training.
    """

    def __init__(self, first: int = 700, last: int = 1000):
        super().__init__(AdditiveAngularMargin(margin=0.2, scale=30))
        self.first, self.last, self.steps = first, last, 0

    def forward(self, outputs, targets, length=None):
        """As SpeechBrain's, after a step of the margin."""
        self.steps += 1
        share = (self.steps - self.first) / (self.last - self.first)
        margin = 0.2 + 0.3 * min(1.0, max(0.0, share))
        self.loss_fn = AdditiveAngularMargin(margin=margin, scale=30)
        return super().forward(outputs, targets, length)


class MixedLengths(Augmenter):
    """Masks of the YAML file, then clips of 1 s up to the whole window."""

    def __init__(self):
        drops = [
            SpectrogramDrop(
                drop_length_low=low,
                drop_length_high=high,
                drop_count_low=1,
                drop_count_high=2,
                dim=dim,
            )
            for low, high, dim in ((5, 20, 1), (4, 12, 2))
        ]
        super().__init__(
            min_augmentations=2, max_augmentations=2, augmentations=drops
        )

    def forward(self, x, lengths):
        """Feats (batch, frames, bins), fewer of them."""
        x, lengths = super().forward(x, lengths)
        return x[:, : random.randint(100, x.shape[1])], lengths


class AttentivePooling(densenet.DenseNetEncoder):
    """The DenseNet, whose pooling weighs the frames by what it sees.

    As ECAPA-TDNN's (Desplanques et al. 2020), for every channel and bin.
    """

    def __init__(self):
        super().__init__(
            window_len=WINDOW,
            embedding_dim=EMBEDDING,
            growth_rate=GROWTH,
            blocks=BLOCKS,
            silence_range=50.0,
        )
        series = self.pooled_norm.num_features // 2
        self.pooling = AttentiveStatisticsPooling(series)

    def encode_windows(self, windows):
        """As the encoder's own."""
        images = subtract_mean(windows).unsqueeze(1)
        images = images.contiguous(memory_format=torch.channels_last)
        maps = torch.relu(self.trunk(images))
        with torch.autocast(maps.device.type, enabled=False):
            series = maps.float().permute(0, 1, 3, 2).flatten(1, 2)
            pooled = self.pooled_norm(self.pooling(series).squeeze(-1))
            return torch.nn.functional.normalize(
                self.projection(pooled), dim=-1
            )
