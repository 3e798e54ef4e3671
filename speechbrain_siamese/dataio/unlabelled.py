"""Speech of which nobody says who speaks, for a teacher to speak of.

There is more of it than of labelled speech, in a low-resource language above
all; what the teacher says of it needs no label.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from speechbrain.dataio.encoder import CategoricalEncoder
from torch.utils.data import Sampler

from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.datasets import WindowDataset, read_manifest
from speechbrain_siamese.dataio.draws import (
    Draw,
    WindowSampler,
    as_draws,
    draw_windows,
)
from speechbrain_siamese.dataio.loose_files import clean_loose_files
from speechbrain_siamese.dataio.manifests import Row, rooted, write_manifest

#: In the folder of what is prepared.
FOLDER, MANIFEST = "unlabelled", "unlabelled.csv"

#: Number of the speaker whom nobody names.
NOBODY = -1


def prepare_unlabelled(
    unlabelled_folder: str,
    prepared_folder: str,
    cleaning: CleaningSettings,
    n_jobs: int = 1,
    joblib_backend: Mapping[str, object] | None = None,
) -> None:
    """Clean recordings of anybody, and list them.

    They are cleaned as the speakers' are, and again only if they have changed.
    The manifest is ``unlabelled/unlabelled.csv``, with nothing in the column
    of the speaker.

    Arguments
    ---------
    unlabelled_folder : str
        Recordings in any format, in any subfolders. Not of people on whom the
        model will be tested: it would have heard them.
    prepared_folder : str
        Where what is prepared for the training goes.
    cleaning : CleaningSettings
        As of the speakers' recordings; what recurs is left in.
    n_jobs, joblib_backend
        As for ``clean_corpus``.

    Raises
    ------
    ValueError
        If there is no such folder, or no file in it can be used.
    """
    root = Path(prepared_folder) / FOLDER
    cleaned = clean_loose_files(
        "unlabelled",
        unlabelled_folder,
        root,
        replace(cleaning, cut_recurring=False),
        "lets the teacher speak of the training speech alone",
        n_jobs,
        joblib_backend,
    )
    write_manifest(
        [
            Row(
                # No id of the speakers' rows has a colon.
                ID=f"unlabelled:{item.recording.session}",
                duration=item.duration,
                wav=rooted(item.path, root),
                start=0,
                stop=round(item.duration * cleaning.sample_rate),
                spk_id="",
                gender="",
                session=item.recording.session,
            )
            for item in cleaned
        ],
        root / MANIFEST,
    )


def unlabelled_fingerprint(
    unlabelled_folder: str | None, prepared_folder: str | Path
) -> str:
    """What tells unlabelled speech from other.

    Arguments
    ---------
    unlabelled_folder : str or None
        Whether there is any.
    prepared_folder : str or Path
        As ``prepare_unlabelled`` was given.

    Returns
    -------
    str
        Hash of the manifest; empty for none.
    """
    if not unlabelled_folder:
        return ""
    manifest = Path(prepared_folder) / FOLDER / MANIFEST
    return hashlib.blake2b(manifest.read_bytes(), digest_size=16).hexdigest()


class SpeakerNumbers:
    """Numbers of training speakers, ``NOBODY`` for those without a name.

    An object with a call, which pickles, for workers that are spawned.

    Arguments
    ---------
    encoder : CategoricalEncoder
        SpeechBrain's, of the training speakers.
    """

    def __init__(self, encoder: CategoricalEncoder):
        self.encoder = encoder

    def __call__(self, spk_id: str) -> torch.Tensor:
        """Look one speaker up.

        Arguments
        ---------
        spk_id : str
            Empty where nobody knows.

        Returns
        -------
        torch.Tensor
            int64, (1,).
        """
        if not spk_id:
            return torch.tensor([NOBODY])
        return self.encoder.encode_label_torch(spk_id)


def with_unlabelled(
    train: WindowDataset, prepared_folder: str | Path
) -> WindowDataset:
    """A training set whose rows are followed by those without a speaker.

    Arguments
    ---------
    train : WindowDataset
        Stays as it is.
    prepared_folder : str or Path
        As for ``prepare_unlabelled``.

    Returns
    -------
    WindowDataset
        With the dynamic items and the output keys of ``train``.

    Raises
    ------
    ValueError
        If the manifest is damaged.
    """
    root = Path(prepared_folder) / FOLDER
    more = read_manifest(str(root / MANIFEST), str(root))
    both = copy.copy(train)
    both.data = {**train.data, **more.data}
    both.data_ids = [*train.data_ids, *more.data_ids]
    return both


class UnlabelledSampler(Sampler):
    """Adds windows without a speaker to the batches of another sampler.

    Arguments
    ---------
    sampler : WindowSampler
        Of the windows with a speaker.
    stretches : Sequence[tuple[int, int]]
        First sample and the sample after the last of each row without.
    clips : int
        Windows without a speaker in each batch, of all processes together.

    Raises
    ------
    ValueError
        If the processes cannot get as many of the windows each.
    """

    def __init__(
        self,
        sampler: WindowSampler,
        stretches: Sequence[tuple[int, int]],
        clips: int,
    ):
        if clips % sampler.world_size:
            raise ValueError(
                f"unlabelled_per_batch is {clips}, which {sampler.world_size} "
                "processes cannot share: set it to a multiple of their number"
            )
        self.sampler = sampler
        self.clips = clips
        self.bounds = np.concatenate([sampler.bounds, stretches])
        self.rows = np.arange(len(sampler.bounds), len(self.bounds))

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yield this process's share of the batches of the epoch."""
        own = self.sampler
        share = self.clips // own.world_size
        for step, batch in enumerate(own):
            more = self.draw_batch(own.epoch, step)
            yield batch + more[own.rank * share : (own.rank + 1) * share]

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.sampler)

    def draw_batch(self, epoch: int, step: int) -> list[Draw]:
        """Draw what one batch has more; from seed, epoch and step alone.

        Arguments
        ---------
        epoch : int
        step : int
            From 0.

        Returns
        -------
        list of Draw
            ``clips`` windows, more often of the longer rows.
        """
        samples = self.sampler.window_samples
        # Of the same three numbers the sampler draws what has a speaker.
        generator = np.random.default_rng([self.sampler.seed, epoch, step, 1])
        drawn = draw_windows(
            self.rows, self.bounds, samples, self.clips, generator
        )
        return as_draws(*drawn, self.bounds, samples)
