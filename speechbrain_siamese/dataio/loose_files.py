"""Cleans a folder of audio that belongs to nobody in particular."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.clean_recording import CleanRecording
from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.corpus import clean_corpus
from speechbrain_siamese.dataio.recordings import (
    AUDIO_SUFFIXES,
    Recording,
    ascii_id,
)

logger = get_logger(__name__)


def clean_loose_files(
    kind: str,
    folder: str | Path,
    save_folder: str | Path,
    settings: CleaningSettings,
    without: str,
    n_jobs: int = 1,
    joblib_backend: Mapping[str, object] | None = None,
) -> list[CleanRecording]:
    """Clean every file of a folder, as the speakers' recordings are.

    Again only what has changed. Files that cannot be used are logged.

    Arguments
    ---------
    kind : str
        What the files are, one word; the option is ``<kind>_folder``.
    folder : str or Path
        Recordings in any format, in any subfolders.
    save_folder : str or Path
        Where the cleaned audio goes; a folder of its own.
    settings : CleaningSettings
        What is cut and dropped.
    without : str
        What null does in the option's place, for the messages.
    n_jobs, joblib_backend
        As for ``clean_corpus``.

    Returns
    -------
    list of CleanRecording

    Raises
    ------
    ValueError
        If there is no such folder, or no file in it can be used.
    """
    cleaned, rejected = clean_corpus(
        _find(kind, Path(folder), without),
        save_folder,
        settings,
        n_jobs,
        joblib_backend,
        progressbar=False,
    )
    for item in rejected:
        logger.warning("%s %s: %s", kind, item.recording.path, item.reason)
    if not cleaned:
        raise ValueError(
            f"{kind}_folder is {folder}, where no file can be used, for "
            f"example {rejected[0].recording.path} ({rejected[0].reason}); "
            f"null {without}"
        )
    return cleaned


def _find(kind: str, folder: Path, without: str) -> list[Recording]:
    """The files, as recordings of one speaker."""
    if not folder.is_dir():
        raise ValueError(
            f"{kind}_folder is {folder}, which is not a folder; expected one "
            f"with recordings (wav, m4a, webm, mp3, ...); null {without}"
        )
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in AUDIO_SUFFIXES
        and not path.name.startswith(".")
    ]
    if not paths:
        raise ValueError(
            f"{kind}_folder is {folder}, where there is no recording; expected "
            f"files that end in wav, m4a, webm, mp3, ogg, flac, ...; null "
            f"{without}"
        )
    return [
        Recording(
            speaker=kind,
            name=kind,
            gender="",
            session=_session(path.relative_to(folder)),
            path=path,
        )
        for path in paths
    ]


def _session(path: Path) -> str:
    """An id that no other file of the folder has."""
    raw = path.as_posix().encode("utf-8", "surrogateescape")
    digest = hashlib.blake2b(raw, digest_size=4).hexdigest()
    return f"{ascii_id(path.stem)[:60]}-{digest}"
