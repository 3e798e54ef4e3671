"""Clips that somebody is enrolled from: which can be used, and what became."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tqdm import tqdm

from speechbrain_siamese.inference.clips import (
    Clip,
    clip_to_enroll,
    doubts_of,
    is_waveform,
    several_clips,
)
from speechbrain_siamese.inference.enrolled import EnrolledClip

if TYPE_CHECKING:
    from speechbrain_siamese.inference.speaker import SiameseRecognition


@dataclass
class Enrolment:
    """What became of the clips of one ``enroll``.

    Arguments
    ---------
    name : str
        As it is enrolled.
    added : int
        Clips that are new; those enrolled before do not count again.
    seconds : float
        Of the clips that could be used, new or not.
    refused : dict of str : str
        Reason, by clip: its path, or ``waveform <number>``.
    warnings : dict of str : list of str
        What is doubtful about clips that were taken.
    """

    name: str
    added: int = 0
    seconds: float = 0.0
    refused: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)


def usable_clips(
    model: SiameseRecognition,
    name: str,
    clips: Clip | Iterable[Clip],
    keep_audio: bool,
    progress: bool,
) -> tuple[Enrolment, dict[str, EnrolledClip]]:
    """Measure and embed the clips of a person.

    Arguments
    ---------
    model : SiameseRecognition
    name : str
    clips : Clip or Iterable[Clip]
    keep_audio : bool
        Whether their samples go along.
    progress : bool
        Draw a bar, where there is a terminal.

    Returns
    -------
    Enrolment
        With what is refused, and what is doubtful about a clip alone.
    dict of str : EnrolledClip
        Those that can be used, by label.

    Raises
    ------
    ValueError
        If there is none.
    """
    done = Enrolment(name)
    usable: dict[str, EnrolledClip] = {}
    bar = tqdm(
        several_clips(clips),
        desc="Enrolling",
        unit="clip",
        # None: where standard error is no terminal.
        disable=None if progress else True,
    )
    for number, clip in enumerate(bar, start=1):
        label = f"waveform {number}" if is_waveform(clip) else str(clip)
        if label in usable or label in done.refused:
            continue
        try:
            usable[label], quality = clip_to_enroll(model, clip, keep_audio)
        except (ValueError, OSError) as error:
            done.refused[label] = str(error)
            continue
        if doubts := doubts_of(quality):
            done.warnings[label] = doubts
    if not usable:
        reasons = "; ".join(
            f"{label}: {reason}" for label, reason in done.refused.items()
        )
        raise ValueError(
            f"no clip of {done.name!r} can be used: "
            f"{reasons or 'none was given'}"
        )
    different = {clip.digest: clip for clip in usable.values()}
    done.seconds = sum(clip.seconds for clip in different.values())
    return done, usable
