"""The page of ``siamese demo``, started as users do."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager


class Page:
    """A running page.

    Its temporary folder and the folder in which it was started are ours.
    """

    def __init__(self, export, tiny, folder):
        self.here, self.temporary = folder / "here", folder / "temporary"
        self.here.mkdir()
        self.temporary.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}/"
        self.errors = folder / "errors.txt"
        with open(self.errors, "w") as errors:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m"),
                    *("speechbrain_siamese.command_line", "demo"),
                    *(f"--source={export}", f"--port={self.port}"),
                ],
                cwd=self.here,
                env=tiny.environment() | {"TMPDIR": str(self.temporary)},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        told = self.process.stdout.readline()
        assert f"open {self.address} in a browser" in told, self.log()

    def log(self) -> str:
        return self.errors.read_text()

    def files(self) -> list[str]:
        """Names of what people have given, and of what was made of it."""
        (root,) = self.temporary.glob("siamese-demo-*")
        found = [path for path in root.rglob("*") if path.is_file()]
        return sorted(path.name for path in found if path != root / "lock")

    def status(self, address: str) -> int:
        """HTTP status of an address below the page's."""
        try:
            with urllib.request.urlopen(self.address + address) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code


@contextmanager
def running(export, tiny, folder) -> Iterator[Page]:
    """A page with a model, as long as it is needed."""
    page = Page(export, tiny, folder)
    try:
        yield page
    finally:
        page.process.kill()
        page.process.wait()
