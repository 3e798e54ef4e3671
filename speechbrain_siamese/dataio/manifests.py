"""Manifests (SpeechBrain CSV) and trial lists (VoxCeleb text)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TextIO

from speechbrain_siamese.utils.whole_file import whole_file, write_csv

#: How the paths of a manifest begin.
ROOT = "$data_root/"

#: Letters of a line of a trial list: two paths, each as long as systems allow.
LONGEST_LINE = 10_000


@dataclass(frozen=True)
class Row:
    """One usable stretch of a cleaned recording.

    Arguments
    ---------
    ID : str
        Unique in the manifest, ASCII without spaces.
    duration : float
        Seconds.
    wav : str
        Path of the file; begins with ``$data_root``.
    start : int
        First sample.
    stop : int
        Sample after the last.
    spk_id : str
        Speaker.
    gender : str
        As the user gave it, empty if unknown.
    session : str
        The original recording.
    """

    ID: str
    duration: float
    wav: str
    start: int
    stop: int
    spk_id: str
    gender: str
    session: str


def write_manifest(rows: Iterable[Row], path: str | Path) -> None:
    """Write a manifest, whole or not at all.

    Arguments
    ---------
    rows : Iterable[Row]
    path : str or Path
    """
    write_csv(path, [field.name for field in fields(Row)], map(astuple, rows))


def rooted(path: Path, folder: Path) -> str:
    """A path as manifests hold it.

    Arguments
    ---------
    path : Path
    folder : Path
        That of the manifest.

    Returns
    -------
    str

    Example
    -------
    >>> rooted(Path("prepared/clean/sita/1.wav"), Path("prepared"))
    '$data_root/clean/sita/1.wav'
    """
    return f"{ROOT}{path.relative_to(folder).as_posix()}"


def read_rows(
    path: str | Path, needed: Sequence[str] = ("wav",)
) -> list[dict[str, str]]:
    """Read the rows of a manifest as they stand there, as text.

    Arguments
    ---------
    path : str or Path
    needed : Sequence of str
        Columns that have to be there, ``wav`` among them.

    Returns
    -------
    list of dict of str : str

    Raises
    ------
    ValueError
        If it is damaged, or a path in it leads out of the manifest's folder.
    OSError
        If it cannot be read.

    Example
    -------
    >>> path = getfixture("tmp_path") / "train.csv"
    >>> _ = path.write_text("ID,wav\\n1,$data_root/../../secret.wav\\n")
    >>> read_rows(path)
    Traceback (most recent call last):
        ...
    ValueError: ...train.csv names '../../secret.wav', which leads out of ...
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}): expected a manifest as the "
            "preparation writes it; prepare the recordings again"
        ) from error
    for row in rows:
        if None in row or None in row.values() or not {*needed} <= row.keys():
            raise ValueError(
                f"{path} is damaged: it has a row of another length than its "
                f"header, or lacks a column of {', '.join(needed)}; prepare "
                "the recordings again"
            )
        if not row["wav"].startswith(ROOT):
            raise ValueError(
                f"{path} names {row['wav']!r}, expected a path that begins "
                f"with {ROOT}: prepare the recordings again"
            )
        check_inside(row["wav"].removeprefix(ROOT), path)
    return rows


def check_inside(name: str, where: str | Path) -> None:
    """Refuse a path that leads out of the folder in which it begins.

    Lists and manifests come from others, too; what they name is decoded, and
    excerpts go into pages that are sent on. A link that lies in the folder is
    followed: whoever owns the folder has put it there.

    Arguments
    ---------
    name : str
        A path, relative to the folder.
    where : str or Path
        The file that names it, for the error.

    Raises
    ------
    ValueError
        If it is absolute, or climbs by ``..``.

    Example
    -------
    >>> check_inside("sita/1.wav", "trials.txt")
    >>> check_inside("../other/1.wav", "trials.txt")
    Traceback (most recent call last):
        ...
    ValueError: trials.txt names '../other/1.wav', which leads out of ...
    """
    # Both kinds of slashes: a list made elsewhere means the same here.
    parts = name.replace("\\", "/").split("/")
    if not parts[0] or ".." in parts or "\0" in name or Path(name).anchor:
        raise ValueError(
            f"{where} names {name!r}, which leads out of its folder: expected "
            "paths relative to the folder of the audio, without '..'"
        )


@dataclass(frozen=True)
class Trial:
    """Two utterances and whether they are one speaker's.

    Arguments
    ---------
    label : int
        1 the same speaker, 0 different ones.
    enrol : str
        Path of the one, relative to the list's audio folder.
    test : str
        Path of the other.
    """

    label: int
    enrol: str
    test: str


def write_trials(trials: Iterable[Trial], path: str | Path) -> None:
    """Write a trial list in VoxCeleb's format, ``1 enrol.wav test.wav``.

    Arguments
    ---------
    trials : Iterable[Trial]
    path : str or Path
    """
    with whole_file(path) as partial:
        partial.write_text(
            "".join(f"{t.label} {t.enrol} {t.test}\n" for t in trials),
            encoding="utf-8",
        )


def read_trials(path: str | Path) -> list[Trial]:
    """Read a trial list in VoxCeleb's format.

    Arguments
    ---------
    path : str or Path

    Returns
    -------
    list of Trial

    Raises
    ------
    ValueError
        If the file is missing or empty, or a line is not of the format.

    Example
    -------
    >>> path = getfixture("tmp_path") / "trials.txt"
    >>> write_trials([Trial(1, "a/1.wav", "a/2.wav")], path)
    >>> read_trials(path)
    [Trial(label=1, enrol='a/1.wav', test='a/2.wav')]
    """
    return [Trial(*parts) for parts in parse_trials(path)]


def parse_trials(path: str | Path) -> Iterator[tuple[int, str, str]]:
    """Read a trial list line by line, however long it is.

    Arguments
    ---------
    path : str or Path

    Yields
    ------
    tuple of int, str, str
        Label, enrolment and test utterance.

    Raises
    ------
    ValueError
        As ``read_trials``.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no trial list {path}")
    empty = True
    # Spreadsheets put a byte order mark in front of UTF-8.
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(_lines(file, path), start=1):
            parts = line.split()
            if not parts:
                continue
            if len(parts) != 3 or parts[0] not in ("0", "1"):
                raise ValueError(
                    f"{path}, line {number}: found {line[:200].rstrip()!r}, "
                    "expected '1 enrol.wav test.wav' (1 the same speaker, 0 "
                    "different)"
                )
            empty = False
            yield int(parts[0]), parts[1], parts[2]
    if empty:
        raise ValueError(f"{path} holds no trial")


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    """Lines of a file, none of which takes more memory than a line may."""
    try:
        while line := file.readline(LONGEST_LINE + 1):
            if len(line) > LONGEST_LINE:
                raise ValueError(
                    f"{path} has a line of more than {LONGEST_LINE} letters, "
                    "so it is no trial list"
                )
            yield line
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8 ({error}), so it is no trial list"
        ) from error
