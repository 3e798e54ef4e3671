"""Who speaks when, as the files that other programs read, and as a picture.

Each format is a function of the segments and of the recording's name, which
not all of them tell.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from matplotlib.figure import Figure

from speechbrain_siamese.inference.label import Segment
from speechbrain_siamese.utils.plots import COLOURS, dress, save_figure
from speechbrain_siamese.utils.whole_file import whole_text

#: Inches that a picture is high at most.
HIGHEST = 60.0


def rttm(segments: Sequence[Segment], recording: str) -> str:
    """Rich Transcription Time Marked, which scoring tools read (NIST 2009).

    SpeechBrain's ``write_rttm`` has no answer for a file without speech and
    for names with spaces, and importing it seeds NumPy. Spaces become ``_``;
    where that makes one name of two, the later one gets another ``_``.

    Arguments
    ---------
    segments : Sequence[Segment]
    recording : str

    Returns
    -------
    str
        One line a segment.

    Example
    -------
    >>> print(rttm([Segment(0.5, 2.0, "Sita Devi")], "news"), end="")
    SPEAKER news 1 0.500 1.500 <NA> <NA> Sita_Devi <NA> <NA>
    """
    names: dict[str, str] = {}
    for one in segments:
        name = "_".join(one.speaker.split())
        while names.setdefault(name, one.speaker) != one.speaker:
            name += "_"
    written = {speaker: name for name, speaker in names.items()}
    file = "_".join(recording.split())
    return "".join(
        f"SPEAKER {file} 1 {one.start:.3f} {one.end - one.start:.3f} <NA> <NA> "
        f"{written[one.speaker]} <NA> <NA>\n"
        for one in segments
    )


def audacity(segments: Sequence[Segment], recording: str) -> str:
    """A label track for Audacity's File > Import > Labels, a line a segment.

    Example
    -------
    >>> audacity([Segment(0.5, 2.0, "Sita")], "news")
    '0.500000\\t2.000000\\tSita\\n'
    """
    return "".join(
        f"{one.start:.6f}\t{one.end:.6f}\t{one.speaker}\n" for one in segments
    )


def webvtt(segments: Sequence[Segment], recording: str) -> str:
    """Subtitles of who speaks, as browsers and players show them (W3C 2019).

    Example
    -------
    >>> print(webvtt([Segment(0.5, 3662.0, "A & B")], "news"), end="")
    WEBVTT
    <BLANKLINE>
    00:00:00.500 --> 01:01:02.000
    <v A &amp; B>A &amp; B
    <BLANKLINE>
    """
    parts = ["WEBVTT\n\n"]
    for one in segments:
        name = html.escape(one.speaker, quote=False)
        parts.append(
            f"{_clock(one.start)} --> {_clock(one.end)}\n<v {name}>{name}\n\n"
        )
    return "".join(parts)


def _clock(seconds: float) -> str:
    """Hours, minutes, seconds with three places."""
    thousandths = round(1000 * seconds)
    minutes, thousandths = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds, thousandths = divmod(thousandths, 1000)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{thousandths:03}"


def as_json(segments: Sequence[Segment], recording: str) -> str:
    """All that is known: an object with ``recording`` and ``segments``."""
    found = {
        "recording": recording,
        "segments": [asdict(one) for one in segments],
    }
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def plot_timeline(segments: Sequence[Segment], recording: str) -> Figure:
    """Draw who speaks when, one row a voice.

    Arguments
    ---------
    segments : Sequence[Segment]
    recording : str
        Stands above it.

    Returns
    -------
    Figure
        Rows in the order in which voices come, with their seconds in all.
    """
    speakers = [*dict.fromkeys(one.speaker for one in segments)]
    # A picture of some thousand voices would be too high for any viewer.
    height = min(1.6 + 0.35 * max(1, len(speakers)), HIGHEST)
    figure = Figure(figsize=(12, height))
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    names = []
    for row, speaker in enumerate(speakers):
        own = [one for one in segments if one.speaker == speaker]
        spans = [(one.start, one.end - one.start) for one in own]
        axes.broken_barh(
            spans, (row - 0.4, 0.8), color=COLOURS[row % len(COLOURS)]
        )
        # A name with a dollar sign is no formula.
        shown = speaker.replace("$", r"\$")
        names.append(f"{shown} ({sum(length for _, length in spans):.0f} s)")
    axes.set_yticks(range(len(speakers)), names)
    axes.set_ylim(max(len(speakers), 1) - 0.5, -0.5)
    axes.set_xlim(0, max((one.end for one in segments), default=1.0))
    axes.xaxis.set_major_formatter(lambda value, _: _clock(value)[:8])
    axes.set_xlabel("time (h:min:s)")
    title = recording.replace("$", r"\$")
    axes.set_title(title if segments else f"{title}: no speech")
    dress(axes)
    return figure


#: What writes a file, by the ending of its name.
TEXTS: dict[str, Callable[[Sequence[Segment], str], str]] = {
    ".rttm": rttm,
    ".txt": audacity,
    ".vtt": webvtt,
    ".json": as_json,
}

#: Endings that ``write_labels`` knows.
ENDINGS = (*TEXTS, ".png")


def check_ending(path: str | Path) -> None:
    """Refuse a file of another kind, before hours of work.

    Arguments
    ---------
    path : str or Path

    Raises
    ------
    ValueError
        If its ending is none of ``ENDINGS``.
    """
    if Path(path).suffix.lower() not in ENDINGS:
        raise ValueError(
            f"labels cannot be written to {path}: its name has to end in one "
            f"of {', '.join(ENDINGS)} (RTTM, Audacity's labels, WebVTT, JSON, "
            "a picture)"
        )


def write_labels(
    path: str | Path, segments: Sequence[Segment], recording: str
) -> None:
    """Write segments in the format that a file's ending tells.

    Arguments
    ---------
    path : str or Path
        Appears whole or not at all.
    segments : Sequence[Segment]
    recording : str
        Name of what was labelled.

    Raises
    ------
    ValueError
        If the ending is none of ``ENDINGS``.

    Example
    -------
    >>> path = getfixture("tmp_path") / "news.txt"
    >>> write_labels(path, [Segment(0.5, 2.0, "Sita")], "news")
    >>> path.read_text()
    '0.500000\\t2.000000\\tSita\\n'
    """
    check_ending(path)
    ending = Path(path).suffix.lower()
    if ending == ".png":
        save_figure(plot_timeline(segments, recording), path)
        return
    text = TEXTS[ending](segments, recording)
    with whole_text(path) as file:
        file.write(text)
