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
from speechbrain.lobes.models.ECAPA_TDNN import AttentiveStatisticsPooling
from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper

from speechbrain_siamese.lobes.ensemble import DenseNetEnsemble
from speechbrain_siamese.nnet.losses import ContrastiveLoss

#: Sizes that hparams/siamese.yaml has.
EMBEDDING, GROWTH, BLOCKS, WINDOW, RATE = 192, 16, (2, 4, 8, 6), 2.0, 16000


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


class Memory(torch.nn.Module):
    """Pairs with the clips of the last 16 batches (Wang et al. 2020)."""

    def __init__(self):
        super().__init__()
        self.queue = losses.CrossBatchMemory(
            losses.ContrastiveLoss(0.0, 1.2), EMBEDDING, memory_size=16 * 64
        )

    def forward(self, embeddings, labels):
        """As ``ContrastiveLoss``."""
        return self.queue(embeddings, labels)


class GrowingMargin(LogSoftmaxWrapper):
    """AAM-softmax whose margin grows from 0.2 to 0.5 with the steps.

    Large-margin fine-tuning (Thienpondt et al. 2021) inside one training.
    """

    def __init__(self, first: int = 250, last: int = 400):
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
    """Clips of 1 s up to the whole window, one length a batch."""

    def __init__(self):
        super().__init__(min_augmentations=0, max_augmentations=0)

    def forward(self, x, lengths):
        """Waveforms (batch, time), less of them."""
        return x[:, : random.randint(RATE, x.shape[1])], lengths


class OtherPooling(DenseNetEnsemble):
    """The recommended encoder, for those that pool otherwise."""

    def __init__(self):
        super().__init__(
            window_len=WINDOW,
            embedding_dim=EMBEDDING,
            growth_rate=GROWTH,
            blocks=BLOCKS,
            silence_range=50.0,
        )


class AttentivePooling(OtherPooling):
    """The DenseNet, whose pooling weighs the frames by what it sees.

    As ECAPA-TDNN's (Desplanques et al. 2020), for every channel and bin.
    """

    def __init__(self):
        super().__init__()
        series = self.pooled_norm.num_features // 2
        self.pooling = AttentiveStatisticsPooling(series)

    def pool(self, maps):
        """As the encoder's own."""
        series = maps.permute(0, 1, 3, 2).flatten(1, 2)
        return self.pooling(series).squeeze(-1)


class BinsAveraged(OtherPooling):
    """The DenseNet, whose pooling does not know low bins from high ones."""

    def __init__(self):
        super().__init__()
        pooled = 2 * self.trunk.norm5.num_features
        self.pooled_norm = torch.nn.BatchNorm1d(pooled)
        self.projection = torch.nn.Linear(pooled, EMBEDDING)

    def pool(self, maps):
        """As the encoder's own, of the mean over the bins."""
        return super().pool(maps.mean(dim=3, keepdim=True))
