"""A training that numbers cannot spoil, and that says so when they do.

SpeechBrain takes the step of a batch whose gradient is not finite, unless told
otherwise: from then on all weights are NaN, in checkpoints, too.
"""

from __future__ import annotations

import speechbrain as sb
import torch
from speechbrain.utils.logger import get_logger
from torch.nn.modules.batchnorm import _NormBase

logger = get_logger(__name__)

#: What mends a training that diverges.
ADVICE = (
    "Training has diverged, nothing of this step is kept. Lower lr, set "
    "--precision=fp32, or look at the loss's settings (margin); then give the "
    "command again with another output_folder, or with this one after its "
    "folder 'save' is deleted"
)


class GuardedBrain(sb.Brain):
    """Leave out steps whose gradient is not finite; end if they go on.

    What batch normalisation has learnt of such a batch goes, too. After
    ``nonfinite_patience`` (a run option of SpeechBrain) of them one after the
    other, or of losses in an epoch, the training ends with an error that says
    what to try.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.spoilt_steps = 0
        self._norms: list[torch.Tensor] = []
        self._norms_before: list[torch.Tensor] = []

    def on_fit_start(self):
        """Find what batch normalisation learns."""
        super().on_fit_start()
        self._norms = [
            value
            for module in self.modules.modules()
            if isinstance(module, _NormBase)
            for value in (
                module.running_mean,
                module.running_var,
                module.num_batches_tracked,
            )
            if value is not None
        ]
        self._norms_before = [value.clone() for value in self._norms]

    def on_fit_batch_start(self, batch, should_step):
        """Remember what batch normalisation has learnt before the batch."""
        super().on_fit_batch_start(batch, should_step)
        if self._norms:
            torch._foreach_copy_(self._norms_before, self._norms)

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """Forget what batch normalisation learnt of a batch without a loss."""
        super().on_fit_batch_end(batch, outputs, loss, should_step)
        # Not before: the gradient is computed from it.
        if self._norms and not torch.isfinite(loss):
            torch._foreach_copy_(self._norms, self._norms_before)

    def check_loss_isfinite(self, loss: torch.Tensor) -> None:
        """Count losses that are none.

        Arguments
        ---------
        loss : torch.Tensor

        Raises
        ------
        ValueError
            If there were too many in this epoch.
        """
        if torch.isfinite(loss):
            return
        self.nonfinite_count += 1
        logger.warning(
            "step %d: the loss is %s, the step is left out",
            self.step,
            float(loss.detach()),
        )
        if self.nonfinite_count > self.nonfinite_patience:
            raise ValueError(
                f"the loss was not finite in {self.nonfinite_count} steps of "
                f"one epoch. {ADVICE}"
            )

    def optimizers_step(self) -> None:
        """Take a step, unless its gradient would spoil the weights.

        Raises
        ------
        ValueError
            If the gradients of too many steps were not finite.
        """
        # With fp16 they often are not; there the scaler leaves steps out.
        if self.scaler.is_enabled() or self._gradient_is_finite():
            self.spoilt_steps = 0
            self._clip_further_groups()
            super().optimizers_step()
            return
        self.zero_grad(set_to_none=True)
        self.spoilt_steps += 1
        logger.warning(
            "step %d: the gradient is not finite, the step is left out",
            self.step,
        )
        if self.spoilt_steps > self.nonfinite_patience:
            raise ValueError(
                f"the gradients of {self.spoilt_steps} steps one after the "
                f"other were not finite. {ADVICE}"
            )

    def _clip_further_groups(self) -> None:
        """SpeechBrain clips the gradients of each optimiser's first group."""
        # They are scaled still, with fp16.
        most = self.max_grad_norm * self.scaler.get_scale()
        optimizers = self.freeze_optimizers(self.optimizers_dict or {})
        for optimizer in optimizers.values():
            for group in optimizer.param_groups[1:]:
                torch.nn.utils.clip_grad_norm_(group["params"], most)

    def _gradient_is_finite(self) -> bool:
        gradients = [
            weight.grad
            for weight in self.modules.parameters()
            if weight.grad is not None
        ]
        if not gradients:
            return True
        # One number for all of them, which a GPU need wait for once.
        norms = torch._foreach_norm(gradients)
        return bool(torch.stack(norms).isfinite().all())
