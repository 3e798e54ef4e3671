"""Make a gallery anew for another model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from speechbrain_siamese.inference.clips import clip_to_enroll, from_flac
from speechbrain_siamese.inference.enrolled import EnrolledClip, checked_name
from speechbrain_siamese.inference.gallery import Gallery
from speechbrain_siamese.inference.gallery_store import GalleryStore
from speechbrain_siamese.utils.whole_file import whole_file

#: Seconds by which decoders of other years may differ about a file's length.
SAME_LENGTH = 0.1

if TYPE_CHECKING:
    from speechbrain_siamese.inference.speaker import SiameseRecognition


def re_enroll(
    model: SiameseRecognition, old: str | Path, new: str | Path
) -> tuple[Gallery, dict[str, dict[str, str]]]:
    """Make a gallery anew with another model, from its clips.

    From the audio that it keeps, which the new one keeps, too, else from the
    stored source paths. The old gallery stays as it is, and the new one appears
    when all of it is there.

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
        those whose file is gone or holds another recording by now, and
        waveforms, unless their audio was kept.

    Raises
    ------
    ValueError
        If ``old`` is no gallery, or ``new`` exists, at the end, too.
    """
    _check_new(new)
    before = GalleryStore.any_model(old)
    with whole_file(new) as partial:
        lost = _filled(Gallery(model, partial), before)
        # Somebody else may have made it in the meantime.
        _check_new(new)
    return Gallery(model, new), lost


def _check_new(path: str | Path) -> None:
    if Path(path).exists():
        raise ValueError(f"{path} exists already: name a file that does not")


def _filled(
    gallery: Gallery, before: GalleryStore
) -> dict[str, dict[str, str]]:
    """Enrol everybody of an older gallery; tells what is lost."""
    lost: dict[str, dict[str, str]] = {}
    people = before.people()
    for person in tqdm(people, desc="Enrolling", unit="person", disable=None):
        try:
            name = checked_name(person.name)
        except ValueError as error:
            lost[person.name] = {"all": str(error)}
            continue
        reasons, again = {}, []
        for clip in before.clips(person.name, with_audio=True):
            try:
                again.append(_embedded_again(gallery.model, clip))
            except (ValueError, OSError) as error:
                label = clip.source or f"waveform {clip.digest[:8]}"
                reasons[label] = str(error)
        gallery.store.add(name, again)
        if reasons:
            lost[person.name] = reasons
    return lost


def _embedded_again(
    model: SiameseRecognition, clip: EnrolledClip
) -> EnrolledClip:
    """A clip as this model hears its samples if they were kept, or its file."""
    if clip.audio:
        # Surely what was enrolled: the file may hold somebody else by now.
        sound = from_flac(clip.audio, model.audio_normalizer.sample_rate)
        found, _ = clip_to_enroll(model, sound, keep_audio=False)
        # As it was kept, not at this model's rate: the next may hear more.
        return replace(
            found, digest=clip.digest, source=clip.source, audio=clip.audio
        )
    if not clip.source:
        raise ValueError("it was not kept")
    if not _is_file(clip.source):
        raise ValueError("no such file")
    found, _ = clip_to_enroll(model, clip.source, keep_audio=False)
    # The same samples, or as another decoder or rate has them of a file that
    # nobody has written since.
    unwritten = Path(clip.source).stat().st_mtime <= clip.added
    alike = abs(found.seconds - clip.seconds) <= SAME_LENGTH
    if found.digest != clip.digest and not (unwritten and alike):
        raise ValueError(
            f"the file, of {found.seconds:.1f} s, is another than what was "
            f"enrolled, of {clip.seconds:.1f} s: if it is the same person, "
            "enroll it again"
        )
    return found


def _is_file(source: str) -> bool:
    try:
        return Path(source).is_file()
    except (ValueError, OSError):
        # A gallery of somebody else's may hold anything.
        return False
