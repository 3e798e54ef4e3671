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
from speechbrain_siamese.utils.ranges import check_range

#: Windows that are encoded together at inference: bounds memory.
WINDOWS_AT_ONCE = 64

#: Frames kept at both sides of a loud one: at 10 ms a frame the silence that
#: preparation keeps, so that inference sees pauses of the length that training
#: saw.
CONTEXT = 10


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
    power: torch.Tensor,
    valid: torch.Tensor,
    range_db: float,
    context: int = CONTEXT,
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
        Frames kept at both sides of a loud one.

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
) -> tuple[torch.Tensor, torch.Tensor]:
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
    means : torch.Tensor
        (items, dim)
    counts : torch.Tensor
        How many windows each is the mean of, (items,); see ``window_count``.
    """
    pieces = [cut_windows(image, window_frames) for image in images]
    windows = torch.cat([own for own, _ in pieces])
    encoded = torch.cat(
        [encode(lot) for lot in windows.split(at_once or len(windows))]
    )
    parts = encoded.split([len(weights) for _, weights in pieces])
    means = [
        (weights[:, None] * own).sum(dim=0) / weights.sum()
        for (_, weights), own in zip(pieces, parts, strict=True)
    ]
    counts = [
        window_count(weights.sum(), weights.square().sum())
        for _, weights in pieces
    ]
    return torch.stack(means), torch.stack(counts)


def window_count(
    total: torch.Tensor | float, squares: torch.Tensor | float
) -> torch.Tensor | float:
    """How many equal windows a weighted mean is worth (Kish 1965).

    Arguments
    ---------
    total, squares : torch.Tensor or float
        Sum of the weights, and of their squares.

    Returns
    -------
    torch.Tensor or float

    Example
    -------
    >>> window_count(4.0, 8.0), window_count(3.0, 5.0)
    (2.0, 1.8)
    """
    return total * total / squares


class WindowEncoder(torch.nn.Module):
    """Encode images of any length, window by window.

    Valid frames are cut into windows of the training length (the last one
    aligned to the end), the windows' embeddings are averaged by the frames
    that each adds. Nothing depends on the other items of the batch. Encoders
    say in ``encode_windows`` what a window's embedding is.

    Arguments
    ---------
    n_mels : int
        Bins of the images; at least 32, since a DenseNet halves five times.
    window_len : float
        Seconds of a window: what training saw.
    hop_length : float
        Milliseconds between the images' frames.
    min_len : float
        Seconds; items with less are refused: too short to know a voice.
    silence_range : float or None
        At inference, frames quieter than this many decibels below the item's
        level are left out, as preparation does with the training data. None
        keeps all.

    Raises
    ------
    ValueError
        If an image of a window is too small.

    Example
    -------
    >>> class Mean(WindowEncoder):
    ...     def encode_windows(self, windows):
    ...         return windows.mean(dim=1)
    >>> encoder = Mean(n_mels=32, window_len=0.5, hop_length=10.0)
    >>> encoder(torch.rand(2, 70, 32)).shape
    torch.Size([2, 1, 32])
    """

    def __init__(
        self,
        n_mels: int,
        window_len: float,
        hop_length: float,
        min_len: float = 0.4,
        silence_range: float | None = None,
    ):
        super().__init__()
        check_range("hop_length", hop_length, 1, 1000, "ms")
        self.window_frames = round(1000 * window_len / hop_length)
        self.min_frames = max(1, round(1000 * min_len / hop_length))
        self.silence_range = silence_range
        if n_mels < 32 or self.window_frames < 32:
            raise ValueError(
                f"n_mels is {n_mels} and window_len {window_len} s is "
                f"{self.window_frames} frames of {hop_length} ms; both must be "
                "at least 32, since a DenseNet halves its image five times"
            )

    def forward(
        self, feats: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Encode a batch of images.

        Arguments
        ---------
        feats : torch.Tensor
            Log-mel images, (batch, frames, bins), padding marked by the
            feature module.
        lengths : torch.Tensor
            Relative lengths, (batch,). Part of SpeechBrain's calling
            convention; the marks in the images are exact and decide.

        Returns
        -------
        torch.Tensor
            Mean embeddings, (batch, 1, dim).

        Raises
        ------
        ValueError
            If an item has less than ``min_len`` of sound.
        """
        del lengths
        return self.mean_embeddings(feats)[0]

    def mean_embeddings(
        self, feats: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Average the embeddings of each item's windows, and leave it at that.

        How long a mean is, and of how many windows, tells how much of it is
        the voice: see ``processing/score_norm.py``.

        Arguments
        ---------
        feats : torch.Tensor
            As for ``forward``.

        Returns
        -------
        means : torch.Tensor
            (batch, 1, dim)
        counts : torch.Tensor
            How many windows each is the mean of, (batch,).

        Raises
        ------
        ValueError
            As ``forward``.
        """
        return self.over_windows(feats, self.encode_windows)

    def over_windows(
        self,
        feats: torch.Tensor,
        encode: Callable[[torch.Tensor], torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cut images into windows, and average what these are encoded as.

        Arguments
        ---------
        feats : torch.Tensor
            As for ``forward``.
        encode : Callable
            (windows, window_frames, bins) to (windows, dim), each alone.

        Returns
        -------
        means : torch.Tensor
            (batch, 1, dim)
        counts : torch.Tensor
            How many windows each is the mean of, (batch,).
        """
        means, counts = mean_over_windows(
            valid_frames(
                feats,
                self.min_frames,
                None if self.training else self.silence_range,
            ),
            self.window_frames,
            encode,
            # A training batch is one lot: batch normalisation has to see all.
            at_once=None if self.training else WINDOWS_AT_ONCE,
        )
        return means.unsqueeze(1), counts

    def encode_windows(self, windows: torch.Tensor) -> torch.Tensor:
        """Encode windows of the training length, each alone.

        Arguments
        ---------
        windows : torch.Tensor
            (windows, window_frames, bins)

        Returns
        -------
        torch.Tensor
            (windows, dim), float32.
        """
        raise NotImplementedError
