"""Files of those who have the page open: gone as soon as they close it.

Everything lies in one folder that only this user can read, and which is removed
when the page ends. Gradio puts what is uploaded into ``uploads``, and serves
what is in there to those who know its name; what is not served is ``private``.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

try:
    import fcntl
except ImportError:
    #: Windows locks whatever file is open against being removed.
    fcntl = None

#: How the folder's name begins.
PREFIX = "siamese-demo-"

#: Seconds without use after which a session ends: a closed lid tells nobody.
IDLE = 3 * 3600.0

#: Seconds after which an upload goes that no session has asked about.
UNCLAIMED = 600.0

#: Seconds that the end of the page waits for answers that are being made.
PATIENCE = 10.0


@dataclass
class Session:
    """The files of one open page.

    Arguments
    ---------
    private : Path
        Folder that is not served.
    served : Path
        Folder that is, under a name that cannot be guessed.
    uploads : set of Path
        What was given to it.
    users : int
        Answers that are being made from it.
    used : float
        When it was last used, by ``time.monotonic``.
    ended : bool
        Whether it is to go as soon as nobody uses it.
    """

    private: Path
    served: Path
    uploads: set[Path] = field(default_factory=set)
    users: int = 0
    used: float = 0.0
    ended: bool = False


class Sessions:
    """All open pages, by the key that Gradio gives each.

    Arguments
    ---------
    root : str or Path
        An empty folder.

    Example
    -------
    >>> sessions = Sessions(getfixture("tmp_path"))
    >>> with sessions.use("key") as session:
    ...     _ = (session.private / "people.sqlite").write_text("voices")
    >>> sessions.end("key")
    >>> session.private.exists()
    False
    """

    def __init__(self, root: str | Path):
        # Resolved, as Gradio tells paths.
        root = Path(root).resolve()
        self.uploads, self._private = root / "uploads", root / "private"
        self.uploads.mkdir()
        self._private.mkdir()
        self._open: dict[str, Session] = {}
        self._lock = threading.Condition()

    @contextmanager
    def use(self, key: str | None) -> Iterator[Session]:
        """Work with the files of a session; it begins with its first use.

        Arguments
        ---------
        key : str or None
            None for somebody whom the server will not see go: a session that
            ends with this use.

        Yields
        ------
        Session
        """
        passing = key is None
        key = secrets.token_hex(16) if passing else key
        with self._lock:
            session = self._open.get(key)
            if session is None:
                session = self._open[key] = self._begin()
            session.users += 1
        try:
            yield session
        finally:
            with self._lock:
                session.users -= 1
                session.used = time.monotonic()
                session.ended |= passing
                self._remove_ended()

    def claim(self, session: Session, path: Path) -> None:
        """Let an upload go with a session; with the last of several.

        Arguments
        ---------
        session : Session
        path : Path

        Raises
        ------
        ValueError
            If it is no upload.
        """
        try:
            path = path.resolve()
            # A folder is no upload, were it that of all of them.
            upload = path.is_relative_to(self.uploads) and not path.is_dir()
        except (ValueError, OSError):
            # Its name is none that a file can have.
            upload = False
        if not upload:
            raise ValueError(f"{path.name} was not given to this page")
        with self._lock:
            session.uploads.add(path)

    def end(self, key: str | None) -> None:
        """Remove a session's files, after the answers that need them.

        Arguments
        ---------
        key : str or None
            One that is unknown is no mistake.
        """
        with self._lock:
            if key in self._open:
                self._open[key].ended = True
            self._remove_ended()

    def end_all(self) -> None:
        """Remove everything, and wait a little for answers being made."""
        with self._lock:
            for session in self._open.values():
                session.ended = True
            self._remove_ended()
            self._lock.wait_for(lambda: not self._open, PATIENCE)

    def sweep(self) -> None:
        """Remove sessions that nobody uses, and uploads of no session."""
        now = time.monotonic()
        with self._lock:
            for session in self._open.values():
                session.ended |= not session.users and now - session.used > IDLE
            self._remove_ended()
            kept = [one.served for one in self._open.values()]
            kept += [path for s in self._open.values() for path in s.uploads]
            for path in [*self.uploads.rglob("*")]:
                if path.is_file() and not any(map(path.is_relative_to, kept)):
                    _remove_old(path, self.uploads)

    def _begin(self) -> Session:
        """Folders of a new session."""
        token = secrets.token_hex(16)
        session = Session(self._private / token, self.uploads / token)
        session.private.mkdir(parents=True)
        session.served.mkdir(parents=True)
        return session

    def _remove_ended(self) -> None:
        """Remove what has ended and is not in use; the lock is held."""
        for key, session in [*self._open.items()]:
            if not session.ended or session.users:
                continue
            del self._open[key]
            shutil.rmtree(session.private)
            shutil.rmtree(session.served)
            # Gradio keeps one copy of what two people give.
            others = [other.uploads for other in self._open.values()]
            for path in session.uploads.difference(*others):
                _remove_upload(path, self.uploads)
        self._lock.notify_all()


def _remove_upload(path: Path, root: Path) -> None:
    """Remove a file, and the folder that Gradio has made for it alone."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
    if path.parent != root:
        # It stays where another file comes into it this moment.
        with suppress(OSError):
            path.parent.rmdir()


def _remove_old(path: Path, root: Path) -> None:
    """Remove an upload of no session, unless it is on its way to one."""
    try:
        old = time.time() - path.stat().st_mtime > UNCLAIMED
    except FileNotFoundError:
        return  # moved to its place meanwhile
    if old:
        _remove_upload(path, root)


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for the time of one run; what killed runs have left goes, too.

    Yields
    ------
    Path
        Readable by this user alone.

    Example
    -------
    >>> with own_folder() as folder:
    ...     folder.is_dir()
    True
    >>> folder.exists()
    False
    """
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        _remove_if_left(left)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    with open(folder / "lock", "w") as lock:
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            if not fcntl:
                lock.close()
            shutil.rmtree(folder)


def _remove_if_left(folder: Path) -> None:
    """Remove the folder of a run that is over: nobody holds its lock."""
    try:
        about = folder.lstat()
        # A minute, in which another run may be about to take its lock.
        young = time.time() - about.st_mtime < 60
        if not _is_own(about) or folder.is_symlink() or young:
            return
        if not (folder / "lock").exists():
            # Its run was killed before it had a lock, or after.
            shutil.rmtree(folder)
            return
        if fcntl:
            with open(folder / "lock") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
        else:
            (folder / "lock").unlink()
            shutil.rmtree(folder)
    except OSError:
        return  # in use, or gone meanwhile


def _is_own(about: os.stat_result) -> bool:
    """Whether a file is this user's; on Windows the folder above is."""
    return not hasattr(os, "getuid") or about.st_uid == os.getuid()
