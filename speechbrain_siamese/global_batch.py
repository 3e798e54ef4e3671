"""Several processes that train as one with the whole batch.

SpeechBrain lets each process learn from batches of its own, and takes the
mean of the gradients. A loss over pairs would miss the pairs across
processes, and batch normalisation would see a part only.
"""

from __future__ import annotations

import time

import speechbrain as sb
import torch
from speechbrain.utils.distributed import ddp_broadcast

from speechbrain_siamese.nnet.global_batch_norm import share_batch_norm


class GlobalBatchBrain(sb.Brain):
    """Let the processes of ``torchrun`` share each batch.

    The sampler yields this process's share by itself (``WindowSampler``), the
    loss joins what was encoded (``nnet.gather.gather_batch``).

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

    def start_clock(self, seconds: float) -> None:
        """Begin to count time.

        Arguments
        ---------
        seconds : float
            What was spent before.
        """
        self._started = time.monotonic() - seconds

    def seconds_spent(self) -> float:
        """Seconds by the main process's clock, the same in all processes.

        Learning rate and end of a training follow from it.
        """
        return ddp_broadcast(time.monotonic() - self._started)
