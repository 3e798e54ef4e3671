"""What the page asks, with the files of whoever asks; no traceback is seen."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from speechbrain.utils.logger import get_logger

from speechbrain_siamese.demo_page import answers
from speechbrain_siamese.demo_page.recordings import Recording
from speechbrain_siamese.demo_page.sessions import Session, Sessions

if TYPE_CHECKING:
    from speechbrain_siamese.inference.gallery import Gallery
    from speechbrain_siamese.inference.speaker import SiameseRecognition

logger = get_logger(__name__)

#: A file as Gradio tells it: ``path``, and ``orig_name`` where it was.
File = dict | None


class Questions:
    """Answers to the questions of all open pages.

    Every method takes what Gradio hands over, and the key of the session; each
    gives HTML: an answer, or what is wrong with the question.

    Arguments
    ---------
    model : SiameseRecognition
    sessions : Sessions
    """

    def __init__(self, model: SiameseRecognition, sessions: Sessions):
        self.model, self.sessions = model, sessions

    def compare(self, first: File, second: File, key: str | None) -> str:
        """Are two clips one voice?"""
        return self._answer(
            key,
            lambda session: answers.compare(
                self.model,
                self._given(session, first),
                self._given(session, second),
            ),
        )

    def enrol(self, name: str, clip: File, key: str | None) -> str:
        """Add a person to this session's gallery."""
        return self._answer(
            key,
            lambda session: answers.enrol(
                self._gallery(session), name, self._given(session, clip)
            ),
        )

    def identify(self, clip: File, key: str | None) -> str:
        """Who of this session's gallery is it?"""
        return self._answer(
            key,
            lambda session: answers.identify(
                self._gallery(session), self._given(session, clip)
            ),
        )

    def label(self, recording: File, key: str | None) -> str:
        """Who speaks when in a long recording?"""

        def make(session: Session) -> str:
            # What the last answer played; this one takes its place.
            for old in session.served.iterdir():
                shutil.rmtree(old)
            return answers.label(
                self.model,
                # Only cosines can be enrolled; the others still get numbers.
                self._gallery(session)
                if self.model.measure == "cosine"
                else None,
                self._given(session, recording),
                # Another address each time: browsers keep what they played.
                session.served / secrets.token_hex(8),
            )

        return self._answer(key, make)

    def claim(self, file: File, key: str | None) -> None:
        """Let a file that was dropped go with its session, asked about or not.

        What has gone meanwhile is no mistake.
        """
        if key is None or not file:
            return
        with self.sessions.use(key) as session:
            self.sessions.claim(session, Path(file["path"]))

    def _gallery(self, session: Session) -> Gallery:
        return self.model.gallery(session.private / "people.sqlite")

    def _given(self, session: Session, file: File) -> Recording | None:
        """A file of the session, as an answer takes it."""
        if not file:
            return None
        path = Path(file["path"])
        self.sessions.claim(session, path)
        name = file.get("orig_name") or path.name
        if not path.is_file():
            raise ValueError(
                f"{name} is no longer here: what was given to this page has "
                "been deleted. Reload it, and give the file again."
            )
        return Recording(path, name)

    def _answer(self, key: str | None, make: Callable[[Session], str]) -> str:
        """An answer, or what went wrong in words."""
        with self.sessions.use(key) as session:
            try:
                return make(session)
            except ValueError as error:
                return answers.message(str(error))
            except Exception:
                logger.exception("a question could not be answered")
                return answers.message(
                    "Something went wrong that is not your fault; the "
                    "terminal where the page was started tells what."
                )
