"""What a folder of prepared data was made of, and whose it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from speechbrain_siamese.dataio.clean_recording import (
    CleanRecording,
    Rejected,
    read_note,
)
from speechbrain_siamese.utils.folder_claim import IN_USE, claim_folder
from speechbrain_siamese.utils.whole_file import whole_file

#: Comes last: where it is, all the rest is there.
NOTE = "preparation.json"

#: Says that the folder it lies in is a preparation's.
BEGUN = ".preparation"

#: What training needs to be there.
MANIFESTS = ("train.csv", "valid.csv", "test.csv", "trials_valid.txt")

#: What is replaced or deleted in the folder.
REPLACED = (
    *MANIFESTS,
    "clean",
    "speakers.csv",
    "rejected.csv",
    "report.csv",
    "report.html",
    "README.md",
    "clean_clips",
    "held_out",
    "shards",
)


def claim_prepared(folder: Path, *sources: str | None) -> None:
    """Refuse a folder in which files of the user's would be replaced.

    Arguments
    ---------
    folder : Path
        Need not exist.
    *sources : str or None
        Where the recordings are.

    Raises
    ------
    ValueError
        If it is one of the sources, or holds such files and no preparation
        has written there.
    """
    for source in filter(None, sources):
        if folder.resolve() == Path(source).resolve():
            raise ValueError(
                f"what is prepared would be written to {folder}, where the "
                "recordings are: give another prepared_folder"
            )
    if not _is_begun(folder):
        claim_folder("prepared_folder", folder, BEGUN, REPLACED)


def _is_begun(folder: Path) -> bool:
    """Whether a preparation of an earlier version has written here."""
    clean = folder / "clean"
    return (
        (folder / NOTE).is_file()
        or (clean / IN_USE).is_file()
        or any(map(read_note, clean.glob("*/*.json")))
    )


def check_prepared(folder: Path, sample_rate: int) -> None:
    """Refuse to train from a folder that is not prepared.

    Arguments
    ---------
    folder : Path
    sample_rate : int
        Hz, of the training.

    Raises
    ------
    ValueError
        If something is missing, or the audio is of another rate.
    """
    missing = [
        name for name in (*MANIFESTS, NOTE) if not (folder / name).is_file()
    ]
    if missing:
        raise ValueError(
            f"skip_prep is True, but {folder} lacks {', '.join(missing)}: run "
            "once without skip_prep"
        )
    rate = _noted(folder)["cleaning"]["sample_rate"]
    if rate != sample_rate:
        raise ValueError(
            f"skip_prep is True, but {folder} holds audio of {rate} Hz and "
            f"sample_rate is {sample_rate}: give another prepared_folder"
        )


def fingerprint_of(
    long_ones: Sequence[CleanRecording],
    short_ones: Sequence[CleanRecording],
    rejected: Sequence[Rejected],
    settings: Mapping[str, object],
) -> str:
    """Hash of what the manifests depend on, the same wherever it is made.

    Cleaned audio follows from what its key is the hash of. Its time would
    change with a clock that jumps, a copy of the folder, or a file that is
    made again, and training would take it for other data.

    Arguments
    ---------
    long_ones, short_ones : Sequence of CleanRecording
        Recordings, and clips of further speakers.
    rejected : Sequence of Rejected
    settings : Mapping[str, object]
        What was cut, who is held out.

    Returns
    -------
    str
    """
    audio = [
        [
            item.recording.session,
            item.recording.gender,
            item.recording.name,
            item.key,
            item.path.stat().st_size,
        ]
        for item in (*long_ones, *short_ones)
    ]
    reasons = [[item.recording.session, item.reason] for item in rejected]
    text = json.dumps([audio, len(short_ones), reasons, *settings.values()])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def is_prepared(folder: Path, fingerprint: str) -> bool:
    """Whether an earlier run wrote all of this from the same audio.

    Arguments
    ---------
    folder : Path
    fingerprint : str
        As ``fingerprint_of`` gives it.

    Returns
    -------
    bool
    """
    earlier = _noted(folder)
    return earlier.get("fingerprint") == fingerprint and all(
        (folder / name).is_file() for name in earlier["files"]
    )


def would_replace(
    folder: Path, settings: Mapping[str, object], sessions: Iterable[str]
) -> bool:
    """Whether cleaned audio that manifests name would be changed or deleted.

    Known before any of it is made. A recording that has changed is not seen,
    nor one more, which harms nobody.

    Arguments
    ---------
    folder : Path
    settings : Mapping[str, object]
        As for ``fingerprint_of``.
    sessions : Iterable[str]
        Ids of the recordings that there are now.

    Returns
    -------
    bool
        False where nothing is prepared.
    """
    earlier = _noted(folder)
    if not earlier:
        return False
    # Lists and tuples are the same to JSON.
    now = json.loads(json.dumps(dict(settings)))
    gone = {*earlier.get("sessions", [])} - {*sessions}
    return bool(gone) or any(earlier[name] != now[name] for name in now)


def write_preparation(
    folder: Path,
    fingerprint: str,
    settings: Mapping[str, object],
    sessions: Iterable[str],
) -> None:
    """Say what all of this was made from: preparation is complete.

    Arguments
    ---------
    folder : Path
    fingerprint, settings, sessions
        As for ``would_replace`` and ``is_prepared``.
    """
    paths = [
        *folder.glob("*.csv"),
        *folder.glob("trials_*.txt"),
        *(folder / "held_out").rglob("*.wav"),
        folder / "report.html",
        folder / "README.md",
    ]
    note = {
        "fingerprint": fingerprint,
        **settings,
        "sessions": sorted(sessions),
        "files": sorted(path.relative_to(folder).as_posix() for path in paths),
    }
    with whole_file(folder / NOTE) as partial:
        partial.write_text(json.dumps(note, indent=1))


def prepared_fingerprint(folder: str | Path) -> str:
    """Hash of all that the manifests in a folder were made from.

    Arguments
    ---------
    folder : str or Path
        As ``prepare_youtube`` was given.

    Returns
    -------
    str
    """
    return _noted(Path(folder))["fingerprint"]


def _noted(folder: Path) -> dict:
    """What the note says; empty where there is none."""
    note = folder / NOTE
    return json.loads(note.read_text()) if note.is_file() else {}
