"""Labels of a recording as files that other programs read.

``.rttm`` (NIST, diarization tools), ``.txt`` (Audacity's label track),
``.vtt`` (WebVTT, subtitles beside a video or audio element), ``.json``.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from speechbrain_siamese.dataio.recordings import ascii_id
from speechbrain_siamese.utils.whole_file import whole_file


@dataclass(frozen=True)
class Segment:
    """A stretch in which one person speaks.

    Arguments
    ---------
    start, end : float
        Seconds.
    speaker : str
        Name of someone enrolled, or ``speaker 1``, ``speaker 2``, …
    known : bool
        Whether the name is that of someone enrolled.
    score : float or None
        Cosine of the voice with that person; None for unknown ones.
    """

    start: float
    end: float
    speaker: str
    known: bool = False
    score: float | None = None


def rttm(segments: Sequence[Segment], recording: str) -> str:
    """Write segments as RTTM.

    Arguments
    ---------
    segments : Sequence[Segment]
    recording : str
        Its name; becomes an ASCII id, as speakers' names do.

    Returns
    -------
    str

    Example
    -------
    >>> print(rttm([Segment(0.5, 2.0, "speaker 1")], "talk"), end="")
    SPEAKER talk 1 0.500 1.500 <NA> <NA> speaker-1-66f57d90 <NA> <NA>
    """
    name = ascii_id(recording)
    return "".join(
        f"SPEAKER {name} 1 {own.start:.3f} {own.end - own.start:.3f} <NA> "
        f"<NA> {ascii_id(own.speaker)} <NA> <NA>\n"
        for own in segments
    )


def audacity(segments: Sequence[Segment], recording: str = "") -> str:
    """Write segments as a label track of Audacity.

    Arguments
    ---------
    segments : Sequence[Segment]
    recording : str
        Has no place there.

    Returns
    -------
    str

    Example
    -------
    >>> audacity([Segment(0.5, 2.0, "सीता")])
    '0.500000\\t2.000000\\tसीता\\n'
    """
    del recording
    return "".join(
        f"{own.start:.6f}\t{own.end:.6f}\t{own.speaker}\n" for own in segments
    )


def webvtt(segments: Sequence[Segment], recording: str = "") -> str:
    """Write segments as WebVTT, with the speaker as voice and text.

    Arguments
    ---------
    segments : Sequence[Segment]
    recording : str
        Has no place there.

    Returns
    -------
    str

    Example
    -------
    >>> print(webvtt([Segment(0.5, 3662.0, "A & B")]), end="")
    WEBVTT
    <BLANKLINE>
    00:00:00.500 --> 01:01:02.000
    <v A &amp; B>A &amp; B
    """
    del recording
    cues = ["WEBVTT\n"]
    for own in segments:
        name = html.escape(own.speaker, quote=False)
        cues.append(
            f"{_clock(own.start)} --> {_clock(own.end)}\n<v {name}>{name}\n"
        )
    return "\n".join(cues)


def as_json(segments: Sequence[Segment], recording: str) -> str:
    """Write segments as JSON, with the seconds of each speaker.

    Arguments
    ---------
    segments : Sequence[Segment]
    recording : str

    Returns
    -------
    str
    """
    return (
        json.dumps(
            {
                "recording": recording,
                "speakers": seconds_of(segments),
                "segments": [
                    {
                        **asdict(own),
                        "start": round(own.start, 3),
                        "end": round(own.end, 3),
                    }
                    for own in segments
                ],
            },
            ensure_ascii=False,
            indent=1,
        )
        + "\n"
    )


def seconds_of(segments: Sequence[Segment]) -> dict[str, float]:
    """How long each speaker speaks.

    Arguments
    ---------
    segments : Sequence[Segment]

    Returns
    -------
    dict of str : float
        Seconds by name, in the order in which they begin.

    Example
    -------
    >>> seconds_of([Segment(0, 1, "a"), Segment(1, 3, "b"), Segment(3, 4, "a")])
    {'a': 2, 'b': 2}
    """
    found: dict[str, float] = {}
    for own in segments:
        told = found.get(own.speaker, 0) + own.end - own.start
        found[own.speaker] = round(told, 3)
    return found


#: By the ending of the file.
FORMATS: dict[str, Callable[[Sequence[Segment], str], str]] = {
    ".rttm": rttm,
    ".txt": audacity,
    ".vtt": webvtt,
    ".json": as_json,
}


def write_labels(
    path: str | Path, segments: Sequence[Segment], recording: str | Path
) -> None:
    """Write a label file, whole or not at all.

    Arguments
    ---------
    path : str or Path
        Its ending tells the format: one of ``FORMATS``.
    segments : Sequence[Segment]
    recording : str or Path
        The file that was labelled; its name without ending is told.

    Raises
    ------
    ValueError
        If the ending is none of them.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(
            f"{path} ends in {path.suffix!r}, expected one of {[*FORMATS]}"
        )
    text = FORMATS[path.suffix.lower()](segments, Path(recording).stem)
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def _clock(seconds: float) -> str:
    thousandths = round(1000 * seconds)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
