"""Shows an encoder training speech that it computes its statistics from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import speechbrain as sb
import torch
from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.datasets import WindowDataset
from speechbrain_siamese.dataio.draws import Draw
from speechbrain_siamese.lobes.windows import cut_windows, valid_frames

if TYPE_CHECKING:
    from speechbrain_siamese.core import SiameseBrain

logger = get_logger(__name__)

#: Windows that are enough, at all speeds together: how voices vary is known
#: from half of them.
WINDOWS = 20_000

#: Windows that are read and described together.
_AT_ONCE = 64


def learn_statistics(brain: SiameseBrain, train: WindowDataset) -> None:
    """Let an encoder compute what it has beside a network that is trained.

    Each process of several does the same; the draws follow from the seed.

    Arguments
    ---------
    brain : SiameseBrain
    train : WindowDataset
        The training manifest.
    """
    encoder = brain.raw_modules["embedding_model"]
    if not getattr(encoder, "beside", ()):
        return
    perturb = brain.hparams.speed_perturb
    changes = [None] if perturb is None else [*perturb.resamplers]
    draws = _draw(brain, WINDOWS // len(changes))
    logger.info(
        "the voices' statistics are computed from %d windows%s",
        len(draws),
        "" if perturb is None else f", at {len(changes)} speeds each",
    )
    encoder.fit_statistics(_lots(brain, train, draws, changes))


def _draw(brain: SiameseBrain, most: int) -> list[Draw]:
    """Windows of all speakers, as many as their speech fills, mixed."""
    sampler = brain.train_sampler
    generator = np.random.default_rng(brain.hparams.seed)
    lengths = sampler.bounds[:, 1] - sampler.bounds[:, 0]
    filled = lengths / sampler.window_samples
    share = min(1.0, most / filled.sum())
    draws = [
        draw
        for speaker, rows in sampler.rows_of.items()
        for draw in sampler.draw_clips(
            speaker,
            # Of one window nothing tells how the voice varies.
            max(2, round(share * filled[rows].sum())),
            generator,
        )
    ]
    return [draws[place] for place in generator.permutation(len(draws))]


@torch.no_grad()
def _lots(
    brain: SiameseBrain, train: WindowDataset, draws: list[Draw], changes: list
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Windows as training hears them, without noise or masks; speakers."""
    modules, hparams = brain.raw_modules, brain.hparams
    encoder = modules["embedding_model"]
    voices = len(brain.train_sampler.rows_of)
    loader = brain.make_dataloader(
        train, sb.Stage.VALID, sampler=draws, batch_size=_AT_ONCE
    )
    for batch in loader:
        batch = batch.to(brain.device)
        speakers = batch.spk_id_encoded.data.reshape(-1)
        for number, change in enumerate(changes):
            wavs = batch.sig.data if change is None else change(batch.sig.data)
            feats = modules["compute_features"](
                wavs[:, : hparams.window_samples]
            )
            images = valid_frames(feats, min_frames=1)
            cut = [
                cut_windows(image, encoder.window_frames)[0] for image in images
            ]
            # At another speed it is another voice's, as in training.
            apart = number * voices if hparams.speed_voices else 0
            yield (
                torch.cat(cut),
                (speakers + apart).repeat_interleave(
                    torch.tensor([len(own) for own in cut], device=brain.device)
                ),
            )
