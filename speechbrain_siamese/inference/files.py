"""What a model makes of files: samples, embeddings, speaker changes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from speechbrain.utils.data_utils import split_path
from speechbrain.utils.fetching import fetch

from speechbrain_siamese.dataio.decoding import (
    DecodingError,
    decode,
    decode_blocks,
)
from speechbrain_siamese.inference.changes import border_times, changes_of
from speechbrain_siamese.inference.embeddings import embed_files
from speechbrain_siamese.inference.long_files import (
    SpeechFrames,
    batches_exactly,
    embed_in_blocks,
)
from speechbrain_siamese.processing.changes import ChangeModel


class FileReading:
    """Methods of ``SiameseRecognition`` that take files of any format."""

    def load_audio(
        self, path: str | Path, savedir: str | Path | None = None
    ) -> torch.Tensor:
        """Load a file at the model's rate, mono.

        Arguments
        ---------
        path : str or Path
            Local file of any format, or what SpeechBrain can fetch: a URL or
            ``<user>/<repository>/<file>`` on the hub.
        savedir : str, Path or None
            Where a fetched file is put. Local files are read where they are,
            so that two of the same name do not collide.

        Returns
        -------
        torch.Tensor
            (time,), float32.

        Raises
        ------
        ValueError
            If the file is missing or is no audio.
        """
        samples = decode(
            self._local(path, savedir), self.audio_normalizer.sample_rate
        )
        return torch.from_numpy(samples).to(self.device)

    def _local(self, path: str | Path, savedir: str | Path | None) -> Path:
        """Where a file is on this machine; it is fetched if need be."""
        local = Path(path)
        parts = local.parts
        in_hub = len(parts) == 3 and not Path(parts[0]).exists()
        if "://" in str(path) or in_hub:
            # A URL, or <user>/<repository>/<file> on the hub.
            source, name = split_path(str(path))
            local = Path(fetch(name, source=source, savedir=savedir))
        return local

    def embed_file(
        self, path: str | Path, savedir: str | Path | None = None
    ) -> torch.Tensor:
        """Embed a file; the memory that it takes does not grow with length.

        It is the embedding that ``encode_batch`` gives of the loaded file,
        within rounding. Where the export's encoder does not look at windows
        of its own, such as SpeechBrain's, the whole file is loaded.

        Arguments
        ---------
        path : str or Path
            As for ``load_audio``.
        savedir : str, Path or None
            Where a fetched file is put.

        Returns
        -------
        torch.Tensor
            (1, 1, dim)

        Raises
        ------
        ValueError
            If the file is no audio, silent, or too short.
        """
        if not batches_exactly(self):
            return self.encode_batch(self.load_audio(path, savedir)[None])
        speech = self.speech_frames(self._local(path, savedir))
        with self.inference_ctx:
            return embed_in_blocks(speech, self.mods.embedding_model)

    def embed_files(
        self, paths: Sequence[str | Path]
    ) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Embed many files in batches, faster than one by one.

        Arguments
        ---------
        paths : Sequence of str or Path
            Local files.

        Returns
        -------
        embeddings : dict of str : np.ndarray
            (dim,), float32, by path; within rounding those of ``embed_file``.
        unusable : dict of str : str
            Reasons of the files that cannot be embedded.

        Raises
        ------
        ValueError
            If no file at all can be embedded.
        """
        names = [str(path) for path in dict.fromkeys(paths)]
        found, unusable = embed_files(self, [Path(name) for name in names])
        return {
            name: embedding
            for number, (name, embedding) in enumerate(
                zip(names, found[None].numpy(), strict=True)
            )
            if number not in unusable
        }, {names[number]: reason for number, reason in unusable.items()}

    def detect_changes(
        self, path: str | Path, recall: float | None = None
    ) -> list[float]:
        """Find where the speaker changes in a file.

        Embeddings, spectra and pauses at both sides of each moment are
        weighed by what training has learnt from joined turns. Memory grows by
        some bytes a frame with the length of the file.

        Arguments
        ---------
        path : str or Path
            Local file.
        recall : float or None
            Share of the changes to find, 0.5 to 0.99, as it was on known
            speakers: a higher one finds more, and more that are none. None
            for the best balance.

        Returns
        -------
        list of float
            Seconds, rising; a change in a pause is in the middle of it.

        Raises
        ------
        ValueError
            If the file is no audio, silent, or too short, the recall is out
            of its range, or the export has not learnt changes.
        """
        model = self.change_model
        speech, encoder = self.speech_frames(path), self.mods.embedding_model
        with self.inference_ctx:
            borders = changes_of(speech, encoder, model, self.hop, recall)
        return border_times(speech.keep, borders, self.hop).tolist()

    @property
    def hop(self) -> float:
        """Seconds from one frame of the features to the next."""
        hop = self.mods.compute_features.hop_samples
        return hop / self.audio_normalizer.sample_rate

    @property
    def change_model(self) -> ChangeModel:
        """What finds speaker changes.

        Raises
        ------
        ValueError
            If the export has none.
        """
        if getattr(self.hparams, "change_weights", None) is None:
            raise ValueError(
                "this export has not learnt speaker changes: only those of "
                "hparams/siamese.yaml's encoder do, trained with this version "
                "on stretches of two speakers or more that last 2 s"
            )
        return ChangeModel(
            self.hparams.change_weights,
            self.hparams.change_threshold,
            self.hparams.change_thresholds,
        )

    def speech_frames(self, path: str | Path) -> SpeechFrames:
        """The frames of a local file that the encoder hears.

        Arguments
        ---------
        path : str or Path

        Returns
        -------
        SpeechFrames

        Raises
        ------
        ValueError
            If the file is no audio, silent, or too short.
        """
        self.mods.eval()
        rate = self.audio_normalizer.sample_rate
        try:
            return SpeechFrames(
                functools.partial(decode_blocks, path, rate),
                self.mods.compute_features,
                self.mods.embedding_model,
                self.device,
            )
        except DecodingError:
            raise
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
