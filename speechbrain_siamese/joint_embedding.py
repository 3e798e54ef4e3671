"""Joins what the network has learnt with what needs no labels.

After training: the supervector's mixture is fitted to the training speech, and
its share of the embedding is chosen on the validation trials. Where the
network errs less by itself the share is 0, and the embedding is the network's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from speechbrain.utils.logger import get_logger

from speechbrain_siamese.lobes.features import subtract_mean
from speechbrain_siamese.lobes.windows import cut_windows, valid_frames
from speechbrain_siamese.processing.scoring import MEASURES
from speechbrain_siamese.utils.metrics import eer

if TYPE_CHECKING:
    from speechbrain_siamese.core import SiameseBrain

logger = get_logger(__name__)

#: Windows that the mixture is fitted to; more where there are more speakers.
WINDOWS = 2000

#: Never the whole: enrolled voices are what the network has learnt to tell.
SHARES = np.linspace(0.0, 0.9, 10).round(1)


@torch.no_grad()
def join_supervectors(brain: SiameseBrain) -> dict | None:
    """Fit the encoder's supervectors and choose their share.

    Without labels other than those of the validation trials.

    Arguments
    ---------
    brain : SiameseBrain
        With the best epoch's weights; ``datasets`` and ``trials`` are set.

    Returns
    -------
    dict or None
        ``share``, and ``valid_eer`` by share; None where the encoder has no
        supervectors.
    """
    encoder = brain.raw_modules["embedding_model"]
    supervector = getattr(encoder, "supervector", None)
    if supervector is None:
        return None
    supervector.fit(_training_windows(brain), brain.hparams.seed)
    # Both parts are seen at once, and weighed afterwards.
    supervector.share.fill_(0.5)
    batches = {"batch_size": brain.hparams.eval_batch_size}
    brain.embed(brain.datasets["valid"], batches)
    table = brain.trials["valid"]
    joint = brain.embeddings_of(table)
    error_rates = {}
    for share in SHARES.tolist():
        weights = joint.new_full((joint.shape[1],), share)
        weights[: encoder.embedding_dim] = 1 - share
        scores = MEASURES["cosine"](
            joint * weights.sqrt(), table.enrol, table.test
        )
        error_rates[share] = float(eer(scores, table.labels)[0])
    share = min(error_rates, key=error_rates.get)
    supervector.share.fill_(share)
    logger.info(
        "supervectors get the share %.1f of the embedding: EER on validation "
        "%.1f %%, of the network alone %.1f %%",
        share,
        100 * error_rates[share],
        100 * error_rates[0.0],
    )
    return {"share": share, "valid_eer": error_rates}


def _training_windows(brain) -> torch.Tensor:
    """Images of windows of all training speakers, each bin with mean 0."""
    clips = max(1, WINDOWS // len(brain.train_sampler.rows_of))
    encoder = brain.raw_modules["embedding_model"]
    windows = []
    for wavs in brain.training_clips(brain.datasets["train"], clips):
        feats = brain.raw_modules["compute_features"](wavs)
        windows += [
            cut_windows(image, encoder.window_frames)[0]
            for image in valid_frames(feats, encoder.min_frames)
        ]
    return subtract_mean(torch.cat(windows))
