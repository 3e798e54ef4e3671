"""Finds the recordings of a corpus: one folder per speaker.

Folder and file names may be in any script; the ids made from them are ASCII
without spaces, so that manifests, trial lists and RTTM files can hold them.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.user_tables import (
    gender_of,
    nfc,
    read_user_table,
    seconds_of,
)

logger = get_logger(__name__)

# fmt: off
AUDIO_SUFFIXES = frozenset([
    ".aac", ".aif", ".aiff", ".alac", ".amr",
    ".caf",  # codespell:ignore caf
    ".flac", ".m4a", ".m4b", ".mka", ".mp2", ".mp3", ".oga", ".ogg", ".opus",
    ".wav", ".weba", ".wma",
    ".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg",
    ".ts", ".webm", ".wmv",
])
# fmt: on
"""Endings (lower case) of files that are taken for recordings."""

LAYOUT = (
    "expected <data_folder>/<speaker>/<recording>.wav (or m4a, webm, mp3, "
    "ogg, flac, ...): one folder per speaker with the recordings directly in "
    "it, and optionally <data_folder>/speakers.csv with the columns "
    "speaker,name,gender"
)

#: What may lie beside the speakers' folders.
TABLES = ("speakers.csv", "exclude.csv")

#: Kind of a row of ``suspects.csv`` that is about no recording.
TWO_NAMES = "two names"

#: Ending of a clip's session where it stands beside those of recordings.
CLIP = "-clip"

# Ids become names of folders and files; file systems stop at 255 bytes, and
# endings need room.
MAX_SPEAKER = 60
MAX_SESSION = 120


#: Why stretches are cut.
EXCLUDED, RECURS = "excluded", "recurs"


@dataclass(frozen=True)
class Cut:
    """A stretch that is not wanted.

    Arguments
    ---------
    start, stop : float
        Seconds of the recording; ``stop`` may be infinite.
    why : str
        ``EXCLUDED`` by the user, or ``RECURS`` in other recordings.
    """

    start: float
    stop: float
    why: str


@dataclass(frozen=True)
class Recording:
    """One recording of one speaker.

    Arguments
    ---------
    speaker : str
        Id of the speaker, ASCII without spaces.
    name : str
        Display name of the speaker, in any script.
    gender : str
        As in ``speakers.csv``; empty if unknown.
    session : str
        Id of the recording, ASCII, unique in the corpus even where case does
        not count; begins with the speaker's id.
    path : Path
        The file.
    cut : tuple of Cut
        What of it is not wanted.
    """

    speaker: str
    name: str
    gender: str
    session: str
    path: Path
    cut: tuple[Cut, ...] = ()

    @property
    def excluded(self) -> bool:
        """Whether the user wants nothing of it."""
        return Cut(0.0, math.inf, EXCLUDED) in self.cut


def ascii_id(text: str) -> str:
    """An ASCII id without spaces for a name in any script.

    Arguments
    ---------
    text : str
        A folder or file name.

    Returns
    -------
    str
        ``text`` itself if it consists of ``A-Za-z0-9._-``; otherwise what of
        it is ASCII and eight hexadecimal digits of a hash of the whole, so
        that different names keep different ids on every platform.

    Example
    -------
    >>> ascii_id("ml0002")
    'ml0002'
    >>> ascii_id("Anna Karenina")
    'Anna-Karenina-a8aea844'
    """
    # macOS hands out names decomposed, Linux as they were written.
    text = nfc(text)
    if re.fullmatch(r"[A-Za-z0-9._-]+", text):
        return text
    plain = unicodedata.normalize("NFKD", text)
    plain = plain.encode("ascii", "ignore").decode("ascii")
    slug = re.sub(r"[^A-Za-z0-9._]+", "-", plain)[:40].strip("-._")
    return f"{slug}-{_digest(text)}" if slug else f"id-{_digest(text)}"


def find_recordings(data_folder: str | Path) -> list[Recording]:
    """All recordings of a corpus, sorted by session id.

    Hidden files and files with other endings are passed over (how many is
    logged once).

    Arguments
    ---------
    data_folder : str | Path
        Folder with one folder per speaker, the recordings directly in it,
        and optionally ``speakers.csv`` with the columns ``speaker`` (name of
        the folder), ``name`` and ``gender``, and ``exclude.csv`` with
        ``recording`` (``<folder>/<file>``) and optionally ``start`` and
        ``stop`` of what is not wanted of it.

    Returns
    -------
    list[Recording]

    Raises
    ------
    ValueError
        If the folder is missing or holds no recording, or one of its tables
        can't be understood.
    """
    return _named([_look_into(Path(data_folder))])[0]


def find_corpus(
    data_folder: str | Path, clips_folder: str | Path | None = None
) -> tuple[list[Recording], list[Recording]]:
    """All recordings and clips of a corpus: one name in both is one person.

    Arguments
    ---------
    data_folder : str | Path
        As for ``find_recordings``.
    clips_folder : str | Path | None
        Short clips, in the same layout. Of a person in both folders the name
        and the gender count that are told first, those of ``data_folder``
        before the clips'.

    Returns
    -------
    recordings : list[Recording]
    clips : list[Recording]
        With ``CLIP`` behind it, the session of each differs from those of all
        recordings.

    Raises
    ------
    ValueError
        As ``find_recordings``, for either folder.
    """
    folders = {"data_folder": data_folder, "clips_folder": clips_folder}
    found = []
    for key, folder in folders.items():
        try:
            found.append(_look_into(Path(folder)) if folder else _Folder())
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from error
    recordings, clips = _named(found)
    return recordings, clips


@dataclass(frozen=True)
class _Folder:
    """Recordings that lie in one folder, and what its tables say."""

    root: Path = Path()
    files: Sequence[Path] = ()
    people: dict[str, tuple[str, str]] = field(default_factory=dict)
    excluded: dict[str, tuple[Cut, ...]] = field(default_factory=dict)


def _look_into(root: Path) -> _Folder:
    """What is in a folder; says what of it is odd."""
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder; {LAYOUT}")
    files, ignored = _audio_files(root)
    if not files:
        found = sorted(entry.name for entry in root.iterdir())
        shown = ", ".join(found[:10]) + (" ..." if len(found) > 10 else "")
        raise ValueError(
            f"no recordings in {root}: found "
            f"{shown or 'nothing at all'}; {LAYOUT}"
        )
    if ignored:
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(ignored.items()))
        logger.info(
            "%s: ignored %d entries that are not recordings of a speaker (%s)",
            root,
            sum(ignored.values()),
            kinds,
        )

    _warn_of_links(root, files)
    people = read_speakers(root / "speakers.csv")
    excluded = read_excluded(root / "exclude.csv")
    gone = sorted(excluded.keys() - {_key(path) for path in files})
    if gone:
        logger.warning(
            "%s names %d recordings that are not there: %s",
            root / "exclude.csv",
            len(gone),
            ", ".join(gone[:10]),
        )
    return _Folder(root, files, people, excluded)


def _named(folders: Sequence[_Folder]) -> list[list[Recording]]:
    """Recordings of each folder, those of clips last, with ids and names."""
    names = sorted(
        {nfc(path.parent.name) for one in folders for path in one.files}
    )
    speakers = _distinct({name: ascii_id(name) for name in names}, MAX_SPEAKER)
    people = dict.fromkeys(names, ("", ""))
    for one in folders:
        for name in people.keys() & one.people.keys():
            # What is told first counts.
            (known, gender), other = people[name], one.people[name]
            people[name] = known or other[0], gender or other[1]
    found, taken = [], set()
    for one in folders:
        unknown = sorted(set(one.people) - set(names))
        if unknown:
            logger.warning(
                "%s names %d speakers of whom there is no recording: %s",
                one.root / "speakers.csv",
                len(unknown),
                ", ".join(unknown),
            )
        sessions = _distinct(
            {
                _key(path): f"{speakers[nfc(path.parent.name)]}-"
                f"{ascii_id(path.stem)}"
                for path in one.files
            },
            MAX_SESSION,
            taken,
        )
        recordings = []
        for path in one.files:
            folder = nfc(path.parent.name)
            name, gender = people[folder]
            recordings.append(
                Recording(
                    speaker=speakers[folder],
                    name=name or folder,
                    gender=gender,
                    session=sessions[_key(path)],
                    path=path,
                    cut=one.excluded.get(_key(path), ()),
                )
            )
        found.append(sorted(recordings, key=lambda item: item.session))
        # A recording may be called as a clip is with its ending.
        taken = {
            session.lower()[: -len(CLIP)]
            for session in sessions.values()
            if session.lower().endswith(CLIP)
        }
    return found


def _audio_files(root: Path) -> tuple[list[Path], Counter]:
    """The recordings below ``root`` and a count of what else lies there."""
    files, ignored = [], Counter()
    for entry in sorted(root.iterdir()):
        if entry.name.startswith(".") or entry.name in TABLES:
            continue
        if not entry.is_dir():
            ignored["beside the speakers' folders"] += 1
            continue
        for path in sorted(entry.iterdir()):
            if path.name.startswith("."):
                continue
            if path.is_dir():
                ignored["subfolder"] += 1
            elif path.suffix.lower() not in AUDIO_SUFFIXES:
                ignored[path.suffix.lower() or "without ending"] += 1
            else:
                files.append(path)
    return files, ignored


def _warn_of_links(root: Path, files: list[Path]) -> None:
    """Say so where links lead out of the corpus: it may be somebody else's.

    They are followed: whoever has recordings on several disks makes such.
    """
    inside = os.path.realpath(root) + os.sep
    outside = [
        path
        for path in files
        if (path.is_symlink() or path.parent.is_symlink())
        and not os.path.realpath(path).startswith(inside)
    ]
    if outside:
        logger.warning(
            "%s: %d recordings are links to files elsewhere, the first is %s: "
            "they are used. If the folder is somebody else's, look where they "
            "lead",
            root,
            len(outside),
            outside[0],
        )


def read_speakers(path: Path) -> dict[str, tuple[str, str]]:
    """Name and gender of each speaker's folder.

    Arguments
    ---------
    path : Path
        ``speakers.csv`` with the columns ``speaker, name, gender``; need not
        exist.

    Returns
    -------
    dict of str : tuple of str
        By the folder's name; empty without the file.

    Raises
    ------
    ValueError
        If the file cannot be understood.
    """
    if not path.is_file():
        return {}
    expected = "'speaker' (name of the folder) and optionally 'name', 'gender'"
    people: dict[str, tuple[str, str]] = {}
    for line, cells in read_user_table(path, ["speaker"], expected):
        speaker = cells["speaker"]
        if speaker in people:
            raise ValueError(
                f"{path}, line {line}: speaker {speaker!r} is there twice; "
                "leave one line for each"
            )
        try:
            people[speaker] = cells.get("name", ""), gender_of(cells)
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from error
    return people


def read_excluded(path: Path) -> dict[str, tuple[Cut, ...]]:
    """What the user does not want.

    Arguments
    ---------
    path : Path
        ``exclude.csv`` with the columns ``recording`` (``<folder>/<file>``)
        and optionally ``start`` and ``stop``, as ``seconds_of`` reads them;
        others are for people. Without times all of the recording is meant.
        Rows of ``suspects.csv`` may stand in it, with its first line; those
        about two names cut nothing. The file need not exist.

    Returns
    -------
    dict of str : tuple of Cut
        By the recording's folder and file.

    Raises
    ------
    ValueError
        If the file cannot be understood.
    """
    if not path.is_file():
        return {}
    expected = (
        "'recording' (<folder>/<file>) and optionally 'start' and 'stop' "
        "(seconds, or hours:minutes:seconds)"
    )
    found: dict[str, tuple[Cut, ...]] = {}
    for line, cells in read_user_table(
        path, ["recording"], expected, without_kind=TWO_NAMES
    ):
        try:
            start = seconds_of(cells.get("start") or "0")
            stop = seconds_of(cells["stop"]) if cells.get("stop") else math.inf
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from error
        if stop <= start:
            raise ValueError(
                f"{path}, line {line}: stop is {stop:g} s and start "
                f"{start:g} s: stop has to be later"
            )
        name = cells["recording"].replace("\\", "/")
        found[name] = (*found.get(name, ()), Cut(start, stop, EXCLUDED))
    return found


def _distinct(
    ids: dict[str, str], longest: int, taken: Collection[str] = ()
) -> dict[str, str]:
    """Shortens long ids; marks those that collide, case not counting.

    With each other, or with those that are taken, which are in lower case.

    The mark is a hash of the id's key, so that it depends on no order.
    """
    ids = {
        key: text
        if len(text) <= longest
        else f"{text[: longest - 9]}-{_digest(key)}"
        for key, text in ids.items()
    }
    counts = Counter([*taken, *(text.lower() for text in ids.values())])
    return {
        key: text if counts[text.lower()] == 1 else f"{text}-{_digest(key)}"
        for key, text in ids.items()
    }


def _key(path: Path) -> str:
    """What tells one recording of the corpus from another, wherever it is."""
    return nfc(f"{path.parent.name}/{path.name}")


def _digest(text: str) -> str:
    """Eight hexadecimal digits that depend on ``text`` alone."""
    raw = text.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(raw, digest_size=4).hexdigest()
