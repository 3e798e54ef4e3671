"""``sources.csv``: who speaks at which address on the net."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from speechbrain_siamese.dataio.user_tables import (
    gender_of,
    read_user_table,
    seconds_of,
)

#: Bytes of a note about a recording, with room to spare.
MOST_BYTES = 1_000_000

#: Bytes that the name of a folder may have on any disk.
LONGEST_FOLDER = 255

EXPECTED = (
    "'speaker' and 'url', and optionally 'start' and 'stop' (seconds, or "
    "hours:minutes:seconds) and 'gender'"
)


@dataclass(frozen=True)
class Source:
    """A recording of one speaker on the net, or a stretch of it.

    Arguments
    ---------
    speaker : str
        Name of the speaker's folder, in any script.
    url : str
        Of a page that yt-dlp knows, or of a file.
    start : float
        Seconds from the beginning.
    stop : float or None
        Seconds from the beginning; None for the end.
    gender : str
        As the user calls it; empty if not told.
    """

    speaker: str
    url: str
    start: float = 0.0
    stop: float | None = None
    gender: str = ""

    @property
    def whole(self) -> bool:
        """Whether nothing is cut off."""
        return not self.start and self.stop is None


def read_sources(path: str | Path) -> list[Source]:
    """Read and check the table.

    Arguments
    ---------
    path : str or Path
        ``sources.csv`` with the columns ``speaker, url, start, stop, gender``,
        of which the last three may be missing or empty.

    Returns
    -------
    list of Source
        In their order; a row that is there twice is taken once.

    Raises
    ------
    ValueError
        If the table is missing or empty, or a row cannot be understood.

    Example
    -------
    >>> path = getfixture("tmp_path") / "sources.csv"
    >>> _ = path.write_text(
    ...     "speaker,url,start,stop\\nsita,https://a.b/c.webm,1:15,1:02:15\\n"
    ... )
    >>> read_sources(path)[0].start, read_sources(path)[0].stop
    (75.0, 3735.0)
    """
    sources = []
    for line, cells in read_user_table(path, ["speaker", "url"], EXPECTED):
        try:
            sources.append(_source(cells))
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from error
    if not sources:
        raise ValueError(
            f"{path} names nothing: give each recording a line with {EXPECTED}"
        )
    return list(dict.fromkeys(sources))


def _source(cells: dict[str, str]) -> Source:
    speaker, url = cells["speaker"], cells["url"]
    if speaker.startswith(".") or any(c in speaker for c in '/\\:*?"<>|\0'):
        raise ValueError(
            f"the speaker {speaker!r} cannot be the name of a folder: leave "
            'out a dot at its beginning and / \\ : * ? " < > |'
        )
    if len(speaker.encode()) > LONGEST_FOLDER:
        raise ValueError(
            f"the speaker {speaker[:20]!r}... has {len(speaker.encode())} "
            f"bytes, expected at most {LONGEST_FOLDER} for the name of a folder"
        )
    if not url.startswith(("http://", "https://")):
        raise ValueError(
            f"the url is {url!r}, expected one that begins with https:// or "
            "http://"
        )
    start = seconds_of(cells.get("start") or "0")
    stop = seconds_of(cells["stop"]) if cells.get("stop") else None
    if stop is not None and stop <= start:
        raise ValueError(
            f"stop is {cells['stop']} and start {cells.get('start') or 0}: "
            "stop has to be later"
        )
    return Source(speaker, url, start, stop, gender_of(cells))


def read_source_note(path: str | Path) -> dict:
    """What stands in the note that ``download.py`` keeps beside a recording.

    Arguments
    ---------
    path : str or Path
        The recording's, but ends in ``.json``.

    Returns
    -------
    dict
        Numbers and words; empty if there is none, or what is there is no note.

    Example
    -------
    >>> read_source_note("no/such/recording.json")
    {}
    """
    path = Path(path)
    try:
        # A pipe would be waited for.
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return {}
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(told, dict):
        return {}
    # The user's recordings may have notes of other programs beside them.
    plain = (str, int, float, type(None))
    return {key: one for key, one in told.items() if isinstance(one, plain)}
