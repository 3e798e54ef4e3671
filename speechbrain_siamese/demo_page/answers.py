"""What the page answers: pieces of HTML, made of recordings and a model.

They know nothing of Gradio. A mistake of whoever asks is a ``ValueError`` whose
text can be shown as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

from speechbrain_siamese.corpus_report.page import clock
from speechbrain_siamese.demo_page.recordings import (
    CLIP,
    ENROL,
    LONG,
    Recording,
    how_long,
    playable_copy,
    sound_of,
    told_by_name,
)
from speechbrain_siamese.demo_page.spectrogram import (
    as_address,
    plot_spectrogram,
)
from speechbrain_siamese.inference.enrolled import checked_name
from speechbrain_siamese.inference.label import Segment
from speechbrain_siamese.inference.label_files import ENDINGS, write_labels
from speechbrain_siamese.pages import render_page
from speechbrain_siamese.utils.plots import COLOURS

if TYPE_CHECKING:
    from speechbrain_siamese.inference.gallery import Gallery
    from speechbrain_siamese.inference.speaker import SiameseRecognition

#: What each file of labels is, by its ending.
KINDS = {
    ".rttm": "RTTM",
    ".txt": "Audacity",
    ".vtt": "WebVTT",
    ".json": "JSON",
    ".png": "picture",
}


def compare(
    model: SiameseRecognition,
    first: Recording | None,
    second: Recording | None,
) -> str:
    """Are two clips one voice?

    Arguments
    ---------
    model : SiameseRecognition
    first, second : Recording or None

    Returns
    -------
    str
        Verdict, probability, both spectrograms.

    Raises
    ------
    ValueError
        If a clip is missing, cannot be used, or is too long.
    """
    if first is None or second is None:
        which = "first" if first is None else "second"
        raise ValueError(
            f"The {which} clip is missing: record one or drop a file."
        )
    rate = model.audio_normalizer.sample_rate
    sounds = [sound_of(one, rate, CLIP) for one in (first, second)]
    with told_by_name(first, second):
        found = model.compare_files(first.path, second.path)
    by = model.normalised_decision
    return render_page(
        "demo_comparison.html.jinja",
        found=found,
        score=found.score if by is None else found.normalised,
        threshold=(by or model.decision).threshold,
        clips=[
            _shown(one, sound, rate)
            for one, sound in zip((first, second), sounds, strict=True)
        ],
    )


def _shown(recording: Recording, sound: np.ndarray, rate: int) -> dict:
    """A clip as the page shows it."""
    return {
        "name": recording.name,
        "length": how_long(sound, rate),
        "picture": as_address(plot_spectrogram(sound, rate)),
    }


def enrol(gallery: Gallery, name: str, clip: Recording | None) -> str:
    """Add a person, or a clip to one who is enrolled.

    Arguments
    ---------
    gallery : Gallery
    name : str
    clip : Recording or None

    Returns
    -------
    str
        What was added, what is doubtful about it, who is enrolled.

    Raises
    ------
    ValueError
        If there is no name, or the clip cannot be used.
    """
    if not (name or "").strip():
        raise ValueError("The name is missing: write how the person is called.")
    name = checked_name(name)
    sound = sound_of(clip, gallery.model.audio_normalizer.sample_rate, ENROL)
    # As sound, so that the gallery keeps no path.
    done = gallery.enroll(name, sound)
    return render_page(
        "demo_enrolment.html.jinja",
        done=done,
        doubts=[doubt for each in done.warnings.values() for doubt in each],
        people=gallery.list(),
    )


def identify(gallery: Gallery, clip: Recording | None) -> str:
    """Who of those enrolled is it?

    Arguments
    ---------
    gallery : Gallery
    clip : Recording or None

    Returns
    -------
    str
        A name or nobody's, and how probable each is.

    Raises
    ------
    ValueError
        If nobody is enrolled, or the clip cannot be used.
    """
    if not gallery.list():
        raise ValueError(
            "Nobody is enrolled yet: give the page somebody's voice under "
            "“Enrol” first."
        )
    sound = sound_of(clip, gallery.model.audio_normalizer.sample_rate, CLIP)
    found = gallery.identify(sound)
    return render_page("demo_identification.html.jinja", found=found)


def label(
    model: SiameseRecognition,
    gallery: Gallery | None,
    recording: Recording | None,
    folder: Path,
) -> str:
    """Who speaks when in a long recording?

    Arguments
    ---------
    model : SiameseRecognition
    gallery : Gallery or None
        Who may be named.
    recording : Recording or None
    folder : Path
        Where its playable copy and its labels go; the page must be allowed to
        serve it.

    Returns
    -------
    str
        A time line that plays what is clicked.

    Raises
    ------
    ValueError
        If the recording cannot be used, or the model has not learnt voices in
        turns.
    """
    people = gallery if gallery and gallery.list() else None
    model.check_label(people, None, False)
    rate = model.audio_normalizer.sample_rate
    copy = playable_copy(recording, folder / "recording.flac", rate, LONG)
    with told_by_name(copy):
        segments = model.label(copy.path, people)
    title = Path(copy.name).stem
    files = {}
    for ending in ENDINGS:
        path = folder / f"labels{ending}"
        write_labels(path, segments, title)
        files[KINDS[ending]] = address(path)
    return render_page(
        "demo_time_line.html.jinja",
        name=copy.name,
        sound=address(copy.path),
        rows=rows_of(segments),
        segments=[*enumerate(segments)],
        files=files,
        clock=clock,
    )


def rows_of(segments: Sequence[Segment]) -> list[dict]:
    """Segments as the rows of a time line, one a voice.

    Arguments
    ---------
    segments : Sequence[Segment]

    Returns
    -------
    list of dict
        In the order in which voices come: ``speaker``, ``enrolled``,
        ``seconds`` in all, ``colour``, and its ``segments``: number among all,
        segment, and where it begins and how long it is in percent of the time
        up to the last segment's end.

    Example
    -------
    >>> first, second = Segment(0, 5, "A"), Segment(5, 20, "B")
    >>> [row["segments"] for row in rows_of([first, second])][1]
    [(1, Segment(start=5, end=20, speaker='B', ...), 25.0, 75.0)]
    """
    whole = max((one.end for one in segments), default=0) / 100
    rows = {}
    for number, one in enumerate(segments):
        row = rows.setdefault(
            one.speaker,
            {
                "speaker": one.speaker,
                "enrolled": one.enrolled,
                "seconds": 0.0,
                "colour": COLOURS[len(rows) % len(COLOURS)],
                "segments": [],
            },
        )
        length = one.end - one.start
        row["seconds"] += length
        row["segments"].append((number, one, one.start / whole, length / whole))
    return [*rows.values()]


def address(path: Path) -> str:
    """Where the page serves a file of its session, relative to itself.

    Arguments
    ---------
    path : Path

    Returns
    -------
    str

    Example
    -------
    >>> address(Path("/tmp/a b/recording.flac"))
    'gradio_api/file=/tmp/a%20b/recording.flac'
    """
    return f"gradio_api/file={quote(path.as_posix())}"


def message(text: str) -> str:
    """What is told in place of an answer.

    Arguments
    ---------
    text : str

    Returns
    -------
    str

    Example
    -------
    >>> print(message("a < b"))
    <p class="message"><span aria-hidden="true">⚠</span> a &lt; b</p>
    """
    return render_page("demo_message.html.jinja", text=text)
