"""Runs commands one after the other and tells which files each has written.

    python run_sandboxed.py <commands.json> <folder>

The JSON is a list of ``[name, arguments]``. They run in ``<folder>/cwd`` with
the environment that this process has; each file below ``<folder>`` that is new
or changed counts as written, ``logs`` apart. Prints JSON: a list of ``[name,
exit code, files]``; the first, ``imports``, is what loading the package wrote.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

#: Of the longest command, the training.
SECONDS = 3600


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Time and size of each file, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): (
            path.stat().st_mtime_ns,
            path.stat().st_size,
        )
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] != "logs"
    }


def main(commands: str, folder: str) -> None:
    """Run all; print what each has written."""
    # Beside this file, which pytest imports, too.
    from run_attempts import attempt, preload

    root = Path(folder)
    (root / "logs").mkdir()
    os.chdir(root / "cwd")
    before, found = files(root), []
    steps = [["imports", None], *json.loads(Path(commands).read_text())]
    for number, (name, arguments) in enumerate(steps):
        if arguments is None:
            preload()
            code = 0
        else:
            log = root / "logs" / f"{number}.txt"
            code = attempt(arguments, log, SECONDS)
        after = files(root)
        made = [path for path in after if after[path] != before.get(path)]
        found.append([name, code, sorted(made)])
        before = after
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
