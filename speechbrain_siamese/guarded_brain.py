"""A training that numbers cannot spoil, and that says so when they do.

SpeechBrain takes the step of a batch whose gradient is not finite, unless told
otherwise: from then on all weights are NaN, in checkpoints, too.
"""

from __future__ import annotations

import speechbrain as sb
import torch
from speechbrain.utils.logger import get_logger

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

    After ``nonfinite_patience`` (a run option of SpeechBrain) of them one
    after the other, or of losses in an epoch, the training ends with an error
    that says what to try.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.spoilt_steps = 0

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
