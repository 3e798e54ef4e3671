"""Enrolled people: add a voice from some seconds, ask who it is, delete it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from speechbrain_siamese.inference.clips import (
    Clip,
    embed_clip,
)
from speechbrain_siamese.inference.enrolled import (
    EnrolledClip,
    Person,
    checked_name,
    looked_up_name,
    weighted_voice,
)
from speechbrain_siamese.inference.enrolment import Enrolment, usable_clips
from speechbrain_siamese.inference.gallery_store import Change, GalleryStore
from speechbrain_siamese.inference.identification import (
    Identification,
    passes,
    score_voices,
    with_probabilities,
)
from speechbrain_siamese.inference.loaded_voices import LoadedVoices
from speechbrain_siamese.inference.search import SEARCHES
from speechbrain_siamese.utils.ranges import check_range

if TYPE_CHECKING:
    from speechbrain_siamese.inference.speaker import SiameseRecognition

#: The most similar people, whose scores are normalised and made probabilities.
CANDIDATES = 100

#: Probability above which somebody is named.
LIKELY = 0.5


class Gallery:
    """People whom a model can name; opened with ``model.gallery(path)``.

    No audio is kept unless that is asked for; of a person who is removed no
    trace stays in the file. Several processes may use one gallery.

    Arguments
    ---------
    model : SiameseRecognition
    path : str or Path
        An SQLite file; is made where it is missing.
    index : str
        ``exact``, or ``faiss`` for more voices than exact search is quick
        with (from a million on).

    Raises
    ------
    ValueError
        If the file is no gallery, or another model's; if the model does not
        score by cosine.

    Example
    -------
    >>> gallery = model.gallery("people.sqlite")  # doctest: +SKIP
    >>> gallery.enroll("sita", ["a.m4a", "b.wav"])  # doctest: +SKIP
    >>> gallery.identify("who.mp3").name  # doctest: +SKIP
    'sita'
    """

    def __init__(
        self,
        model: SiameseRecognition,
        path: str | Path,
        index: str = "exact",
    ):
        if index not in SEARCHES:
            raise ValueError(
                f"index is {index!r}, expected one of {list(SEARCHES)}"
            )
        if model.measure != "cosine":
            raise ValueError(
                f"the model scores by {model.measure}; a gallery holds "
                "directions, which only a model with measure cosine has"
            )
        self.model, self.index = model, index
        self.store = GalleryStore(path, model.fingerprint, model.embedding_dim)
        self._lock = threading.Lock()
        self._voices: LoadedVoices | None = None

    def check_model(self, model: SiameseRecognition) -> None:
        """Refuse embeddings of another model than the gallery's.

        Arguments
        ---------
        model : SiameseRecognition

        Raises
        ------
        ValueError
            If it is another one.
        """
        if model.fingerprint != self.model.fingerprint:
            raise ValueError(
                f"the gallery {self.store.path} is open for another model: "
                "open it with this one's gallery()"
            )

    # ---- Who is there -------------------------------------------------------

    def list(self) -> list[Person]:
        """Who is enrolled, by name.

        Returns
        -------
        list of Person
        """
        return self.store.people()

    def remove(self, name: str) -> None:
        """Delete a person with every trace.

        Arguments
        ---------
        name : str

        Raises
        ------
        ValueError
            If nobody has that name.
        """
        name = looked_up_name(name)
        self._follow(self.store.remove(name), lambda own: own.remove(name))

    def rename(self, old: str, new: str) -> None:
        """Give a person another name.

        Arguments
        ---------
        old, new : str

        Raises
        ------
        ValueError
            If nobody is called ``old``, or someone is called ``new``.
        """
        old, new = looked_up_name(old), checked_name(new)
        self._follow(
            self.store.rename(old, new), lambda own: own.rename(old, new)
        )

    # ---- Enrolment ----------------------------------------------------------

    def enroll(
        self,
        name: str,
        clips: Clip | Iterable[Clip],
        keep_audio: bool = False,
        progress: bool = False,
    ) -> Enrolment:
        """Add a person, or clips to one who is enrolled.

        Their voice is the mean over the clips, weighed by seconds of speech
        and by quality. 5 to 30 seconds of speech are enough; several clips of
        several days are better than one.

        Arguments
        ---------
        name : str
        clips : Clip or Iterable[Clip]
            Files, or mono waveforms at the model's rate.
        keep_audio : bool
            Keep the clips themselves in the gallery, as FLAC.
        progress : bool
            Draw a bar, where there is a terminal.

        Returns
        -------
        Enrolment
            A clip that is no audio, silent or too short is refused; one that
            is short, noisy or clipped, does not sound like the person's other
            clips, or sounds like someone else, is taken with a warning.

        Raises
        ------
        ValueError
            If the name cannot be one, or no clip can be used.
        """
        done, usable = usable_clips(
            self.model, checked_name(name), clips, keep_audio, progress
        )
        self._compare(done, usable)
        change = self.store.add(done.name, [*usable.values()])
        if change.clips:
            self._follow(change, lambda own: own.put(done.name, change.voice))
        done.added = change.clips
        return done

    def _compare(self, done: Enrolment, usable: dict[str, EnrolledClip]):
        """Warn of clips unlike the person's others, or like someone else."""
        before = {c.digest: c for c in self.store.clips(done.name)}
        everyone = before | {clip.digest: clip for clip in usable.values()}
        for label, clip in usable.items():
            others = [
                other
                for digest, other in everyone.items()
                if digest != clip.digest
            ]
            doubts = done.warnings.setdefault(label, [])
            if others:
                voice = weighted_voice(others)[None]
                (own,) = score_voices(self.model, clip.embedding, voice, [""])
                if not passes(self.model, own):
                    doubts.append(
                        "does not sound like the person's other clips (score "
                        f"{own.score:.2f}): is it the same voice?"
                    )
            found = self.identify_embedding(clip.embedding, CANDIDATES)
            others = [one for one in found.candidates if one.name != done.name]
            # One voice under several names: none of them is likely alone.
            likely = sum(one.probability for one in others)
            if others and likely > LIKELY * (likely + found.unknown):
                doubts.append(
                    f"sounds like {others[0].name!r}, who is enrolled (score "
                    f"{others[0].score:.2f}): is it one person?"
                )
        done.warnings = {
            label: doubts for label, doubts in done.warnings.items() if doubts
        }

    # ---- Identification -----------------------------------------------------

    def identify(
        self,
        clip: Clip,
        top: int = 5,
        threshold: float | None = None,
        unknown: float = 0.5,
    ) -> Identification:
        """Tell who speaks in a clip, or that nobody enrolled does.

        Arguments
        ---------
        clip : Clip
            A file, or a mono waveform at the model's rate.
        top : int
            How many candidates to name.
        threshold : float or None
            Normalised score (the cosine, where an older export has none) above
            which the best candidate is named. None
            names whoever is more probable than all others and nobody of them
            together: of many people, some are taken for others by chance, and
            the threshold of pairs would name somebody nearly always.
        unknown : float
            Probability of someone who is not enrolled, before anything was
            heard; the others share the rest.

        Returns
        -------
        Identification

        Raises
        ------
        ValueError
            If the clip is no audio, too short or silent, or nobody is
            enrolled.
        """
        embedding = embed_clip(self.model, clip)
        found = self.identify_embedding(embedding, top, threshold, unknown)
        if not found.candidates:
            raise ValueError(
                f"nobody is enrolled in {self.store.path}: enroll someone first"
            )
        return found

    def identify_embedding(
        self,
        embedding: torch.Tensor | np.ndarray,
        top: int = 5,
        threshold: float | None = None,
        unknown: float = 0.5,
    ) -> Identification:
        """As ``identify``, of an embedding; with nobody enrolled it is unknown.

        Arguments
        ---------
        embedding : torch.Tensor or np.ndarray
            ``dim`` numbers in any shape, as ``voice_of_file`` gives them. Of
            one of length 1 less is believed than there was to hear.
        top, threshold, unknown
            As for ``identify``.

        Returns
        -------
        Identification

        Raises
        ------
        ValueError
            If it is of another size, or not finite; if a setting is out of its
            range.
        """
        check_range("top", top, 1, 1_000_000, whole=True)
        check_range("unknown", unknown, 0.0, 1.0)
        if threshold is not None:
            # NaN would call everybody unknown.
            check_range("threshold", threshold, -math.inf, math.inf)
        query = torch.as_tensor(embedding).detach().cpu().float().flatten()
        if len(query) != self.model.embedding_dim or not query.isfinite().all():
            raise ValueError(
                f"an embedding has {len(query)} numbers, of which "
                f"{int(query.isfinite().sum())} are finite, expected "
                f"{self.model.embedding_dim} of this gallery's model"
            )
        query = query.numpy()
        with self._lock:
            people = self._up_to_date()
            count = len(people)
            names, voices = people.nearest(query, max(top, CANDIDATES))
        if not names:
            return Identification(None, [], 1.0)
        scored = score_voices(self.model, query, voices, names)
        found = with_probabilities(self.model, scored, count, unknown)
        best = found.candidates[0]
        taken = best.probability > LIKELY
        if threshold is not None:
            taken = passes(self.model, best, threshold)
        return replace(
            found,
            name=best.name if taken else None,
            candidates=found.candidates[:top],
        )

    # ---- Voices in memory ---------------------------------------------------

    def _up_to_date(self) -> LoadedVoices:
        """Everybody's voice as the file has it now; hold the lock."""
        if self._voices is None or self._voices.state != self.store.state():
            names, voices, state = self.store.voices()
            self._voices = LoadedVoices(names, voices, state, self.index)
        return self._voices

    def _follow(
        self, change: Change, follow: Callable[[LoadedVoices], None]
    ) -> None:
        """Change in memory what this process has changed in the file.

        Where another one has changed it since they were loaded, they are
        loaded again when they are asked.
        """
        with self._lock:
            voices = self._voices
            if voices is not None and voices.state == change.before:
                follow(voices)
                voices.state = change.after
