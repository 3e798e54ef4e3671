"""Shows an encoder training speech that it computes its statistics from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import speechbrain as sb
import torch
from speechbrain.augment.time_domain import SpeedPerturb
from speechbrain.utils.distributed import ddp_broadcast, if_main_process
from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.draws import Draw, samples_to_draw
from speechbrain_siamese.lobes.windows import cut_windows, valid_frames

if TYPE_CHECKING:
    from speechbrain_siamese.core import SiameseBrain

logger = get_logger(__name__)

#: Windows that are enough, at all speeds together: how voices vary is known
#: from half of them.
WINDOWS = 20_000

#: Windows that are read and described together.
_AT_ONCE = 64


def learn_statistics(brain: SiameseBrain) -> None:
    """Let an encoder compute what it has beside a network that is trained.

    One process of several does it for all.

    Arguments
    ---------
    brain : SiameseBrain
        With ``train_set`` and ``train_sampler``; each of its
        ``statistics_speeds`` (percent, 100 alone where it has none) makes other
        voices of all.
    """
    encoder = brain.raw_modules["embedding_model"]
    # Those of a checkpoint, or of the export that training goes on from, stay.
    if getattr(encoder, "computed", True):
        return
    hparams = brain.hparams
    speeds = getattr(hparams, "statistics_speeds", [100])
    changes = SpeedPerturb(hparams.sample_rate, [*speeds]).resamplers
    if if_main_process():
        samples = samples_to_draw(hparams.window_samples, speeds)
        draws = _draw(brain, WINDOWS // len(changes), samples)
        begun = time.monotonic()
        encoder.fit_statistics(_lots(brain, draws, changes))
        logger.info(
            "the voices' statistics are computed from %d windows, at %d "
            "speed(s), in %.0f s",
            len(draws),
            len(changes),
            time.monotonic() - begun,
        )
    # By way of the CPU: each process has a device of its own.
    state = {key: value.cpu() for key, value in encoder.state_dict().items()}
    encoder.load_state_dict(ddp_broadcast(state))


def _draw(brain: SiameseBrain, most: int, samples: int) -> list[Draw]:
    """Windows of all speakers, as many as their speech fills, mixed."""
    sampler = brain.train_sampler
    generator = np.random.default_rng(brain.hparams.seed)
    # Of one window nothing tells how the voice varies.
    speakers = generator.permutation([*sampler.rows_of])[: max(2, most // 2)]
    lengths = sampler.bounds[:, 1] - sampler.bounds[:, 0]
    filled = {
        name: lengths[sampler.rows_of[name]].sum() / samples
        for name in speakers.tolist()
    }
    share = min(1.0, most / sum(filled.values()))
    draws = [
        draw
        for name, windows in filled.items()
        for draw in sampler.draw_clips(
            name, max(2, int(share * windows)), generator, samples
        )
    ]
    order = generator.permutation(len(draws))[:most]
    return [draws[place] for place in order]


@torch.no_grad()
def _lots(
    brain: SiameseBrain, draws: list[Draw], changes: list
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Windows as training hears them, without noise or masks; speakers."""
    hparams = brain.hparams
    frames = brain.raw_modules["embedding_model"].window_frames
    voices, damaged = {}, 0
    loader = brain.make_dataloader(
        brain.train_set,
        sb.Stage.VALID,
        # It is over before there is a checkpoint.
        ckpt_prefix=None,
        sampler=draws,
        batch_size=_AT_ONCE,
        num_workers=getattr(hparams, "num_workers", 0),
    )
    for batch in loader:
        batch = batch.to(brain.device)
        speakers = batch.spk_id_encoded.data.reshape(-1)
        for number, change in enumerate(changes):
            wavs = change(batch.sig.data)[:, : hparams.window_samples]
            whole = torch.ones(len(wavs), device=wavs.device)
            feats = brain.features(wavs, whole)
            good = feats.isfinite().flatten(1).all(dim=1)
            damaged += int((~good).sum())
            if not good.any():
                continue
            windows, labels = [], []
            for image, speaker in zip(
                valid_frames(feats[good], min_frames=1),
                speakers[good].tolist(),
                strict=True,
            ):
                windows += cut_windows(image, frames)[0]
                voice = (speaker, number)
                # Numbered as they come: not all people may be drawn.
                label = voices.setdefault(voice, len(voices))
                labels += [label] * (len(windows) - len(labels))
            yield torch.stack(windows), torch.tensor(labels)
    if damaged:
        logger.warning(
            "%d of %d windows are left out, which hold NaN or infinite numbers",
            damaged,
            len(draws) * len(changes),
        )
