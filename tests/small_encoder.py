"""A small encoder with random weights, and sound for it to hear."""

from __future__ import annotations

import numpy as np
import torch

from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.features import LogMel

RATE = 16000


def features() -> LogMel:
    """What ``encoder`` looks at."""
    return LogMel(sample_rate=RATE, n_mels=40)


def encoder(
    silence_range: float | None,
    kind: type[DenseNetEncoder] = DenseNetEncoder,
) -> DenseNetEncoder:
    """The same weights every time."""
    torch.manual_seed(0)
    return kind(
        n_mels=40,
        window_len=0.5,
        embedding_dim=16,
        growth_rate=4,
        blocks=[1, 1, 1, 1],
        silence_range=silence_range,
    ).eval()


def sound(samples: int, seed: int = 0) -> np.ndarray:
    """Noise in bursts with pauses 60 dB below, (samples,), float32."""
    noise = np.random.default_rng(seed).standard_normal(samples)
    bursts = np.where(np.sin(np.arange(samples) / 2500) > -0.3, 0.1, 1e-4)
    return (noise * bursts).astype(np.float32)
