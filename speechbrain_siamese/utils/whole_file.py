"""Files that appear whole or not at all."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

#: Ending of a file that is being written; such a file may always be deleted.
PARTIAL = ".partial"


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary path to write to, which becomes ``path`` at the end.

    After an error or a kill there is the old file or none, never half of one.
    Missing folders are made.

    Arguments
    ---------
    path : str or Path
        Where the file shall appear.

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
    partial = path.with_name(f".{path.name}{PARTIAL}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


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
    with (
        whole_file(path) as partial,
        open(partial, "w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
