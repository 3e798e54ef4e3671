"""Tables that users write: CSV files as spreadsheets save them."""

from __future__ import annotations

import csv
import io
import math
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from speechbrain_siamese.utils.whole_file import plain_cell

#: Bytes of a table that a person wrote, with room to spare.
MOST_BYTES = 100_000_000


def read_user_table(
    path: str | Path,
    needed: Sequence[str],
    expected: str,
    without_kind: str | None = None,
) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a table that hold something, with the numbers of their lines.

    Arguments
    ---------
    path : str or Path
        Comma-separated, UTF-8 with or without a byte order mark; its first
        line names the columns.
    needed : Sequence[str]
        Columns that have to be there, and to be filled in each row.
    expected : str
        The columns in words, for the error.
    without_kind : str or None
        Rows that have it in a column ``kind`` are passed over.

    Yields
    ------
    line : int
        The first is 1.
    cells : dict of str : str
        By column, without spaces around them; "" where there is nothing.

    Raises
    ------
    ValueError
        If the file is missing or cannot be understood.

    Example
    -------
    >>> path = getfixture("tmp_path") / "speakers.csv"
    >>> _ = path.write_text("speaker, name\\nsita, Sita Devi\\n")
    >>> list(read_user_table(path, ["speaker"], "'speaker' and 'name'"))
    [(2, {'speaker': 'sita', 'name': 'Sita Devi'})]
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} is not a file; expected a table: {expected}")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(
            f"{path} has {size} bytes, expected a table of at most "
            f"{MOST_BYTES}: {expected}"
        )
    try:
        # Spreadsheets put a byte order mark in front of UTF-8.
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8 ({error}): save it as 'CSV UTF-8'"
        ) from error
    # Not by splitlines(), to which some letters end a line.
    reader = csv.DictReader(
        io.StringIO(text, newline=""), skipinitialspace=True
    )
    try:
        yield from _rows(reader, path, needed, expected, without_kind)
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {reader.reader.line_num}: {error}; expected a "
            f"table: {expected}"
        ) from error


def _rows(
    reader: csv.DictReader,
    path: Path,
    needed: Sequence[str],
    expected: str,
    without_kind: str | None,
) -> Iterator[tuple[int, dict[str, str]]]:
    header = [(field or "").strip() for field in reader.fieldnames or []]
    if not set(needed) <= set(header):
        raise ValueError(
            f"{path} has the columns {header}, expected a comma-separated "
            f"first line with {expected}"
        )
    reader.fieldnames = header
    for row in reader:
        # Spreadsheets write rows that hold nothing but commas. What is beyond
        # the header is one list of cells.
        if not any("".join(cell or "").strip() for cell in row.values()):
            continue
        if None in row:
            raise ValueError(
                f"{path}, line {reader.line_num}: more cells than the "
                f"header's {header}; put names with a comma in quotes"
            )
        cells = {
            # macOS hands out names decomposed, Linux as they were written.
            key: nfc(plain_cell(value or "").strip())
            for key, value in row.items()
        }
        if without_kind is not None and cells.get("kind") == without_kind:
            continue
        for key in needed:
            if not cells[key]:
                raise ValueError(
                    f"{path}, line {reader.line_num}: no {key}; expected "
                    f"{expected}"
                )
        yield reader.line_num, cells


def gender_of(cells: dict[str, str]) -> str:
    """Gender that a row of a table tells.

    Arguments
    ---------
    cells : dict of str : str
        As ``read_user_table`` gives them.

    Returns
    -------
    str
        As the user calls it; empty if not told.

    Raises
    ------
    ValueError
        If manifests cannot hold it.
    """
    gender = cells.get("gender", "")
    if "$" in gender:
        # SpeechBrain would look for what it stands for in the manifests.
        raise ValueError(
            f"the gender is {gender!r}, expected a word without a dollar sign"
        )
    return gender


def seconds_of(text: str) -> float:
    """Seconds of a time that a person wrote.

    Arguments
    ---------
    text : str
        Seconds, or minutes:seconds, or hours:minutes:seconds.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If it is none of these.

    Example
    -------
    >>> seconds_of("1:02:15.5"), seconds_of("75")
    (3735.5, 75.0)
    """
    parts = text.split(":")
    try:
        # float() takes "nan", "1e3" and " 1", too, which nobody writes here.
        if len(parts) > 3 or not all(
            part.replace(".", "", 1).isdecimal() for part in parts
        ):
            raise ValueError
        seconds = 0.0
        for part in parts:
            seconds = 60 * seconds + float(part)
        # Of a thousand digits.
        if not math.isfinite(seconds):
            raise ValueError
    except ValueError as error:
        raise ValueError(
            f"{text[:50]!r} is no time; expected seconds (75.5) or "
            "hours:minutes:seconds (0:01:15.5)"
        ) from error
    return seconds


def nfc(text: str) -> str:
    """A name as the tables of users have it when they are read.

    Arguments
    ---------
    text : str
        Of a folder or file; macOS hands it out decomposed.

    Returns
    -------
    str
        Composed.
    """
    return unicodedata.normalize("NFC", text)
