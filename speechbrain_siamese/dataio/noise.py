"""Makes a folder of noise recordings ready for training."""

from __future__ import annotations

from pathlib import Path

from speechbrain_siamese.dataio.cleaning import LOWEST, CleaningSettings
from speechbrain_siamese.dataio.loose_files import clean_loose_files
from speechbrain_siamese.dataio.manifests import rooted
from speechbrain_siamese.utils.whole_file import write_csv


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
    cleaned = clean_loose_files(
        "noise",
        noise_folder,
        save_folder,
        CleaningSettings(
            sample_rate=sample_rate,
            silence_threshold=LOWEST,
            silence_relative=False,
            min_duration=0.1,
        ),
        "adds other voices of the batch instead",
        n_jobs,
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
