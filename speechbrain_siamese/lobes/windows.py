"""Cut spectrogram images into windows of the training length.

Inference has to see what training saw: a recording of any length becomes
windows of one fixed length, each looked at alone, whose embeddings are
averaged. All functions are pure and treat each item of a batch by itself, so
that an embedding does not depend on what else is in the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch

from speechbrain_siamese.lobes.features import frame_is_valid


def frame_power(feats: torch.Tensor) -> torch.Tensor:
    """Power of each frame, of all its bins.

    Arguments
    ---------
    feats : torch.Tensor
        Log-mel power (natural logarithm), (…, frames, bins).

    Returns
    -------
    torch.Tensor
        Natural logarithm, (…, frames).
    """
    return torch.logsumexp(feats, dim=-1)


def frame_is_loud(
    power: torch.Tensor, valid: torch.Tensor, range_db: float, context: int = 10
) -> torch.Tensor:
    """Tell speech from pauses by the power of each frame.

    The level of the item is the 95th percentile of its valid frames, which a
    click cannot move and a pause cannot lower.

    Arguments
    ---------
    power : torch.Tensor
        As ``frame_power`` gives it, (batch, frames).
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
    # The quantile of each item's valid frames, which come last when sorted.
    sizes = valid.sum(dim=1).clamp(min=1)
    ordered = power.masked_fill(~valid, -math.inf).sort(dim=1).values
    rank = 0.95 * (sizes - 1)
    below = power.shape[1] - sizes + rank.floor().long()
    above = (below + 1).clamp(max=power.shape[1] - 1)
    level = torch.lerp(
        ordered.gather(1, below[:, None]),
        ordered.gather(1, above[:, None]),
        rank.frac().to(power.dtype)[:, None],
    )
    loud = power > level - range_db * math.log(10) / 10
    near = torch.nn.functional.max_pool1d(
        (loud & valid).to(power.dtype)[:, None],
        kernel_size=2 * context + 1,
        stride=1,
        padding=context,
    )
    return (near[:, 0] > 0) & valid


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
    lots = [*windows_of_pieces([image], window)]
    return (
        torch.cat([windows for windows, _ in lots]),
        torch.cat([weights for _, weights in lots]),
    )


def windows_of_pieces(
    pieces: Iterable[torch.Tensor], window: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The windows of a recording that comes piece by piece.

    However it is cut into pieces, the windows are the same.

    Arguments
    ---------
    pieces : Iterable[torch.Tensor]
        Valid frames of one recording, (frames, bins) each, with at least one
        frame in all.
    window : int
        Frames of a window.

    Yields
    ------
    windows : torch.Tensor
        As ``cut_windows`` gives them, those that each piece completes.
    weights : torch.Tensor
        Likewise.
    """
    before = rest = None
    for piece in pieces:
        rest = piece if rest is None else torch.cat([rest, piece])
        whole = len(rest) // window
        if whole:
            used = rest[: whole * window]
            # A copy: a view would keep all that was read in memory.
            before, rest = used[-window:].clone(), rest[len(used) :].clone()
            yield (
                used.reshape(whole, window, -1),
                used.new_full((whole,), window),
            )
    if before is None:
        repeats = -(-window // len(rest))
        tiled = rest.repeat(repeats, 1)[:window]
        yield tiled[None], rest.new_tensor([len(rest)])
    elif len(rest):
        last = torch.cat([before, rest])[-window:]
        yield last[None], rest.new_tensor([len(rest)])


def check_frames(counts: torch.Tensor, min_frames: int) -> None:
    """Refuse what is too short.

    Arguments
    ---------
    counts : torch.Tensor
        Real frames of each item, (batch,).
    min_frames : int
        Items with fewer are refused.

    Raises
    ------
    ValueError
        If an item is too short.
    """
    if int(counts.min()) < min_frames:
        item = int(counts.argmin())
        raise ValueError(
            f"item {item} of the batch has {int(counts[item])} frames of "
            f"sound, expected at least {min_frames}: the clip is too short to "
            "know a voice from it"
        )


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
    check_frames(valid.sum(dim=1), min_frames)
    if silence_range is not None:
        valid = frame_is_loud(frame_power(feats), valid, silence_range)
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
