"""Who speaks now: sound labelled as it comes, some seconds behind it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.ndimage import binary_dilation

from speechbrain_siamese.inference.clips import mono_samples
from speechbrain_siamese.inference.label import (
    PAUSE,
    Names,
    Segment,
    as_voice,
    joined_segments,
)
from speechbrain_siamese.inference.long_files import FeatureStream
from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.features import LogMel
from speechbrain_siamese.lobes.windows import (
    CONTEXT,
    cut_windows,
    frame_power,
)
from speechbrain_siamese.processing.voices import OnlineVoices

if TYPE_CHECKING:
    from speechbrain_siamese.inference.gallery import Gallery
    from speechbrain_siamese.inference.speaker import SiameseRecognition

#: Seconds between decisions, in whole frames.
STEP = 0.5

#: Natural logarithms of power that are told apart to find the level. The least
#: lies below the noise of 16 bits: what is quieter is digital silence.
LEVELS = np.arange(-15.0, 60.0, 0.1)

#: Seconds whose level counts, and decibels that it may fall in a minute: in a
#: pause it stays what the voice before was.
LEVEL_SECONDS, FALL = 60.0, 1.0


@dataclass(frozen=True)
class Moment:
    """A step of the stream whose windows are all known.

    Arguments
    ---------
    places : np.ndarray
        Numbers of its frames that are speech, integers, (frames,).
    windows : np.ndarray
        Embeddings of the windows that end in it or just behind it, in order,
        (windows, dim); none where it holds no speech.
    """

    places: np.ndarray
    windows: np.ndarray


class StreamWindows:
    """Embed the last seconds of speech, at equal steps of time.

    Sound is taken in blocks of any size and worked on in steps of ``STEP``, so
    that the result does not depend on the blocks. What comes before the first
    voice is taken for one, unless it is digital silence: how loud voices are
    is not known yet.

    Arguments
    ---------
    log_mel : LogMel
        The encoder's features.
    encoder : DenseNetEncoder
        In evaluation mode.
    sample_rate : int
        Hz.
    device : torch.device or str
        Of both.
    """

    def __init__(
        self,
        log_mel: LogMel,
        encoder: DenseNetEncoder,
        sample_rate: int,
        device: torch.device | str,
    ):
        self._encoder, self._device = encoder, device
        self._features = FeatureStream(log_mel)
        self._step = round(STEP * sample_rate / log_mel.hop_samples)
        self._step_samples = self._step * log_mel.hop_samples
        #: Steps whose windows hold a moment.
        self.span = -(-encoder.window_frames // self._step)
        self.step_seconds = self._step_samples / sample_rate
        self._samples = np.zeros(0, dtype=np.float32)
        # Frames by level, of each of the last steps, and of all of them.
        size = max(1, round(LEVEL_SECONDS / self.step_seconds))
        self._lately: deque[np.ndarray] = deque(maxlen=size)
        self._counts = np.zeros(len(LEVELS) + 1, dtype=np.int64)
        self._level = -np.inf
        self._waiting = torch.zeros(0, log_mel.n_mels, device=device)
        # Powers of the frames that wait, with those just before them.
        self._power = np.full(CONTEXT, -np.inf)
        self._speech = self._waiting
        self._number, self._last_spoken = 0, 0
        self._moments: deque[tuple[np.ndarray, np.ndarray | None]] = deque()
        self._finished = False

    @property
    def delay(self) -> float:
        """Seconds from a sample to its moment, at most."""
        behind = CONTEXT + self._features.reach
        return (self.span + -(-behind // self._step)) * self.step_seconds

    def push(self, block: np.ndarray) -> Iterator[Moment]:
        """Take the next samples.

        Arguments
        ---------
        block : np.ndarray
            (samples,), float32.

        Yields
        ------
        Moment
            Those that are certain by now.

        Raises
        ------
        ValueError
            If the stream is finished.
        """
        if self._finished:
            raise ValueError(
                "the stream is finished: make another for what comes now"
            )
        samples, done = np.concatenate([self._samples, block]), 0
        while len(samples) - done >= self._step_samples:
            own = torch.from_numpy(samples[done : done + self._step_samples])
            done += self._step_samples
            yield from self._hear(self._features.push(own.to(self._device)))
        self._samples = samples[done:].copy()

    def finish(self) -> Iterator[Moment]:
        """Take note that nothing more comes.

        Yields
        ------
        Moment
            Those that are left; nothing the second time.
        """
        if self._finished:
            return
        self._finished = True
        rest = torch.from_numpy(self._samples).to(self._device)
        yield from self._hear(
            torch.cat([self._features.push(rest), self._features.finish()])
        )
        while len(self._waiting):
            yield from self._work()
        while self._moments:
            yield self._decided()

    def _hear(self, feats: torch.Tensor) -> Iterator[Moment]:
        power = frame_power(feats).cpu().numpy()
        self._power = np.concatenate([self._power, power])
        self._waiting = torch.cat([self._waiting, feats])
        self._learn_level(power)
        while len(self._waiting) >= self._step + CONTEXT:
            yield from self._work()

    def _learn_level(self, power: np.ndarray) -> None:
        """As of whole files the 95th percentile, of the last minute."""
        if len(self._lately) == self._lately.maxlen:
            self._counts -= self._lately[0]
        counts = np.bincount(
            np.searchsorted(LEVELS, power), minlength=len(self._counts)
        )
        self._lately.append(counts)
        self._counts += counts
        # What is below all levels is digital silence.
        heard = self._counts[1:].cumsum()
        if heard[-1]:
            now = LEVELS[np.searchsorted(heard, 0.95 * heard[-1])]
            fall = FALL * math.log(10) / 10 * self.step_seconds / 60
            self._level = max(now, self._level - fall)

    def _work(self) -> Iterator[Moment]:
        """Find the speech of one step, and embed what was said last."""
        images = self._waiting[: self._step]
        spoken = self._is_speech()[CONTEXT : CONTEXT + len(images)]
        places = self._number + np.flatnonzero(spoken)
        embedding = None
        if len(places):
            window = self._encoder.window_frames
            if places[0] - self._last_spoken > window:
                # After such a pause nobody goes on speaking.
                self._speech = self._speech[:0]
            self._last_spoken = int(places[-1])
            own = images[torch.from_numpy(spoken).to(images.device)]
            speech = torch.cat([self._speech, own])
            self._speech = speech[-window:].clone()
            embedding = self._embed(self._speech)
        self._moments.append((places, embedding))
        self._waiting = self._waiting[len(images) :].clone()
        self._power = self._power[len(images) :]
        self._number += len(images)
        if len(self._moments) == self.span:
            yield self._decided()

    def _is_speech(self) -> np.ndarray:
        """Of each frame that waits, as far as is known by now."""
        loud = self._power > LEVELS[0]
        if self._encoder.silence_range is not None:
            quiet = self._encoder.silence_range * math.log(10) / 10
            loud &= self._power > self._level - quiet
        return binary_dilation(loud, iterations=CONTEXT)

    @torch.no_grad()
    def _embed(self, speech: torch.Tensor) -> np.ndarray:
        windows, _ = cut_windows(speech, self._encoder.window_frames)
        return self._encoder.encode_windows(windows)[0].cpu().numpy()

    def _decided(self) -> Moment:
        """The oldest moment that waits."""
        embeddings = [own for _, own in self._moments if own is not None]
        places, _ = self._moments.popleft()
        return Moment(
            places,
            np.stack(embeddings) if len(places) else np.zeros((0, 0)),
        )


class SpeakerStream:
    """Tell who speaks in sound that comes block by block.

    A microphone, a call: what was said is labelled ``delay`` seconds later, and
    stays. How loud voices are is not known before the first one: the noise of a
    room before it is taken for a voice, digital silence is not.
    ``SiameseRecognition.label(file, online=True)`` gives the same for a file.
    With the whole recording at hand, ``label`` is better: it may look at what
    comes later.

    Arguments
    ---------
    model : SiameseRecognition
    gallery : Gallery or None
        Who may be named; None names nobody.

    Raises
    ------
    ValueError
        If the export has not learnt voices in turns, or the gallery is open
        for another model.

    Example
    -------
    >>> stream = SpeakerStream(model)  # doctest: +SKIP
    >>> for block in microphone:  # doctest: +SKIP
    ...     for segment in stream.push(block):
    ...         print(segment.start, segment.speaker)
    >>> rest = stream.finish()  # doctest: +SKIP
    """

    def __init__(
        self, model: SiameseRecognition, gallery: Gallery | None = None
    ):
        model.mods.eval()
        self._model, self._hop = model, model.hop
        self._names, self._gallery = Names(gallery), gallery
        self._voices = OnlineVoices(model.voice_model.online)
        if gallery is not None:
            gallery.check_model(model)
        self._windows = StreamWindows(
            model.mods.compute_features,
            model.mods.embedding_model,
            model.audio_normalizer.sample_rate,
            model.device,
        )

    @property
    def delay(self) -> float:
        """Seconds from a sound to its label, at most."""
        return self._windows.delay

    def push(self, block: np.ndarray | torch.Tensor) -> list[Segment]:
        """Take the next samples.

        Arguments
        ---------
        block : np.ndarray or torch.Tensor
            Mono samples at the model's rate, floats, (samples,); as many as
            there are.

        Returns
        -------
        list of Segment
            What is decided by now, of half a second at most each; a segment
            goes on where the next has the same speaker, see
            ``join_segments``.

        Raises
        ------
        ValueError
            If the block is not mono, no floats, or not finite, or the stream
            is finished.
        """
        with self._model.inference_ctx:
            moments = [*self._windows.push(mono_samples(block))]
        return self._segments(moments)

    def finish(self) -> list[Segment]:
        """Label what is left when nothing more comes.

        Returns
        -------
        list of Segment
        """
        with self._model.inference_ctx:
            moments = [*self._windows.finish()]
        return self._segments(moments)

    def _segments(self, moments: Iterable[Moment]) -> list[Segment]:
        found = []
        for moment in moments:
            if not len(moment.places):
                continue
            number = self._voices.decide(moment.windows)
            mean = as_voice(self._gallery, *self._voices.mean(number))
            voice = self._names.of(number, mean)
            labels = np.zeros(len(moment.places), dtype=int)
            found += joined_segments(moment.places, [voice], labels, self._hop)
        return found


def join_segments(segments: Iterable[Segment]) -> list[Segment]:
    """Join segments of one speaker that follow each other.

    Arguments
    ---------
    segments : Iterable[Segment]
        Rising.

    Returns
    -------
    list of Segment

    Example
    -------
    >>> found = join_segments([Segment(0, 1, "A"), Segment(1, 2, "A")])
    >>> [(one.start, one.end) for one in found]
    [(0, 2)]
    """
    joined: list[Segment] = []
    for one in segments:
        last = joined[-1] if joined else None
        if (
            last
            and (last.speaker, last.enrolled) == (one.speaker, one.enrolled)
            # In whole frames, which seconds round.
            and one.start - last.end < PAUSE + 1e-6
        ):
            joined[-1] = replace(last, end=one.end)
        else:
            joined.append(one)
    return joined
