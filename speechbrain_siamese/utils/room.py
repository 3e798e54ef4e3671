"""Says what could not be written, and how to go on, where a disk is full."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: What the system says where a file cannot be written; a cluster that does
#: not answer says others.
NOT_WRITABLE = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EFBIG,
    errno.ENOSPC,
    errno.EPERM,
    errno.EROFS,
}

#: PyTorch's words for the same, which do not tell the reason.
_TORCH = re.compile("PytorchStreamWriter|inline_container|iostream|file write")

#: Those of safetensors, which do.
_NUMBER = re.compile(r"\(os error (\d+)\)")


@contextmanager
def told_writing(what: str, path: str | Path) -> Iterator[None]:
    """Turn errors of a disk that cannot be written into words that help.

    Arguments
    ---------
    what : str
        What is written, as in "cannot write the ...".
    path : str or Path
        Where to.

    Raises
    ------
    OSError
        If there is no room or no permission. Other errors stay as they are.

    Example
    -------
    >>> with told_writing("notes", "/there/notes.txt"):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
        ...
    OSError: [Errno 28] cannot write the notes (No space left on device). ...
    """
    try:
        yield
    except Exception as error:
        number, reason = _cause(error)
        if number not in NOT_WRITABLE:
            raise
        raise OSError(
            number,
            f"cannot write the {what} ({reason}). Give it room or permission, "
            "or another output folder, and give the same command again: it "
            "goes on with what is missing",
            str(path),
        ) from error


def _cause(error: Exception) -> tuple[int | None, str]:
    """Number and words of what the system said."""
    reason = str(error)
    if isinstance(error, OSError):
        return error.errno, error.strerror or reason
    if found := _NUMBER.search(reason):
        return int(found[1]), os.strerror(int(found[1]))
    if isinstance(error, RuntimeError) and _TORCH.search(reason):
        return errno.ENOSPC, "PyTorch was not told why: is the disk full?"
    return None, reason
