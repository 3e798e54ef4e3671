"""Learning rate: linear warm-up, then polynomial decay to the end of training.

SpeechBrain has warm-up and many decays, but no polynomial one, and none that
can follow the clock: with ``max_minutes`` the decay has to reach its end when
the time does.
"""

from __future__ import annotations

import torch
from speechbrain.utils import checkpoints


def polynomial_lr(
    lr: float, step: int, warmup_steps: int, progress: float, power: float
) -> float:
    """Learning rate at one moment of the training.

    Arguments
    ---------
    lr : float
        Peak learning rate.
    step : int
        Steps done.
    warmup_steps : int
        Steps of linear growth from ``lr / warmup_steps``.
    progress : float
        Share of the training that is over, 0 to 1.
    power : float
        Exponent of the decay; 1 is linear.

    Returns
    -------
    float

    Example
    -------
    >>> polynomial_lr(1.0, step=4, warmup_steps=10, progress=0.0, power=1.0)
    0.5
    >>> polynomial_lr(1.0, step=50, warmup_steps=10, progress=0.75, power=1.0)
    0.25
    """
    warmup = min(1.0, (step + 1) / max(1, warmup_steps))
    return lr * warmup * (1.0 - min(1.0, progress)) ** power


@checkpoints.register_checkpoint_hooks
class PolynomialDecay:
    """Set the learning rate of every step by ``polynomial_lr``.

    Arguments
    ---------
    lr : float
        Peak learning rate.
    warmup_steps : int
        Steps of linear growth.
    power : float
        Exponent of the decay.

    Example
    -------
    >>> schedule = PolynomialDecay(lr=0.1, warmup_steps=2)
    >>> weights = torch.nn.Parameter(torch.zeros(1))
    >>> optimizer = torch.optim.Adam([weights], lr=0.1)
    >>> schedule(optimizer, progress=0.0)
    0.05
    >>> schedule(optimizer, progress=0.5)
    0.05
    """

    def __init__(self, lr: float, warmup_steps: int = 100, power: float = 1.0):
        if not (lr > 0 and warmup_steps >= 0 and power >= 0):
            raise ValueError(
                f"lr is {lr}, warmup_steps {warmup_steps}, power {power}: "
                "expected lr above 0 and the others not below 0"
            )
        self.lr = lr
        self.warmup_steps = warmup_steps
        self.power = power
        self.steps = 0

    def __call__(
        self, optimizer: torch.optim.Optimizer, progress: float
    ) -> float:
        """Set the learning rate of the step to come.

        Arguments
        ---------
        optimizer : torch.optim.Optimizer
            Its groups' learning rates are set; a group with ``lr_factor``
            gets that share.
        progress : float
            Share of the training that is over, 0 to 1.

        Returns
        -------
        float
            The learning rate.
        """
        lr = polynomial_lr(
            self.lr, self.steps, self.warmup_steps, progress, self.power
        )
        # Not by SpeechBrain's update_learning_rate: it logs a line a step.
        for group in optimizer.param_groups:
            group["lr"] = lr * group.get("lr_factor", 1.0)
        self.steps += 1
        return lr

    @checkpoints.mark_as_saver
    def save(self, path):
        """Save the number of steps done."""
        torch.save({"steps": self.steps}, path)

    @checkpoints.mark_as_loader
    def load(self, path, end_of_epoch=False):
        """Load the number of steps done."""
        del end_of_epoch
        self.steps = torch.load(path, weights_only=True)["steps"]
