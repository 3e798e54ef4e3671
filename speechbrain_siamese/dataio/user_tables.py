"""Tables that users write: CSV files as spreadsheets save them."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path


def read_user_table(
    path: str | Path, needed: Sequence[str], expected: str
) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a table, with the numbers of their lines.

    Arguments
    ---------
    path : str or Path
        Comma-separated, UTF-8 with or without a byte order mark; its first
        line names the columns.
    needed : Sequence[str]
        Columns that have to be there, and to be filled in each row.
    expected : str
        The columns in words, for the error.

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
    try:
        # Spreadsheets put a byte order mark in front of UTF-8.
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8 ({error}): save it as 'CSV UTF-8'"
        ) from error
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    header = [(field or "").strip() for field in reader.fieldnames or []]
    if not set(needed) <= set(header):
        raise ValueError(
            f"{path} has the columns {header}, expected a comma-separated "
            f"first line with {expected}"
        )
    reader.fieldnames = header
    for row in reader:
        if None in row:
            raise ValueError(
                f"{path}, line {reader.line_num}: more cells than the "
                f"header's {header}; put names with a comma in quotes"
            )
        cells = {
            # macOS hands out names decomposed, Linux as they were written.
            key: unicodedata.normalize("NFC", (value or "").strip())
            for key, value in row.items()
        }
        for key in needed:
            if not cells[key]:
                raise ValueError(
                    f"{path}, line {reader.line_num}: no {key}; expected "
                    f"{expected}"
                )
        yield reader.line_num, cells
