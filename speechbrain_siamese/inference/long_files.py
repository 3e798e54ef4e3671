"""Embed a recording of any length in memory that does not grow with it.

The stock way computes features over the whole file at once; two hours of them
are gigabytes. Here a long file is read twice, block by block: first to learn
where it ends and how loud it is, then to encode the frames that count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch

from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.features import LogMel
from speechbrain_siamese.lobes.windows import (
    WINDOWS_AT_ONCE,
    check_frames,
    frame_is_loud,
    frame_power,
    window_count,
    windows_of_pieces,
)

#: Frames of a recording that is short enough to stay in memory: a minute.
KEPT_FRAMES = 6000


def batches_exactly(model: object) -> bool:
    """Whether a clip has the same embedding alone and in a padded batch.

    Arguments
    ---------
    model : object
        One of SpeechBrain's inference classes, or ours.

    Returns
    -------
    bool
        True for a DenseNet of ours, which looks at windows, each alone, and
        whose embeddings have length 1.
    """
    modules = getattr(model, "mods", {})
    return isinstance(
        getattr(modules, "embedding_model", None), DenseNetEncoder
    ) and isinstance(getattr(modules, "compute_features", None), LogMel)


class FeatureStream:
    """Features of sound that comes in blocks, as of the whole.

    Arguments
    ---------
    log_mel : LogMel

    Example
    -------
    >>> log_mel = LogMel(sample_rate=16000, n_mels=80)
    >>> stream, wav = FeatureStream(log_mel), torch.rand(16000)
    >>> feats = [stream.push(wav[:5000]), stream.push(wav[5000:])]
    >>> feats = torch.cat([*feats, stream.finish()])
    >>> torch.allclose(feats, log_mel.log_power(wav[None])[0], atol=1e-4)
    True
    """

    def __init__(self, log_mel: LogMel):
        self._log_mel, self._hop = log_mel, log_mel.hop_samples
        #: Frames next to a cut that look across it.
        self.reach = -(-log_mel.stft.n_fft // (2 * self._hop))
        self._held, self._done = torch.zeros(0), 0

    def _features(self) -> torch.Tensor:
        # In full precision, as those of whole files.
        with torch.autocast(self._held.device.type, enabled=False):
            return self._log_mel.log_power(self._held[None])[0]

    def push(self, block: torch.Tensor) -> torch.Tensor:
        """Take the next samples.

        Arguments
        ---------
        block : torch.Tensor
            (time,)

        Returns
        -------
        torch.Tensor
            Frames that are certain by now, (frames, bins); together, with
            those of ``finish``, they are ``log_mel.log_power`` of the whole.
        """
        self._held = torch.cat([self._held.to(block), block])
        whole = len(self._held) // self._hop - self.reach
        if whole <= self._done:
            return block.new_zeros(0, self._log_mel.n_mels)
        found = self._features()[self._done : whole]
        self._done = min(whole, self.reach)
        self._held = self._held[(whole - self._done) * self._hop :].clone()
        return found

    def finish(self) -> torch.Tensor:
        """The frames that are left when nothing more comes, (frames, bins)."""
        if len(self._held) <= self._done * self._hop:
            return self._held.new_zeros(0, self._log_mel.n_mels)
        return self._features()[self._done :]


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
        Consecutive frames, (frames, bins), as of ``FeatureStream``.
    """
    stream = FeatureStream(log_mel)
    for block in blocks:
        if len(found := stream.push(block)):
            yield found
    if len(found := stream.finish()):
        yield found


class SpeechFrames:
    """The frames of a recording that count, read as often as they are needed.

    The first reading finds where the recording ends and how loud it is; what
    stays in memory are some bytes a frame. A short recording is read once.

    Arguments
    ---------
    read : Callable
        Yields the recording's samples in blocks, (samples,) each, float32.
    log_mel : LogMel
        The encoder's features.
    encoder : DenseNetEncoder
        Tells what is too short and what is silence.
    device : torch.device or str
        Of both.

    Attributes
    ----------
    keep : torch.Tensor
        Frames of the recording that count, (frames,), bool.

    Raises
    ------
    ValueError
        If the recording is silent, too short to know a voice, or holds
        samples that are no numbers.
    """

    @torch.no_grad()
    def __init__(
        self,
        read: Callable[[], Iterable[np.ndarray]],
        log_mel: LogMel,
        encoder: DenseNetEncoder,
        device: torch.device | str,
    ):
        self._read, self._log_mel, self._device = read, log_mel, device
        self._end = 0
        self._kept: list[torch.Tensor] | None = []
        power = torch.zeros(0, device=device)
        for feats in feature_blocks(self._sound(), log_mel):
            if self._kept is not None:
                self._kept.append(feats)
                if len(power) + len(feats) > KEPT_FRAMES:
                    self._kept = None
            # A list of small tensors would hold the heap open between the
            # large ones of each block, which would then never be given back.
            power = torch.cat([power, frame_power(feats)])
        if not power.isfinite().all():
            raise ValueError("the recording holds NaN or infinite samples")
        if not self._end:
            raise ValueError(
                "the recording is silent: it holds zeros only, so there is no "
                "voice to know"
            )
        # Zeros at the end are padding, as for the features of a whole file.
        frames = torch.arange(len(power), device=power.device)
        keep = frames * log_mel.hop_samples < self._end
        check_frames(keep.sum()[None], encoder.min_frames)
        if encoder.silence_range is not None:
            found = frame_is_loud(
                power[None], keep[None], encoder.silence_range
            )
            keep = found[0]
        self.keep = keep

    def _sound(self) -> Iterator[torch.Tensor]:
        """The samples; notes where the last one lies that is not zero."""
        seen = 0
        for block in self._read():
            loud = np.flatnonzero(block)
            if len(loud):
                self._end = seen + int(loud[-1]) + 1
            seen += len(block)
            yield torch.from_numpy(block).to(self._device)

    @torch.no_grad()
    def pieces(self) -> Iterator[torch.Tensor]:
        """Read the recording once more.

        Yields
        ------
        torch.Tensor
            Consecutive frames that count, (frames, bins).

        Raises
        ------
        ValueError
            If the recording is longer or shorter than it was.
        """
        position, again = 0, self._kept
        if again is None:
            again = feature_blocks(self._sound(), self._log_mel)
        for feats in again:
            keep = self.keep[position : position + len(feats)]
            position += len(feats)
            if position > len(self.keep):
                break
            if len(own := feats[keep]):
                yield own
        if position != len(self.keep):
            raise ValueError(
                "the recording changed while it was read, it is "
                f"{'longer' if position > len(self.keep) else 'shorter'} now: "
                "give it again when nothing writes to it any more"
            )


@torch.no_grad()
def embed_in_blocks(
    speech: SpeechFrames, encoder: DenseNetEncoder
) -> tuple[torch.Tensor, float]:
    """Embed one recording, block by block.

    Arguments
    ---------
    speech : SpeechFrames
    encoder : DenseNetEncoder
        In evaluation mode.

    Returns
    -------
    mean : torch.Tensor
        Of the embeddings of its windows, (1, 1, dim).
    count : float
        How many windows it is the mean of.
    """
    total, mass, squares = 0.0, 0.0, 0.0
    for windows, weights in windows_of_pieces(
        speech.pieces(), encoder.window_frames
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
            squares += float(own.square().sum())
    return (total / mass)[None, None], window_count(mass, squares)
