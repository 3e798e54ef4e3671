"""What a model makes of files: samples, embeddings, speaker changes."""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from speechbrain.utils.data_utils import split_path
from speechbrain.utils.fetching import fetch
from torch.nn.functional import normalize
from tqdm import tqdm

from speechbrain_siamese.dataio.decoding import (
    DecodingError,
    decode,
    decode_blocks,
)
from speechbrain_siamese.inference.changes import border_times, changes_of
from speechbrain_siamese.inference.embeddings import embed_files
from speechbrain_siamese.inference.label import (
    Segment,
    cut_at,
    segments_of,
)
from speechbrain_siamese.inference.long_files import (
    SpeechFrames,
    batches_exactly,
    embed_in_blocks,
)
from speechbrain_siamese.inference.stream import SpeakerStream, join_segments
from speechbrain_siamese.processing.changes import ChangeModel
from speechbrain_siamese.processing.voices import VoiceModel
from speechbrain_siamese.utils.whole_file import PARTIAL

if TYPE_CHECKING:
    from speechbrain_siamese.inference.gallery import Gallery


class FileReading:
    """Methods of ``SiameseRecognition`` that take files of any format."""

    def load_audio(
        self, path: str | Path, savedir: str | Path | None = None
    ) -> torch.Tensor:
        """Load a file at the model's rate, mono.

        Arguments
        ---------
        path : str or Path
            Local file of any format. A text, but no ``Path``, may also be
            what SpeechBrain can fetch: a URL, or
            ``<user>/<repository>/<file>`` on the hub, where the first part is
            nothing that lies here.
        savedir : str, Path or None
            Where a fetched file is kept, named by its whole address, so that
            two of the same name do not collide; None keeps none. Local files
            are read where they are.

        Returns
        -------
        torch.Tensor
            (time,), float32.

        Raises
        ------
        ValueError
            If the file is missing, cannot be fetched or is no audio.
        """
        with _local(path, savedir) as file:
            samples = decode(file, self.audio_normalizer.sample_rate)
        return torch.from_numpy(samples).to(self.device)

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
            As for ``load_audio``.

        Returns
        -------
        torch.Tensor
            (1, 1, dim)

        Raises
        ------
        ValueError
            If the file is missing, cannot be fetched, is no audio, silent, or
            too short.
        """
        if not batches_exactly(self):
            return self.encode_batch(self.load_audio(path, savedir)[None])
        return normalize(self.voice_of_file(path, savedir), dim=-1)

    def voice_of_file(
        self, path: str | Path, savedir: str | Path | None = None
    ) -> torch.Tensor:
        """Embed a file, as ``encode_voices`` encodes waveforms.

        Arguments
        ---------
        path, savedir
            As for ``embed_file``.

        Returns
        -------
        torch.Tensor
            (1, 1, dim)

        Raises
        ------
        ValueError
            As ``embed_file``.
        """
        if not batches_exactly(self):
            return self.encode_voices(self.load_audio(path, savedir)[None])
        with _local(path, savedir) as file, self.inference_ctx:
            mean, count = embed_in_blocks(
                self.speech_frames(file), self.mods.embedding_model
            )
        if self.measure != "cosine":
            return normalize(mean, dim=-1)
        return self.as_voices(mean, torch.tensor([count]).to(mean))

    def embed_files(
        self, paths: Sequence[str | Path]
    ) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Embed many files in batches, faster than one by one.

        Arguments
        ---------
        paths : Sequence of str or Path
            Local files; one alone may be given without a list.

        Returns
        -------
        embeddings : dict of str : np.ndarray
            (dim,), float32, by path; within rounding those of ``embed_file``.
        unusable : dict of str : str
            Reasons of the files that cannot be embedded.

        Raises
        ------
        ValueError
            If no file is given, or none at all can be embedded.
        """
        if isinstance(paths, (str, Path)):
            paths = [paths]
        names = [str(path) for path in dict.fromkeys(paths)]
        found, unusable = self.voices_of_files(names)
        if self.measure == "cosine":
            found = {
                name: voice / max(float(np.linalg.norm(voice)), 1e-12)
                for name, voice in found.items()
            }
        return found, unusable

    def voices_of_files(
        self, paths: Sequence[str | Path]
    ) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Embed many files in batches, as ``voice_of_file`` embeds one.

        Arguments
        ---------
        paths : Sequence of str or Path
            Local files.

        Returns
        -------
        voices : dict of str : np.ndarray
            (dim,), float32, by path.
        unusable : dict of str : str
            As of ``embed_files``.

        Raises
        ------
        ValueError
            As ``embed_files``.
        """
        names = [str(path) for path in dict.fromkeys(paths)]
        found, unusable = embed_files(self, [Path(name) for name in names])
        return {
            name: voice
            for number, (name, voice) in enumerate(
                zip(names, found[None].numpy(), strict=True)
            )
            if number not in unusable
        }, {names[number]: reason for number, reason in unusable.items()}

    def detect_changes(
        self,
        path: str | Path,
        recall: float | None = None,
        progress: bool = False,
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
        progress : bool
            Draw a bar, where there is a terminal.

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
        # Before hours are decoded.
        model.threshold_at(recall)
        speech, encoder = self.speech_frames(path), self.mods.embedding_model
        with self.inference_ctx:
            borders = changes_of(
                speech, encoder, model, self.hop, recall, progress
            )
        return border_times(speech.keep, borders, self.hop).tolist()

    def label(
        self,
        path: str | Path,
        gallery: Gallery | None = None,
        recall: float | None = None,
        online: bool = False,
        progress: bool = False,
    ) -> list[Segment]:
        """Tell who speaks when in a file.

        It is cut at the changes of the speaker, silence is left out, what
        sounds like one voice is joined (how many there are is found; who says
        less than ten seconds, or a twentieth of a short recording, is taken for
        the voice that is most alike), and voices are named from the gallery.
        Memory grows by some bytes a frame with the length of the file.
        ``inference.label_files.write_labels`` writes RTTM, Audacity's labels,
        WebVTT, JSON, and a picture.

        Arguments
        ---------
        path : str or Path
            Local file.
        gallery : Gallery or None
            Who may be named; None names nobody.
        recall : float or None
            As for ``detect_changes``.
        online : bool
            As ``SpeakerStream`` does, which does not know what comes later,
            and is wrong more often.
        progress : bool
            As for ``detect_changes``.

        Returns
        -------
        list of Segment
            Rising, without overlap.

        Raises
        ------
        ValueError
            If the file is no audio, silent, or too short, the recall is out
            of its range, or the export has not learnt voices in turns.
        """
        self.check_label(gallery, recall, online)
        if online:
            return self._label_online(path, gallery, progress)
        changes, voices = self.change_model, self.voice_model
        speech, encoder = self.speech_frames(path), self.mods.embedding_model
        with self.inference_ctx:
            found = changes_of(
                speech, encoder, changes, self.hop, recall, progress
            )
            pieces = cut_at(found, speech, encoder, self.hop)
        return segments_of(pieces, voices, gallery, self.hop)

    def check_label(
        self, gallery: Gallery | None, recall: float | None, online: bool
    ) -> None:
        """Refuse what ``label`` cannot do, before hours are decoded.

        Arguments
        ---------
        gallery, recall, online
            As for ``label``.

        Raises
        ------
        ValueError
            If the export has not learnt voices in turns, the recall is out of
            its range, or the gallery is open for another model.
        """
        changes, _ = self.change_model, self.voice_model
        changes.threshold_at(recall)
        if gallery is not None:
            gallery.check_model(self)
        if online and recall is not None:
            raise ValueError(
                "recall is for whole recordings: a stream looks for no "
                "changes, it asks whose each moment is. Leave one of recall "
                "and online out"
            )

    def _label_online(
        self, path: str | Path, gallery: Gallery | None, progress: bool
    ) -> list[Segment]:
        """Label a file as if it came from a microphone."""
        stream = SpeakerStream(self, gallery)
        rate = self.audio_normalizer.sample_rate
        found = []
        # Without an end: how long a file lasts is known when it is decoded.
        with tqdm(
            unit=" s of sound", disable=None if progress else True
        ) as bar:
            for block in decode_blocks(path, rate):
                found += stream.push(block)
                bar.update(round(len(block) / rate))
            found += stream.finish()
        if sum(one.end - one.start for one in found) < 1:
            # It may be too short, or silent.
            self.speech_frames(path)
        return join_segments(found)

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

    @property
    def voice_model(self) -> VoiceModel:
        """What tells which pieces of a recording are one voice.

        Raises
        ------
        ValueError
            If the export has none.
        """
        threshold = getattr(self.hparams, "voice_threshold", None)
        if self.change_model and threshold is None:
            raise ValueError(
                "this export has not learnt which pieces of a recording are "
                "one voice: validation people had too few stretches of 2 s, "
                "or it was written before that was part of it. In the latter "
                "case give the training command again: a finished training "
                "only writes its export anew"
            )
        return VoiceModel(threshold, self.hparams.online_threshold)

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


@contextmanager
def _local(path: str | Path, savedir: str | Path | None) -> Iterator[Path]:
    """Where a file is on this machine; it is fetched if need be."""
    if not _is_remote(path):
        yield Path(path)
        return
    source, name = split_path(path)
    # Files of one name from two places need two.
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    kept = None if savedir is None else Path(savedir) / f"{digest}-{name}"
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        if kept.exists():
            yield kept
            return
    # What SpeechBrain fetches grows under its own name, and the half of a file
    # that is there after an error would be taken for all of it.
    with tempfile.TemporaryDirectory(
        dir=savedir, prefix=".", suffix=PARTIAL
    ) as folder:
        try:
            file = Path(fetch(name, source, folder))
        except (ValueError, OSError) as error:
            reason = (
                "cannot be fetched"
                if "://" in path
                else "no such file here, and not on the hub"
            )
            raise ValueError(f"{path}: {reason}: {error}") from error
        if kept is not None:
            os.replace(file, kept)
        yield kept or file


def _is_remote(path: str | Path) -> bool:
    """Whether a file is a URL, or ``<user>/<repository>/<file>`` on the hub.

    A ``Path`` is of this machine, also where it has three parts.
    """
    if not isinstance(path, str):
        return False
    first, *others = path.split("/")
    return "://" in path or (len(others) == 2 and not Path(first).exists())
