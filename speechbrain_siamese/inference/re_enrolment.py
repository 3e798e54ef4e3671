"""Make a gallery anew for another model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from speechbrain_siamese.inference.clips import Clip, from_flac
from speechbrain_siamese.inference.gallery import Gallery
from speechbrain_siamese.inference.gallery_store import GalleryStore

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
    for person in before.people():
        clips: list[Clip] = []
        for clip in before.clips(person.name):
            if clip.source and Path(clip.source).is_file():
                clips.append(clip.source)
            elif clip.audio:
                clips.append(
                    from_flac(clip.audio, model.audio_normalizer.sample_rate)
                )
            else:
                label = clip.source or f"waveform {clip.digest[:8]}"
                reason = "no such file" if clip.source else "it was not kept"
                lost.setdefault(person.name, {})[label] = reason
        try:
            done = gallery.enroll(person.name, clips)
            refused = done.refused
        except ValueError as error:
            refused = {"all": str(error)}
        if refused:
            lost.setdefault(person.name, {}).update(refused)
    return gallery, lost
