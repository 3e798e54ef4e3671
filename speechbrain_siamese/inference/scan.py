"""Embeddings along a recording: windows at equal steps over its speech."""

from __future__ import annotations

import numpy as np
import torch

from speechbrain_siamese.inference.long_files import SpeechFrames
from speechbrain_siamese.lobes.densenet import WINDOWS_AT_ONCE, DenseNetEncoder
from speechbrain_siamese.lobes.windows import sliding_windows


@torch.no_grad()
def scan_windows(
    speech: SpeechFrames, encoder: DenseNetEncoder, window: int, step: int
) -> np.ndarray:
    """Embed overlapping windows of a recording's speech.

    Silence is left out before windows are cut, so that a window holds as much
    speech as those of training did.

    Arguments
    ---------
    speech : SpeechFrames
    encoder : DenseNetEncoder
        In evaluation mode.
    window, step : int
        Frames of speech.

    Returns
    -------
    np.ndarray
        Of length 1 each, float16 (an hour at 4 a second is 5 MB),
        (windows, dim); window ``i`` begins at speech frame ``i * step``.
    """
    found = [np.zeros((0, encoder.embedding_dim), dtype=np.float16)]
    waiting, count = [], 0

    def flush():
        if waiting:
            encoded = encoder.encode_windows(torch.cat(waiting))
            found.append(encoded.cpu().numpy().astype(np.float16))
            waiting.clear()

    for windows in sliding_windows(speech.pieces(), window, step):
        for lot in windows.split(WINDOWS_AT_ONCE):
            waiting.append(lot)
            count += len(lot)
            if count >= WINDOWS_AT_ONCE:
                flush()
                count = 0
    flush()
    return np.concatenate(found)


def speech_times(keep: torch.Tensor, hop: float) -> np.ndarray:
    """When each frame of the speech was, in seconds.

    Arguments
    ---------
    keep : torch.Tensor
        As ``SpeechFrames`` has it, (frames,), bool.
    hop : float
        Seconds from one frame to the next.

    Returns
    -------
    np.ndarray
        (speech frames,)

    Example
    -------
    >>> speech_times(torch.tensor([True, False, True]), 0.5)
    array([0., 1.])
    """
    return keep.nonzero()[:, 0].cpu().numpy() * hop


def border_times(times: np.ndarray, borders: np.ndarray) -> np.ndarray:
    """When borders between frames of the speech were.

    A border inside a pause is taken to be in the middle of it.

    Arguments
    ---------
    times : np.ndarray
        As ``speech_times`` gives them.
    borders : np.ndarray
        Number of the frame behind each border, integers.

    Returns
    -------
    np.ndarray
        Seconds.

    Example
    -------
    >>> border_times(np.array([0.0, 1.0, 5.0, 6.0]), np.array([1, 2]))
    array([0.5, 3. ])
    """
    behind = np.clip(np.asarray(borders, dtype=int), 1, len(times) - 1)
    return (times[behind - 1] + times[behind]) / 2
