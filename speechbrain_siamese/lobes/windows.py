"""Cut spectrogram images into windows of the training length.

Inference has to see what training saw: a recording of any length becomes
windows of one fixed length, each looked at alone, whose embeddings are
averaged. All functions are pure and treat each item of a batch by itself, so
that an embedding does not depend on what else is in the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from speechbrain_siamese.lobes.features import frame_is_valid


def frame_is_loud(
    feats: torch.Tensor, valid: torch.Tensor, range_db: float, context: int = 10
) -> torch.Tensor:
    """Tell speech from pauses by the power of each frame.

    The level of the item is the 95th percentile of its valid frames, which a
    click cannot move and a pause cannot lower.

    Arguments
    ---------
    feats : torch.Tensor
        Log-mel power (natural logarithm), (batch, frames, bins).
    valid : torch.Tensor
        Real frames, (batch, frames), bool.
    range_db : float
        Frames more than this many decibels below the item's level are quiet.
    context : int
        Frames kept on both sides of a loud one. At 10 ms a frame the default
        is the silence that preparation keeps, so that inference sees pauses
        of the length that training saw.

    Returns
    -------
    torch.Tensor
        True where a frame is valid and loud, (batch, frames), bool.
    """
    power = torch.logsumexp(feats, dim=-1)
    level = torch.stack(
        [
            item[keep].quantile(0.95) if keep.any() else item.max()
            for item, keep in zip(power, valid, strict=True)
        ]
    )
    loud = power > level[:, None] - range_db * math.log(10) / 10
    near = torch.nn.functional.max_pool1d(
        (loud & valid).to(feats.dtype)[:, None],
        kernel_size=2 * context + 1,
        stride=1,
        padding=context,
    )
    return (near[:, 0] > 0) & valid


def window_starts(frames: int, window: int) -> list[int]:
    """First frame of each window over a recording, the last aligned to the end.

    Arguments
    ---------
    frames : int
        Frames of the recording, at least ``window``.
    window : int
        Frames of a window.

    Returns
    -------
    list of int

    Example
    -------
    >>> window_starts(500, 200)
    [0, 200, 300]
    """
    starts = list(range(0, frames - window + 1, window))
    if starts[-1] + window < frames:
        starts.append(frames - window)
    return starts


def cut_windows(
    image: torch.Tensor, window: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut one recording's image into windows.

    An image shorter than a window is repeated until it fills one.

    Arguments
    ---------
    image : torch.Tensor
        Valid frames of one recording, (frames, bins), at least one frame.
    window : int
        Frames of a window.

    Returns
    -------
    windows : torch.Tensor
        (windows, window, bins)
    weights : torch.Tensor
        Frames that each window is the first to hold, (windows,); the last one
        overlaps its neighbour and counts only for what it adds.

    Example
    -------
    >>> windows, weights = cut_windows(torch.arange(5.0)[:, None], window=2)
    >>> windows[:, :, 0]
    tensor([[0., 1.],
            [2., 3.],
            [3., 4.]])
    >>> weights
    tensor([2., 2., 1.])
    """
    frames = image.shape[0]
    if frames < window:
        repeats = -(-window // frames)
        tiled = image.repeat(repeats, 1)[:window]
        return tiled[None], image.new_tensor([float(frames)])
    starts = window_starts(frames, window)
    windows = torch.stack([image[start : start + window] for start in starts])
    ends = torch.tensor([0] + [start + window for start in starts])
    return windows, ends.diff().to(image)


def valid_frames(
    feats: torch.Tensor, min_frames: int, silence_range: float | None = None
) -> list[torch.Tensor]:
    """Real (and loud) frames of each item of a batch, without its padding.

    Arguments
    ---------
    feats : torch.Tensor
        Images, (batch, frames, bins), padding marked by the feature module.
    min_frames : int
        Items with fewer real frames are refused.
    silence_range : float or None
        Decibels; quieter frames are left out, see ``frame_is_loud``. None
        keeps all.

    Returns
    -------
    list of torch.Tensor
        (frames, bins) each.

    Raises
    ------
    ValueError
        If an item is too short.
    """
    valid = frame_is_valid(feats)
    counts = valid.sum(dim=1)
    if int(counts.min()) < min_frames:
        item = int(counts.argmin())
        raise ValueError(
            f"item {item} of the batch has {int(counts[item])} frames of "
            f"sound, expected at least {min_frames}: the clip is too short to "
            "know a voice from it"
        )
    if silence_range is not None:
        valid = frame_is_loud(feats, valid, silence_range)
    return [image[keep] for image, keep in zip(feats, valid, strict=True)]


def mean_over_windows(
    images: Sequence[torch.Tensor],
    window_frames: int,
    encode: Callable[[torch.Tensor], torch.Tensor],
    at_once: int | None,
) -> torch.Tensor:
    """Average the embeddings of each item's windows by the frames they add.

    Arguments
    ---------
    images : Sequence[torch.Tensor]
        Valid frames of each item, (frames, bins).
    window_frames : int
        Frames of a window.
    encode : Callable
        (windows, window_frames, bins) to (windows, dim), each alone.
    at_once : int or None
        Windows that are encoded together; None for all.

    Returns
    -------
    torch.Tensor
        (items, dim)
    """
    pieces = [cut_windows(image, window_frames) for image in images]
    windows = torch.cat([own for own, _ in pieces])
    encoded = torch.cat(
        [encode(lot) for lot in windows.split(at_once or len(windows))]
    )
    parts = encoded.split([len(weights) for _, weights in pieces])
    return torch.stack(
        [
            (weights[:, None] * own).sum(dim=0) / weights.sum()
            for (_, weights), own in zip(pieces, parts, strict=True)
        ]
    )
