"""Embed a recording of any length in memory that does not grow with it.

The stock way computes features over the whole file at once; two hours of them
are gigabytes. Here a file is read twice, block by block: first to learn where
it ends and how loud it is, then to encode the frames that count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch

from speechbrain_siamese.lobes.densenet import WINDOWS_AT_ONCE, DenseNetEncoder
from speechbrain_siamese.lobes.features import LogMel
from speechbrain_siamese.lobes.windows import (
    check_frames,
    frame_is_loud,
    frame_power,
    windows_of_pieces,
)


def batches_exactly(model: object) -> bool:
    """Whether a clip has the same embedding alone and in a padded batch.

    Arguments
    ---------
    model : object
        One of SpeechBrain's inference classes, or ours.

    Returns
    -------
    bool
        True where the encoder is ours, which looks at windows, each alone.
    """
    modules = getattr(model, "mods", {})
    return isinstance(
        getattr(modules, "embedding_model", None), DenseNetEncoder
    ) and isinstance(getattr(modules, "compute_features", None), LogMel)


def feature_blocks(
    blocks: Iterable[torch.Tensor], log_mel: LogMel
) -> Iterator[torch.Tensor]:
    """Features of a recording that comes in blocks, as of the whole.

    Arguments
    ---------
    blocks : Iterable[torch.Tensor]
        Consecutive samples, (time,) each.
    log_mel : LogMel

    Yields
    ------
    torch.Tensor
        Consecutive frames, (frames, bins), together those of
        ``log_mel.log_power`` of the joined blocks.

    Example
    -------
    >>> log_mel = LogMel(sample_rate=16000, n_mels=80)
    >>> wav = torch.rand(16000)
    >>> feats = torch.cat([*feature_blocks(wav.split(3000), log_mel)])
    >>> torch.allclose(feats, log_mel.log_power(wav[None])[0], atol=1e-4)
    True
    """
    hop = log_mel.hop_samples
    # Frames next to a cut that look across it.
    reach = -(-log_mel.stft.n_fft // (2 * hop))
    held, done = torch.zeros(0), 0
    for block in blocks:
        held = torch.cat([held.to(block), block])
        whole = len(held) // hop - reach
        if whole > done:
            yield log_mel.log_power(held[None])[0, done:whole]
            done = min(whole, reach)
            held = held[(whole - done) * hop :].clone()
    if len(held) > done * hop:
        yield log_mel.log_power(held[None])[0, done:]


@torch.no_grad()
def embed_in_blocks(
    read: Callable[[], Iterable[np.ndarray]],
    log_mel: LogMel,
    encoder: DenseNetEncoder,
    device: torch.device | str,
) -> torch.Tensor:
    """Embed one recording, block by block.

    Arguments
    ---------
    read : Callable
        Yields the recording's samples in blocks, (samples,) each, float32;
        called twice.
    log_mel : LogMel
        The encoder's features.
    encoder : DenseNetEncoder
        In evaluation mode.
    device : torch.device or str
        Of both.

    Returns
    -------
    torch.Tensor
        What the encoder says of the whole recording, (1, 1, dim).

    Raises
    ------
    ValueError
        If it is silent, or too short to know a voice.
    """

    end = seen = 0

    def sound():
        nonlocal end, seen
        seen = 0
        for block in read():
            loud = np.flatnonzero(block)
            if len(loud):
                end = seen + int(loud[-1]) + 1
            seen += len(block)
            yield torch.from_numpy(block).to(device)

    power = torch.zeros(0, device=device)
    for feats in feature_blocks(sound(), log_mel):
        # A list of small tensors would hold the heap open between the large
        # ones of each block, which would then never be given back.
        power = torch.cat([power, frame_power(feats)])
    if not end:
        raise ValueError(
            "the recording is silent: it holds zeros only, so there is no "
            "voice to know"
        )
    # Zeros at the end are padding, as for the features of a whole file.
    starts = torch.arange(len(power), device=power.device) * log_mel.hop_samples
    keep = starts < end
    check_frames(keep.sum()[None], encoder.min_frames)
    if encoder.silence_range is not None:
        keep = frame_is_loud(power[None], keep[None], encoder.silence_range)[0]
    total, mass = 0.0, 0.0
    for windows, weights in windows_of_pieces(
        _chosen(feature_blocks(sound(), log_mel), keep), encoder.window_frames
    ):
        for lot, own in zip(
            windows.split(WINDOWS_AT_ONCE),
            weights.split(WINDOWS_AT_ONCE),
            strict=True,
        ):
            encoded = encoder.encode_windows(lot)
            # Not as a matrix product, which half precision would round.
            total = total + (own[:, None] * encoded).sum(dim=0)
            mass += float(own.sum())
    return torch.nn.functional.normalize(total / mass, dim=0)[None, None]


def _chosen(
    features: Iterable[torch.Tensor], keep: torch.Tensor
) -> Iterator[torch.Tensor]:
    """The frames that count, of each block that has any."""
    position = 0
    for feats in features:
        own = feats[keep[position : position + len(feats)]]
        position += len(feats)
        if len(own):
            yield own
