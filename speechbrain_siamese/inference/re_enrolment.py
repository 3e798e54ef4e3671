"""Make a gallery anew for another model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from speechbrain_siamese.inference.clips import clip_to_enroll, from_flac
from speechbrain_siamese.inference.gallery import Gallery
from speechbrain_siamese.inference.gallery_store import (
    EnrolledClip,
    GalleryStore,
    checked_name,
)

if TYPE_CHECKING:
    from speechbrain_siamese.inference.speaker import SiameseRecognition


def re_enroll(
    model: SiameseRecognition, old: str | Path, new: str | Path
) -> tuple[Gallery, dict[str, dict[str, str]]]:
    """Make a gallery anew with another model, from its stored source paths.

    The old gallery stays as it is; audio that it keeps, the new one keeps, too.

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
    for person in before.people():
        try:
            name = checked_name(person.name)
        except ValueError as error:
            lost[person.name] = {"all": str(error)}
            continue
        reasons, again = {}, []
        for clip in before.clips(person.name, with_audio=True):
            try:
                again.append(_embedded_again(model, clip))
            except (ValueError, OSError) as error:
                label = clip.source or f"waveform {clip.digest[:8]}"
                reasons[label] = str(error)
        gallery.store.add(name, again)
        if reasons:
            lost[person.name] = reasons
    return gallery, lost


def _embedded_again(
    model: SiameseRecognition, clip: EnrolledClip
) -> EnrolledClip:
    """A clip as this model hears its file, or its samples if they were kept."""
    if clip.source and _is_file(clip.source):
        return clip_to_enroll(model, clip.source, bool(clip.audio))[0]
    if clip.audio:
        sound = from_flac(clip.audio, model.audio_normalizer.sample_rate)
        found, _ = clip_to_enroll(model, sound, keep_audio=False)
        # As it was kept, not at this model's rate: the next may hear more.
        return replace(found, audio=clip.audio)
    raise ValueError("no such file" if clip.source else "it was not kept")


def _is_file(source: str) -> bool:
    try:
        return Path(source).is_file()
    except (ValueError, OSError):
        # A gallery of somebody else's may hold anything.
        return False
