"""What a resumed training has to know of the time before."""

from __future__ import annotations

import torch
from speechbrain.utils import checkpoints


@checkpoints.register_checkpoint_hooks
class TrainingHistory:
    """What a resumed training has to know of the time before.

    Attributes
    ----------
    epochs : list of dict
        Figures of each finished epoch.
    sums : dict of str : float
        Running sums of the epoch under way.
    seconds : float
        Time spent in training steps and validation so far.
    """

    def __init__(self):
        self.epochs: list[dict] = []
        self.sums: dict[str, float] = {}
        self.seconds = 0.0

    @checkpoints.mark_as_saver
    def save(self, path):
        """Save as tensors, numbers and strings."""
        torch.save(vars(self), path)

    @checkpoints.mark_as_loader
    def load(self, path, end_of_epoch=False):
        """Load what ``save`` wrote."""
        del end_of_epoch
        vars(self).update(torch.load(path, weights_only=True))
