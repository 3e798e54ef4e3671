"""Speaker changes of a recording of any length, stretch by stretch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from tqdm import tqdm

from speechbrain_siamese.inference.long_files import SpeechFrames
from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.windows import WINDOWS_AT_ONCE
from speechbrain_siamese.processing.changes import (
    GRID,
    WINDOWS,
    ChangeModel,
    border_features,
    change_peaks,
)

#: Frames of speech that are looked at together, without those beside them.
STRETCH = 30_000


@torch.no_grad()
def find_borders(
    speech: SpeechFrames,
    encoder: DenseNetEncoder,
    hop: float,
    progress: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """What differs at both sides of each border of a recording.

    Arguments
    ---------
    speech : SpeechFrames
    encoder : DenseNetEncoder
        In evaluation mode.
    hop : float
        Seconds from one frame to the next.
    progress : bool
        Draw a bar, where there is a terminal.

    Returns
    -------
    borders : np.ndarray
        Number of the speech frame behind each border, integers, (borders,).
    features : np.ndarray
        As ``border_features`` gives them, (borders, features).
    """

    def encode(windows):
        return torch.cat(
            [
                encoder.encode_windows(lot)
                for lot in windows.split(WINDOWS_AT_ONCE)
            ]
        )

    places = speech.keep.nonzero()[:, 0].cpu().numpy()
    beside = 2 * round(max(WINDOWS) / hop)
    found = []
    bar = tqdm(
        total=round(len(places) * hop),
        unit=" s of speech",
        # None: where standard error is no terminal.
        disable=None if progress else True,
    )
    for start, images in _stretches(speech, STRETCH, beside):
        end = start + len(images)
        borders, features = border_features(
            images, places[start:end], encode, hop
        )
        borders += start
        # What lies near a cut is looked at with the other side of it.
        first = start + beside if start else 0
        last = end if end == len(places) else start + beside + STRETCH
        own = (borders >= first) & (borders < last)
        found.append((borders[own], features[own]))
        bar.update(round(last * hop) - bar.n)
    bar.close()
    # A stretch that is shorter than two windows has no features either.
    found = [pair for pair in found if len(pair[0])]
    if not found:
        return np.zeros(0, dtype=int), np.zeros((0, 0))
    borders, features = zip(*found, strict=True)
    return np.concatenate(borders), np.concatenate(features)


def _stretches(
    speech: SpeechFrames, size: int, beside: int
) -> Iterator[tuple[int, torch.Tensor]]:
    """Stretches of the speech with what lies beside them, and their begin."""
    rest, start = None, 0
    for piece in speech.pieces():
        rest = piece if rest is None else torch.cat([rest, piece])
        while len(rest) > size + 2 * beside:
            yield start, rest[: size + 2 * beside]
            rest = rest[size:].clone()
            start += size
    yield start, rest


def border_times(
    keep: torch.Tensor, borders: np.ndarray, hop: float
) -> np.ndarray:
    """When borders between frames of the speech were.

    A border inside a pause is taken to be in the middle of it.

    Arguments
    ---------
    keep : torch.Tensor
        Frames of the recording that are speech, (frames,), bool.
    borders : np.ndarray
        Number of the speech frame behind each border, integers, from 1 on.
    hop : float
        Seconds from one frame to the next.

    Returns
    -------
    np.ndarray
        Seconds.

    Example
    -------
    >>> keep = torch.tensor([True, True, False, False, False, True])
    >>> border_times(keep, np.array([1, 2]), hop=1.0)
    array([0.5, 3. ])
    """
    times = keep.nonzero()[:, 0].cpu().numpy() * hop
    behind = np.asarray(borders, dtype=int)
    return (times[behind - 1] + times[behind]) / 2


def changes_of(
    speech: SpeechFrames,
    encoder: DenseNetEncoder,
    model: ChangeModel,
    hop: float,
    recall: float | None = None,
    progress: bool = False,
) -> np.ndarray:
    """Speaker changes of a recording.

    Arguments
    ---------
    speech : SpeechFrames
    encoder : DenseNetEncoder
        In evaluation mode.
    model : ChangeModel
    hop : float
        Seconds from one frame to the next.
    recall : float or None
        As for ``ChangeModel.threshold_at``.
    progress : bool
        As for ``find_borders``.

    Returns
    -------
    np.ndarray
        Numbers of the speech frames behind the changes, integers, rising.
    """
    threshold = model.threshold_at(recall)
    borders, features = find_borders(speech, encoder, hop, progress)
    if not len(borders):
        return borders
    positions, heights = change_peaks(model.logits(features), GRID)
    return borders[positions[heights > threshold]]
