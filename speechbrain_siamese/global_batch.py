"""Several processes that train as one with the whole batch.

SpeechBrain lets each process learn from batches of its own, and takes the
mean of the gradients. A loss over pairs would miss the pairs across
processes, and batch normalisation would see a part only.
"""

from __future__ import annotations

import random
import time

import numpy as np
import torch
from speechbrain.utils.distributed import ddp_broadcast
from torch.nn.parallel import DistributedDataParallel

from speechbrain_siamese.guarded_brain import GuardedBrain
from speechbrain_siamese.nnet.gather import rank_and_world_size
from speechbrain_siamese.nnet.global_batch_norm import share_batch_norm


class GlobalBatchBrain(GuardedBrain):
    """Let the processes of ``torchrun`` share each batch.

    The sampler yields this process's share by itself (``WindowSampler``), the
    loss joins what was encoded (``nnet.gather.gather_batch``).
    Hyperparameters: ``history``, ``max_minutes``.

    Attributes
    ----------
    raw_modules : torch.nn.ModuleDict
        The modules themselves: with ``torchrun`` and ``--compile`` those in
        ``modules`` are wrapped, which changes names in them, and a process
        alone cannot call them.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.raw_modules = torch.nn.ModuleDict(dict(self.modules.items()))

    def _train_loader_specifics(self, dataset, loader_kwargs):
        """Leave the sampler as it is: SpeechBrain would deal whole batches."""
        del dataset
        return loader_kwargs

    def _wrap_distributed(self):
        """Take statistics over all processes, also on CPUs and if frozen."""
        if self.distributed_launch:
            for module in self.raw_modules.values():
                if self.device_type == "cpu":
                    share_batch_norm(module)
                else:
                    torch.nn.SyncBatchNorm.convert_sync_batchnorm(module)
        super()._wrap_distributed()
        for module in self.modules.values():
            # They are the same already: sending them with each step is slow.
            if isinstance(module, DistributedDataParallel):
                module.broadcast_buffers = False

    def start_clock(self) -> None:
        """Begin to count time, on top of that of the training before."""
        self._started = time.monotonic() - self.hparams.history.seconds

    def read_clock(self) -> None:
        """Note the time spent, by the main process's clock in all of them.

        Learning rate and end of a training may follow from it.
        """
        spent = ddp_broadcast(time.monotonic() - self._started)
        self.hparams.history.seconds = spent

    def out_of_time(self) -> bool:
        """Whether ``max_minutes`` are over."""
        minutes = self.hparams.max_minutes
        return bool(minutes) and self.hparams.history.seconds >= 60 * minutes

    @property
    def _optimizer_step_limit_exceeded(self):
        """End the epoch, and then the training, when the time is over."""
        return self.out_of_time() or super()._optimizer_step_limit_exceeded


def seed_step(seed: int, epoch: int, step: int) -> None:
    """Set every random state for one step, another one in each process.

    Arguments
    ---------
    seed : int
    epoch : int
    step : int
    """
    rank, _ = rank_and_world_size()
    # With rank 0 the same as without: NumPy fills up with zeros.
    sequence = np.random.SeedSequence([seed, epoch, step, rank])
    state = int(sequence.generate_state(1)[0])
    random.seed(state)
    np.random.seed(state)
    torch.manual_seed(state)
