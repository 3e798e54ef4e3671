"""Makes a folder of noise recordings ready for training."""

from __future__ import annotations

import hashlib
from pathlib import Path

from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.cleaning import LOWEST, CleaningSettings
from speechbrain_siamese.dataio.corpus import clean_corpus
from speechbrain_siamese.dataio.manifests import rooted
from speechbrain_siamese.dataio.recordings import (
    AUDIO_SUFFIXES,
    Recording,
    ascii_id,
)
from speechbrain_siamese.utils.whole_file import write_csv

logger = get_logger(__name__)


def prepare_noise(
    noise_folder: str, save_folder: str, sample_rate: int, n_jobs: int = 1
) -> None:
    """Write each noise file at the model's rate, and a list of them.

    Files are decoded as the speakers' recordings are, and again only if they
    have changed; digital silence in them is dropped. The list is
    ``noise.csv`` in SpeechBrain's extended form, in which ``$data_root``
    stands for its folder.

    Arguments
    ---------
    noise_folder : str
        Noise in any format, in any subfolders.
    save_folder : str
        Where the audio and the list go; a folder of its own.
    sample_rate : int
        Hz.
    n_jobs : int
        Files decoded at the same time, -1 for one per core.

    Raises
    ------
    ValueError
        If there is no such folder or no noise in it.
    """
    cleaned, rejected = clean_corpus(
        _find(Path(noise_folder)),
        save_folder,
        CleaningSettings(
            sample_rate=sample_rate,
            silence_threshold=LOWEST,
            silence_relative=False,
            min_duration=0.1,
        ),
        n_jobs,
        progressbar=False,
    )
    for item in rejected:
        logger.warning("noise %s: %s", item.recording.path, item.reason)
    if not cleaned:
        raise ValueError(
            f"noise_folder is {noise_folder}, where no file can be used, for "
            f"example {rejected[0].recording.path} ({rejected[0].reason}); "
            "null adds other voices of the batch instead"
        )
    root = Path(save_folder)
    write_csv(
        root / "noise.csv",
        ["ID", "duration", "wav", "wav_format", "wav_opts"],
        (
            [
                item.recording.session,
                item.duration,
                rooted(item.path, root),
                "wav",
                "",
            ]
            for item in cleaned
        ),
    )


def _find(folder: Path) -> list[Recording]:
    """The noise files, as recordings of one speaker."""
    if not folder.is_dir():
        raise ValueError(
            f"noise_folder is {folder}, which is not a folder; expected one "
            "with noise recordings (wav, m4a, webm, mp3, ...), or null"
        )
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in AUDIO_SUFFIXES
        and not path.name.startswith(".")
    ]
    if not paths:
        raise ValueError(
            f"noise_folder is {folder}, where there is no recording; expected "
            "files that end in wav, m4a, webm, mp3, ogg, flac, ..."
        )
    return [
        Recording(
            speaker="noise",
            name="noise",
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
