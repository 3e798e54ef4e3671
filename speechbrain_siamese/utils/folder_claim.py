"""The right to write into a folder: of one run, and beside the user's files."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

from speechbrain_siamese.utils.whole_file import whole_file

#: Name of the file that says which run has the right.
IN_USE = ".in_use"


class FolderClaim:
    """The right to a folder, which the next run takes from this one.

    A run that is killed leaves workers that go on with what they have: their
    result must not replace that of the next run. So a worker looks here before
    it puts a file in its place.

    Arguments
    ---------
    folder : str or Path
        Must exist.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> first = FolderClaim(folder)
    >>> first.check()
    >>> second = FolderClaim(folder)
    >>> first.check()
    Traceback (most recent call last):
        ...
    RuntimeError: ...: another run has begun to write into this folder; ...
    """

    def __init__(self, folder: str | Path):
        self._path = Path(folder) / IN_USE
        self._token = uuid.uuid4().hex
        with whole_file(self._path) as partial:
            partial.write_text(self._token)

    def check(self) -> None:
        """Make sure that no other run has taken the folder.

        Raises
        ------
        RuntimeError
            If one has.
        """
        try:
            ours = self._path.read_text() == self._token
        except FileNotFoundError:
            # The other one has ended meanwhile.
            ours = False
        if not ours:
            raise RuntimeError(
                f"{self._path.parent}: another run has begun to write into "
                "this folder; this one ends"
            )

    def release(self) -> None:
        """Give the folder free."""
        self._path.unlink(missing_ok=True)


def claim_folder(
    option: str, folder: str | Path, marker: str, replaced: Sequence[str]
) -> None:
    """Refuse a folder in which files of the user's would be replaced.

    A marker is written before anything else, by which the next run knows that
    what lies there is ours, however far this one comes.

    Arguments
    ---------
    option : str
        Which the folder was given by, for the message.
    folder : str or Path
        Need not exist.
    marker : str
        Name of the file that marks it.
    replaced : Sequence[str]
        Names of what will be written.

    Raises
    ------
    ValueError
        If there is something of that name, and no marker.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> claim_folder("output_folder", folder / "new", ".mine", ["train.py"])
    >>> _ = (folder / "train.py").write_text("somebody's own")
    >>> claim_folder("output_folder", folder, ".mine", ["train.py"])
    Traceback (most recent call last):
        ...
    ValueError: output_folder is ...; it holds train.py, which would be ...
    """
    folder = Path(folder)
    if (folder / marker).is_file():
        return
    check_nothing_replaced(option, folder, replaced)
    with whole_file(folder / marker) as partial:
        partial.write_text("What lies here may be replaced.\n")


def check_nothing_replaced(
    option: str, folder: str | Path, replaced: Sequence[str]
) -> None:
    """Refuse a folder that is not ours and holds what would be replaced.

    Arguments
    ---------
    option, folder, replaced
        As for ``claim_folder``.

    Raises
    ------
    ValueError
        If there is something of that name.
    """
    found = [name for name in replaced if (Path(folder) / name).exists()]
    if found:
        raise ValueError(
            f"{option} is {folder}, which this command has not begun to write "
            f"into; it holds {', '.join(found)}, which would be replaced: give "
            "a new or empty folder"
        )
