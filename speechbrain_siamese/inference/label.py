"""Who speaks when: a recording cut at its changes, voices joined and named."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from speechbrain_siamese.inference.long_files import SpeechFrames
from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.windows import WINDOWS_AT_ONCE, mean_over_windows
from speechbrain_siamese.processing.voices import (
    VoiceModel,
    join_voices,
)

if TYPE_CHECKING:
    from speechbrain_siamese.inference.gallery import Gallery

#: Seconds of speech of a piece at most: a longer one becomes several.
LONGEST = 20.0

#: Seconds of silence within a segment at most.
PAUSE = 0.5


@dataclass(frozen=True)
class Segment:
    """A stretch of one voice.

    Arguments
    ---------
    start, end : float
        Seconds, in whole frames: the last may end a frame behind the file.
    speaker : str
        Name from the gallery, or ``speaker 1, 2, …`` in the order in which
        voices come.
    enrolled : bool
        Whether it is a name from the gallery.
    probability : float or None
        Of that person, of the voice that the segment begins with; None for
        somebody who is not enrolled.
    """

    start: float
    end: float
    speaker: str
    enrolled: bool = False
    probability: float | None = None


@dataclass(frozen=True)
class Voice:
    """Who a voice is; the fields are those of ``Segment``."""

    speaker: str
    enrolled: bool = False
    probability: float | None = None


def piece_ends(changes: np.ndarray, frames: int, longest: int) -> np.ndarray:
    """Where the pieces of a recording end.

    Arguments
    ---------
    changes : np.ndarray
        Numbers of the frames behind the changes, integers, rising.
    frames : int
        Of speech in the recording.
    longest : int
        Frames of a piece at most; what is longer is cut in equal parts.

    Returns
    -------
    np.ndarray
        Number of the frame behind each piece, integers, the last is
        ``frames``.

    Example
    -------
    >>> piece_ends(np.array([30]), 130, 50)
    array([ 30,  80, 130])
    """
    ends, start = [], 0
    for end in [*changes, frames]:
        parts = -(-(end - start) // longest)
        ends.append(np.linspace(start, end, parts + 1).round()[1:])
        start = end
    return np.concatenate(ends).astype(int)


@torch.no_grad()
def embed_pieces(
    speech: SpeechFrames, ends: np.ndarray, encoder: DenseNetEncoder
) -> tuple[np.ndarray, np.ndarray]:
    """Embed each piece of a recording.

    Arguments
    ---------
    speech : SpeechFrames
    ends : np.ndarray
        As ``piece_ends`` gives them, (pieces,).
    encoder : DenseNetEncoder
        In evaluation mode.

    Returns
    -------
    means : np.ndarray
        Over the windows of each, (pieces, dim), float32.
    counts : np.ndarray
        How many windows each is the mean of, (pieces,), float32.
    """
    found, lot, frames = [], [], 0

    def encoded():
        return mean_over_windows(
            lot, encoder.window_frames, encoder.encode_windows, WINDOWS_AT_ONCE
        )

    for image in _images(speech, ends):
        lot.append(image)
        frames += len(image)
        if frames >= WINDOWS_AT_ONCE * encoder.window_frames:
            found.append(encoded())
            lot, frames = [], 0
    if lot:
        found.append(encoded())
    means, counts = (torch.cat(own).cpu() for own in zip(*found, strict=True))
    return means.numpy(), counts.numpy()


def _images(speech: SpeechFrames, ends: np.ndarray) -> Iterator[torch.Tensor]:
    """The frames of each piece."""
    rest, start, number = None, 0, 0
    for part in speech.pieces():
        rest = part if rest is None else torch.cat([rest, part])
        while number < len(ends) and ends[number] - start <= len(rest):
            size = int(ends[number]) - start
            yield rest[:size]
            # A copy: a view would keep all that was read in memory.
            rest, start = rest[size:].clone(), int(ends[number])
            number += 1


def as_voice(
    gallery: Gallery | None, mean: np.ndarray, count: float
) -> np.ndarray:
    """Make of a mean over windows what a gallery is asked with.

    Arguments
    ---------
    gallery : Gallery or None
        Without one the mean itself will do.
    mean : np.ndarray
        (dim,)
    count : float
        Of the windows.

    Returns
    -------
    np.ndarray
        (dim,)
    """
    if gallery is None:
        return mean
    means = torch.from_numpy(mean[None])
    return gallery.model.as_voices(means, torch.tensor([count]))[0].numpy()


class Names:
    """Name voices from the gallery, number the others.

    A voice is named that is more probably one person than all the others and
    somebody who is not enrolled together. Several voices may be one person.

    Arguments
    ---------
    gallery : Gallery or None
        Who may be named; None names nobody.

    Example
    -------
    >>> names = Names(None)
    >>> north = np.array([0.0, 1.0])
    >>> [names.of(voice, north).speaker for voice in (0, 3, 0)]
    ['speaker 1', 'speaker 2', 'speaker 1']
    """

    def __init__(self, gallery: Gallery | None):
        self._gallery = gallery
        self._taken = {one.name for one in gallery.list()} if gallery else set()
        names = (f"speaker {number}" for number in itertools.count(1))
        self._free = (name for name in names if name not in self._taken)
        self._given: dict[int, Voice] = {}

    def of(self, number: int, embedding: np.ndarray) -> Voice:
        """Name a voice.

        Arguments
        ---------
        number : int
            The voice's own; who is not enrolled keeps the name of the first
            time.
        embedding : np.ndarray
            As ``Gallery.identify_embedding`` takes it, (dim,).

        Returns
        -------
        Voice
        """
        if self._gallery:
            answer = self._gallery.identify_embedding(embedding, top=1)
            if answer.name:
                self._take(answer.name)
                return Voice(
                    answer.name, True, answer.candidates[0].probability
                )
        if number not in self._given:
            self._given[number] = Voice(next(self._free))
        return self._given[number]

    def _take(self, name: str) -> None:
        """Number anew whose number somebody has been enrolled as meanwhile."""
        if name not in self._taken:
            self._taken.add(name)
            for number, voice in self._given.items():
                if voice.speaker == name:
                    self._given[number] = Voice(next(self._free))


def joined_segments(
    places: np.ndarray, voices: Sequence[Voice], labels: np.ndarray, hop: float
) -> list[Segment]:
    """Make segments of frames: one ends where a pause or another person is.

    Arguments
    ---------
    places : np.ndarray
        Number of each frame of speech in the recording, rising, (frames,).
    voices : Sequence[Voice]
    labels : np.ndarray
        Which of them each frame is, integers, (frames,).
    hop : float
        Seconds from one frame to the next.

    Returns
    -------
    list of Segment

    Example
    -------
    >>> places = np.array([0, 1, 2, 3, 10, 11])
    >>> labels = np.array([0, 0, 1, 1, 1, 1])
    >>> for one in joined_segments(
    ...     places, [Voice("A"), Voice("B")], labels, hop=0.1
    ... ):
    ...     print(round(one.start, 2), round(one.end, 2), one.speaker)
    0.0 0.2 A
    0.2 0.4 B
    1.0 1.2 B
    """
    if not len(places):
        return []
    first = {}
    people = np.array(
        [first.setdefault(voice.speaker, len(first)) for voice in voices]
    )
    silent = np.diff(places) - 1
    cut = (silent > round(PAUSE / hop)) | (np.diff(people[labels]) != 0)
    edges = [0, *(np.flatnonzero(cut) + 1).tolist(), len(places)]
    return [
        Segment(
            float(places[start] * hop),
            float((places[end - 1] + 1) * hop),
            **vars(voices[labels[start]]),
        )
        for start, end in itertools.pairwise(edges)
    ]


@dataclass(frozen=True)
class Pieces:
    """A recording, cut at its changes.

    Arguments
    ---------
    places : np.ndarray
        Numbers of its frames that are speech, integers, rising, (frames,).
    owners : np.ndarray
        Which piece each of them is in, integers, (frames,).
    seconds : np.ndarray
        Of speech in each piece, (pieces,).
    embeddings, counts : np.ndarray
        As ``embed_pieces`` gives them, (pieces, dim) and (pieces,).
    """

    places: np.ndarray
    owners: np.ndarray
    seconds: np.ndarray
    embeddings: np.ndarray
    counts: np.ndarray


def cut_at(
    changes: np.ndarray,
    speech: SpeechFrames,
    encoder: DenseNetEncoder,
    hop: float,
) -> Pieces:
    """Cut a recording at its changes, and embed what is between them.

    Arguments
    ---------
    changes : np.ndarray
        Numbers of the speech frames behind the changes, integers, rising.
    speech : SpeechFrames
    encoder : DenseNetEncoder
        In evaluation mode.
    hop : float
        Seconds from one frame to the next.

    Returns
    -------
    Pieces
    """
    places = speech.keep.nonzero()[:, 0].cpu().numpy()
    ends = piece_ends(changes, len(places), round(LONGEST / hop))
    counts = np.diff(ends, prepend=0)
    return Pieces(
        places,
        np.repeat(np.arange(len(ends)), counts),
        counts * hop,
        *embed_pieces(speech, ends, encoder),
    )


def segments_of(
    pieces: Pieces, model: VoiceModel, gallery: Gallery | None, hop: float
) -> list[Segment]:
    """Join what is one voice, and name it.

    Arguments
    ---------
    pieces : Pieces
    model : VoiceModel
    gallery : Gallery or None
    hop : float
        Seconds from one frame to the next.

    Returns
    -------
    list of Segment
    """
    found, seconds = pieces.embeddings, pieces.seconds
    labels = join_voices(found, seconds, model.threshold)
    names, voices = Names(gallery), []
    for number in range(labels.max(initial=-1) + 1):
        own = labels == number
        counts = pieces.counts[own]
        mean = np.average(found[own], axis=0, weights=counts)
        voices.append(names.of(number, as_voice(gallery, mean, counts.sum())))
    return joined_segments(pieces.places, voices, labels[pieces.owners], hop)
