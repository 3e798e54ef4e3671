"""Turns recordings into a folder of cleaned audio: parallel and resumable.

A rerun decodes only what is new or changed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.clean_recording import (
    CleanRecording,
    Rejected,
    clean_recording,
    note_of,
    read_note,
)
from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.jingles import cut_recurring
from speechbrain_siamese.dataio.recordings import Recording
from speechbrain_siamese.utils.folder_claim import FolderClaim
from speechbrain_siamese.utils.parallel import run_each
from speechbrain_siamese.utils.progress import show_progress
from speechbrain_siamese.utils.room import told_writing
from speechbrain_siamese.utils.whole_file import remove_partials, write_table

logger = get_logger(__name__)


def clean_corpus(
    recordings: Sequence[Recording],
    output_folder: str | Path,
    settings: CleaningSettings,
    n_jobs: int = 1,
    backend: Mapping[str, object] | None = None,
    progressbar: bool = True,
) -> tuple[list[CleanRecording], list[Rejected]]:
    """Decodes and cleans recordings into a folder.

    A recording that is the same as in an earlier run, with the same
    settings, is not decoded again. Audio that an earlier run made from
    recordings which are no longer given is removed. Where a second run begins
    to write into the folder, or workers outlive a killed run, the older one
    ends.

    Arguments
    ---------
    recordings : Sequence[Recording]
        As found by ``find_recordings``.
    output_folder : str | Path
        Where the cleaned audio goes; not the recordings' own folder.
    settings : CleaningSettings
        What is cut and dropped.
    n_jobs : int
        Recordings cleaned at the same time, -1 for one per core. The result
        does not depend on it.
    backend : Mapping[str, object] | None
        Settings of ``joblib.parallel_config`` for a cluster; None for
        processes of this machine. The folder must be the same everywhere.
    progressbar : bool
        Whether to show how much is done and how long the rest will take.

    Returns
    -------
    tuple[list[CleanRecording], list[Rejected]]
        Both in the order of ``recordings``.

    Raises
    ------
    ValueError
        If the output folder holds the recordings or two recordings share a
        session id.
    OSError
        If the output folder cannot be written.
    RuntimeError
        If another run has begun to write into it.
    """
    output = Path(output_folder)
    _check(recordings, output)
    sizes = [_size(recording.path) for recording in recordings]
    with told_writing("cleaned audio", output):
        output.mkdir(parents=True, exist_ok=True)
        claim = FolderClaim(output)
        _sweep(recordings, output)
        if settings.cut_recurring:
            recordings = cut_recurring(
                recordings, output, n_jobs, backend, progressbar
            )
        done = run_each(
            partial(
                clean_recording, output=output, settings=settings, claim=claim
            ),
            recordings,
            n_jobs,
            backend,
            lost=_lost,
        )
        found = dict(
            show_progress(done, sizes, _seconds, "Cleaning", progressbar)
        )
        # Of workers that were killed in the middle of a file.
        remove_partials(output)
        claim.release()
    results = [found[position] for position in range(len(recordings))]
    cleaned = [r for r in results if isinstance(r, CleanRecording)]
    rejected = [r for r in results if isinstance(r, Rejected)]
    logger.info(
        "%s: %d recordings, %.2f h of %.2f h kept, %d rejected",
        output,
        len(cleaned),
        sum(r.duration for r in cleaned) / 3600,
        sum(r.raw_duration for r in cleaned) / 3600,
        len(rejected),
    )
    return cleaned, rejected


def write_rejected(rejected: Sequence[Rejected], path: str | Path) -> None:
    """Writes the rejected recordings as CSV: speaker, recording, reason.

    The recording is told as ``<folder>/<file>``.

    Arguments
    ---------
    rejected : Sequence[Rejected]
        As ``clean_corpus`` returns them.
    path : str | Path
        The file; replaced as a whole.
    """
    write_table(
        path,
        ["speaker", "recording", "reason"],
        (
            [
                item.recording.speaker,
                "/".join(item.recording.path.parts[-2:]),
                item.reason,
            ]
            for item in rejected
        ),
    )


def _check(recordings: Sequence[Recording], output: Path) -> None:
    counts = Counter(recording.session.lower() for recording in recordings)
    twice = sorted(session for session, n in counts.items() if n > 1)
    if twice:
        raise ValueError(
            f"session ids must be unique, found more than once: {twice}"
        )
    inside = output.resolve()
    for recording in recordings:
        # realpath: a link that points to itself is no error here.
        if inside in Path(os.path.realpath(recording.path)).parents:
            raise ValueError(
                f"output folder {output} holds the recording "
                f"{recording.path}: choose a folder of its own for the "
                "cleaned audio"
            )


def _sweep(recordings: Sequence[Recording], output: Path) -> None:
    """Removes what killed runs left and what is no longer wanted."""
    remove_partials(output)
    wanted = {note_of(recording, output) for recording in recordings}
    for path in sorted(set(output.glob("*/*.json")) - wanted):
        if read_note(path):
            path.with_suffix(".wav").unlink(missing_ok=True)
            path.unlink()
            logger.info("%s: removed, its recording is gone", path)


def _lost(recording: Recording) -> Rejected:
    """A recording whose worker was killed twice."""
    return Rejected(
        recording,
        "its worker process was killed, also when alone: probably too little "
        "memory",
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _seconds(result: CleanRecording | Rejected) -> float:
    return getattr(result, "raw_duration", 0.0)
