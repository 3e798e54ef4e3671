"""Make a gallery anew for another model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from speechbrain_siamese.inference.clips import Clip, from_flac
from speechbrain_siamese.inference.gallery import Gallery
from speechbrain_siamese.inference.gallery_store import (
    EnrolledClip,
    GalleryStore,
)

if TYPE_CHECKING:
    from speechbrain_siamese.inference.speaker import SiameseRecognition


def re_enroll(
    model: SiameseRecognition, old: str | Path, new: str | Path
) -> tuple[Gallery, dict[str, dict[str, str]]]:
    """Make a gallery anew with another model, from its stored source paths.

    The old gallery stays as it is.

    Arguments
    ---------
    model : SiameseRecognition
        The one to use from now on.
    old : str or Path
        A gallery of any model.
    new : str or Path
        Where the new one shall be; must not exist.

    Returns
    -------
    gallery : Gallery
    lost : dict of str : dict of str : str
        By person, the reasons of clips that could not be enrolled again: of
        those whose file is gone, and waveforms, unless their audio was kept.

    Raises
    ------
    ValueError
        If ``old`` is no gallery, or ``new`` exists.
    """
    if Path(new).exists():
        raise ValueError(f"{new} exists already: name a file that does not")
    before = GalleryStore.any_model(old)
    gallery = Gallery(model, new)
    lost: dict[str, dict[str, str]] = {}
    rate = model.audio_normalizer.sample_rate
    for person in before.people():
        clips: list[Clip] = []
        for clip in before.clips(person.name, with_audio=True):
            try:
                clips.append(_found_again(clip, rate))
            except ValueError as error:
                label = clip.source or f"waveform {clip.digest[:8]}"
                lost.setdefault(person.name, {})[label] = str(error)
        try:
            done = gallery.enroll(person.name, clips)
            refused = done.refused
        except ValueError as error:
            refused = {"all": str(error)}
        if refused:
            lost.setdefault(person.name, {}).update(refused)
    return gallery, lost


def _found_again(clip: EnrolledClip, sample_rate: int) -> Clip:
    """A clip's file, or its samples where they were kept."""
    if clip.source and _is_file(clip.source):
        return clip.source
    if clip.audio:
        return from_flac(clip.audio, sample_rate)
    raise ValueError("no such file" if clip.source else "it was not kept")


def _is_file(source: str) -> bool:
    try:
        return Path(source).is_file()
    except (ValueError, OSError):
        # A gallery of somebody else's may hold anything.
        return False
