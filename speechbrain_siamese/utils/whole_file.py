"""Files that appear whole or not at all."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import tempfile
import uuid
import wave
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import numpy as np

#: Ending of a file that is being written; such a file may always be deleted.
PARTIAL = ".partial"

#: Bytes of a file's name that its partial can have too: file systems stop at
#: 255, and the partial's own marks and those of SQLite's journal need room.
LONGEST = 220

#: Bytes of a longer name that its partial begins with.
BEGINNING = 100

#: Bytes that are read at a time.
CHUNK = 1 << 20

#: How text begins that spreadsheets run, or that was kept from it.
_FORMULA = re.compile(r"'*\s*[=+\-@\t\r＝＋－＠]")


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary path to write to, which becomes ``path`` at the end.

    After an error or a kill there is the old file or none, never half of one.
    Missing folders are made.

    Arguments
    ---------
    path : str or Path
        Where the file shall appear.

    What a killed process leaves is removed by ``remove_partials``: it has a
    name of its own, so that no other writer ever takes it for its own.

    Yields
    ------
    Path
        Where to write it: the same folder, hidden, ending in ``PARTIAL``.

    Example
    -------
    >>> target = Path(getfixture("tmp_path")) / "new" / "notes.txt"
    >>> with whole_file(target) as partial:
    ...     _ = partial.write_text("all of it")
    >>> target.read_text()
    'all of it'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(
        f".{_fitting(path.name)}.{uuid.uuid4().hex[:8]}{PARTIAL}"
    )
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_text(path: str | Path) -> Iterator[TextIO]:
    """Open a text file of UTF-8 that appears at the end, whole.

    A file name need not be valid UTF-8: its odd bytes are spelt out.

    Arguments
    ---------
    path : str or Path
        As for ``whole_file``.

    Yields
    ------
    TextIO
        Writes line ends as they are.
    """
    spelt = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
    with whole_file(path) as partial, open(partial, "w", **spelt) as file:
        yield file


def check_writable(path: str | Path) -> None:
    """Refuse a file that could not be written, before hours of work.

    Arguments
    ---------
    path : str or Path
        The file; missing folders are made.

    Raises
    ------
    OSError
        If nothing can be written there.

    Example
    -------
    >>> check_writable(getfixture("tmp_path") / "new" / "talk.rttm")
    """
    folder = Path(path).parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
    # Its name may be longer than the file system has them.
    with suppress(FileNotFoundError):
        os.lstat(path)


def file_digest(path: str | Path, *more: object) -> str:
    """Hash of a file's bytes, and of what else its key depends on.

    Arguments
    ---------
    path : str or Path
    *more
        What JSON can hold.

    Returns
    -------
    str
        32 hexadecimal digits.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(more).encode())
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def remove_partials(folder: str | Path) -> None:
    """Remove what killed processes left below a folder.

    Arguments
    ---------
    folder : str or Path
        Need not exist.

    Example
    -------
    >>> folder = Path(getfixture("tmp_path"))
    >>> _ = (folder / ".notes.txt.1234abcd.partial").write_text("half of")
    >>> remove_partials(folder)
    >>> list(folder.iterdir())
    []
    """
    for path in Path(folder).rglob(f".*{PARTIAL}"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def remove_partials_of(path: str | Path) -> None:
    """Remove what killed processes left of one file that is written again.

    For files that no two processes write at the same time.

    Arguments
    ---------
    path : str or Path
        Need not exist.

    Example
    -------
    >>> folder = Path(getfixture("tmp_path"))
    >>> _ = (folder / ".notes.txt.1234abcd.partial").write_text("half of")
    >>> remove_partials_of(folder / "notes.txt")
    >>> list(folder.iterdir())
    []
    """
    path = Path(path)
    # With a journal of SQLite's, where it is a gallery.
    own = re.compile(
        rf"\.{re.escape(_fitting(path.name))}\.[0-9a-f]{{8}}"
        rf"{re.escape(PARTIAL)}(-journal)?"
    )
    for found in path.parent.glob(f".*{PARTIAL}*"):
        # Not of "a.b" where "a" is written.
        if own.fullmatch(found.name):
            found.unlink(missing_ok=True)


def _fitting(name: str) -> str:
    """A file's name as its partial has it: a long one makes room for more."""
    spelt = os.fsencode(name)
    if len(spelt) <= LONGEST:
        return name
    # Between two characters, not within one.
    beginning = spelt[:BEGINNING].decode(errors="ignore")
    return f"{beginning}.{hashlib.blake2b(spelt, digest_size=8).hexdigest()}"


def write_csv(
    path: str | Path, header: Sequence[str], rows: Iterable[Sequence]
) -> None:
    """Write a CSV file in UTF-8, whole or not at all.

    Arguments
    ---------
    path : str or Path
    header : Sequence[str]
        Names of the columns.
    rows : Iterable[Sequence]
        Values in the order of the header.
    """
    with whole_text(path) as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def write_table(
    path: str | Path, header: Sequence[str], rows: Iterable[Sequence]
) -> None:
    """Write a CSV file that people open in a spreadsheet.

    A spreadsheet runs a cell that begins as a formula does, and names of
    files and of people come from others: such text gets an apostrophe in
    front. ``plain_cell``, and so every table that we read, takes it off.

    Arguments
    ---------
    path, header, rows
        As for ``write_csv``.

    Example
    -------
    >>> path = Path(getfixture("tmp_path")) / "people.csv"
    >>> write_table(path, ["name", "score"], [["=HYPERLINK(0)", -1.5]])
    >>> path.read_text().splitlines()
    ['name,score', "'=HYPERLINK(0),-1.5"]
    """
    write_csv(path, header, ([_harmless(cell) for cell in row] for row in rows))


def _harmless(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula; numbers stay."""
    if isinstance(cell, str) and _FORMULA.match(cell):
        try:
            float(cell)
        except ValueError:
            return f"'{cell}"
    return cell


def plain_cell(cell: str) -> str:
    """A cell as it was before ``write_table`` wrote it.

    Arguments
    ---------
    cell : str

    Returns
    -------
    str

    Example
    -------
    >>> plain_cell("'=sita"), plain_cell("'sita'"), plain_cell("=sita")
    ('=sita', "'sita'", '=sita')
    """
    if cell.startswith("'") and _FORMULA.match(cell[1:]):
        return cell[1:]
    return cell


def write_wav(
    path: str | Path, parts: Iterable[np.ndarray], sample_rate: int
) -> None:
    """Write mono audio of 16 bits.

    Unlike soundfile, whose error is "System error", it says so if the disk is
    full.

    Arguments
    ---------
    path : str or Path
        Where to write; ``whole_file`` gives one.
    parts : Iterable[np.ndarray]
        int16, (samples,) each.
    sample_rate : int
        Hz.

    Raises
    ------
    OSError
        If it cannot be written.

    Example
    -------
    >>> import soundfile
    >>> target = Path(getfixture("tmp_path")) / "a.wav"
    >>> write_wav(target, [np.array([1, -2], dtype=np.int16)], 16000)
    >>> soundfile.read(target, dtype="int16")
    (array([ 1, -2], dtype=int16), 16000)
    """
    with wave.open(os.fspath(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        for part in parts:
            file.writeframesraw(part.astype("<i2", copy=False).data)
