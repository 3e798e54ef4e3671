"""Cuts what recurs across a corpus: each recording is listened to once."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.decoding import DecodingError, decode_blocks
from speechbrain_siamese.dataio.recordings import (
    RECURS,
    Cut,
    Recording,
)
from speechbrain_siamese.dataio.recurrence import (
    RATE,
    Landmarks,
    landmarks,
    no_landmarks,
    recurring,
)
from speechbrain_siamese.utils.parallel import run_each
from speechbrain_siamese.utils.progress import show_progress
from speechbrain_siamese.utils.whole_file import file_digest, whole_file

logger = get_logger(__name__)

#: Part of every key: another method listens anew.
METHOD = "landmarks 1"

#: Folder of what is remembered of recordings, in that of the cleaned audio.
FOLDER = ".landmarks"


def cut_recurring(
    recordings: Sequence[Recording],
    output: str | Path,
    n_jobs: int = 1,
    backend: Mapping[str, object] | None = None,
    progressbar: bool = True,
) -> list[Recording]:
    """Find what recurs, and mark it to be cut.

    Arguments
    ---------
    recordings : Sequence[Recording]
    output : str or Path
        Folder of the cleaned audio; what was listened to is remembered there.
    n_jobs : int
        Recordings at the same time, -1 for one per core.
    backend : Mapping or None
        As for ``run_each``.
    progressbar : bool
        Whether to show how much is done.

    Returns
    -------
    list of Recording
        The same in their order, with more cuts. What cannot be decoded has
        none.
    """
    folder = Path(output) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {f"{recording.session}.npz" for recording in recordings}
    for path in folder.glob("*.npz"):
        if path.name not in wanted:
            path.unlink()
    done = run_each(
        partial(_listen, folder=folder),
        recordings,
        n_jobs,
        backend,
        lost=lambda _: no_landmarks(0.0),
    )
    sizes = [
        recording.path.stat().st_size if recording.path.is_file() else 0
        for recording in recordings
    ]
    heard = dict(show_progress(done, sizes, _seconds, "Listening", progressbar))
    found = recurring([heard[place] for place in range(len(recordings))])
    seconds = sum(stop - start for own in found for start, stop in own)
    logger.info(
        "%s: %.1f min that recur in other recordings are cut from %d of %d",
        output,
        seconds / 60,
        sum(bool(own) for own in found),
        len(recordings),
    )
    return [
        replace(
            recording,
            cut=recording.cut
            + tuple(Cut(start, stop, RECURS) for start, stop in own),
        )
        for recording, own in zip(recordings, found, strict=True)
    ]


def _seconds(heard: Landmarks) -> float:
    return float(heard.seconds)


def _listen(recording: Recording, folder: Path) -> Landmarks:
    """Landmarks of one recording, from an earlier run where it is the same."""
    path = folder / f"{recording.session}.npz"
    # Whoever opens a pipe waits for ever.
    if recording.excluded or not recording.path.is_file():
        return no_landmarks(0.0)
    try:
        key = file_digest(recording.path, METHOD)
        found = _remembered(path, key)
        if found is not None:
            return found
        found = landmarks(decode_blocks(recording.path, RATE))
    except (DecodingError, OSError):
        return no_landmarks(0.0)  # cleaning tells what is wrong with it
    with whole_file(path) as part, open(part, "wb") as file:
        np.savez(file, key=key, **vars(found))
    return found


def _remembered(path: Path, key: str) -> Landmarks | None:
    """What an earlier run has written; None if it is of another file."""
    try:
        with np.load(path) as kept:
            if str(kept["key"]) == key:
                names = ("hashes", "frames", "seconds")
                return Landmarks(*(kept[name][()] for name in names))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        logger.debug("%s: there is none, or half of one", path)
    return None
