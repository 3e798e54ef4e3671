"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
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
        Where to write it: the same folder, ending in ``PARTIAL``.

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
    partial = path.with_name(path.name + PARTIAL)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
