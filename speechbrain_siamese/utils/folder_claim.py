"""One run's right to write into a folder."""

from __future__ import annotations

import uuid
from pathlib import Path

from speechbrain_siamese.utils.whole_file import whole_file


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
        self._path = Path(folder) / ".in_use"
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
