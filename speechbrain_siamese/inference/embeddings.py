"""Embeddings of many files by any SpeechBrain encoder, kept between runs."""

from __future__ import annotations

import time
import zipfile
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from speechbrain.inference.speaker import SpeakerRecognition
from speechbrain.utils.logger import get_logger
from tqdm import tqdm

from speechbrain_siamese.dataio.decoding import check_is_file, decode_blocks
from speechbrain_siamese.inference.long_files import batches_exactly
from speechbrain_siamese.utils.whole_file import whole_file

logger = get_logger(__name__)

#: Seconds of work that a killed run loses at most.
SAVE_EVERY = 60.0

#: Seconds of audio, padding too, that are embedded together.
BATCH_SECONDS = 128

#: Seconds of audio that wait, to be sorted by length: little is padded then.
WAITING_SECONDS = 1024

#: Files that are decoded at the same time.
READERS = 2


class EmbeddingCache:
    """Embeddings by file and cut, kept in one ``.npz``.

    A file that changed (size or time) is another one, and so is that of
    another model: the cache's name holds the model's fingerprint.

    Arguments
    ---------
    folder : str or Path
        Where the caches of all models are.
    fingerprint : str
        As ``model_fingerprint`` gives it.

    Example
    -------
    >>> folder = Path(getfixture("tmp_path"))
    >>> cache = EmbeddingCache(folder, "1234")
    >>> cache.found["a.wav|4|0|"] = np.ones(3, dtype=np.float32)
    >>> cache.save()
    >>> EmbeddingCache(folder, "1234").found
    {'a.wav|4|0|': array([1., 1., 1.], dtype=float32)}
    """

    def __init__(self, folder: str | Path, fingerprint: str):
        self.path = Path(folder) / f"{fingerprint}.npz"
        self.found: dict[str, np.ndarray] = {}
        if not self.path.is_file():
            return
        try:
            with np.load(self.path) as kept:
                self.found = dict(
                    zip(kept["keys"].tolist(), kept["embeddings"], strict=True)
                )
        except (
            ValueError,
            KeyError,
            OSError,
            EOFError,
            zipfile.BadZipFile,
        ) as error:
            logger.warning(
                "%s is damaged (%s): the files are embedded again",
                self.path,
                error,
            )

    @staticmethod
    def key(path: Path, cut: float | None) -> str:
        """What tells one embedding of a model from another.

        Arguments
        ---------
        path : Path
            The file; must exist.
        cut : float or None
            Seconds of it; None for the whole.

        Returns
        -------
        str
        """
        there = path.stat()
        cut_text = "" if cut is None else f"{cut:g}"
        return (
            f"{path.resolve()}|{there.st_size}|{there.st_mtime_ns}|{cut_text}"
        )

    def save(self) -> None:
        """Write the file, whole or not at all."""
        if not self.found:
            return
        with whole_file(self.path) as partial, open(partial, "wb") as file:
            np.savez(
                file,
                keys=np.array(list(self.found)),
                embeddings=np.stack(list(self.found.values())),
            )


def embed_files(
    model: SpeakerRecognition,
    paths: Sequence[Path],
    cuts: Sequence[float | None] = (None,),
    cache: EmbeddingCache | None = None,
    title: str = "Embedding",
) -> tuple[dict[float | None, torch.Tensor], dict[int, str]]:
    """Embed each file, as a whole and its middle seconds.

    An embedding does not depend on what other files there are.

    Arguments
    ---------
    model : SpeakerRecognition
        Of SpeechBrain or ours; any that has ``encode_batch`` and an
        ``audio_normalizer``. Our decoder reads the files, at its rate.
    paths : Sequence[Path]
    cuts : Sequence of float or None
        Seconds from the middle of the file; None for the whole. A file that
        is no longer than a cut is taken whole.
    cache : EmbeddingCache or None
        Is read, filled and saved. None to keep nothing.
    title : str
        Of the progress bar.

    Returns
    -------
    dict of (float or None) : torch.Tensor
        Of each cut, (files, dim); NaN where there is none. Those of our models
        are voices, as of ``encode_voices``.
    dict of int : str
        Positions of the files that cannot be embedded as a whole, with the
        reason.

    Raises
    ------
    ValueError
        If no file is given, or none at all can be embedded.
    """
    if not paths:
        raise ValueError("no file is given: expected one or more to embed")
    keys: list[dict[float | None, str]] = [{} for _ in paths]
    unusable: dict[int, str] = {}
    found = {} if cache is None else cache.found
    queue = _Queue(model, found)
    saved, new = time.monotonic(), 0

    # What is longer goes block by block: a file of a megabyte may hold days.
    most = None
    in_blocks = batches_exactly(model) and hasattr(model, "voice_of_file")
    if in_blocks and tuple(cuts) == (None,):
        most = WAITING_SECONDS * queue.rate

    def read(path):
        check_is_file(path)
        own = {cut: EmbeddingCache.key(path, cut) for cut in cuts}
        missing = any(key not in found for key in own.values())
        return own, _decoded(path, queue.rate, most) if missing else None

    # No bar where there is no terminal: a log has no use for it.
    bar = tqdm(paths, desc=title, unit="file", disable=None)
    for position, answer in enumerate(_read_ahead(read, bar)):
        try:
            keys[position], samples = answer()
            queue.take(paths[position], samples, keys[position])
        except (ValueError, OSError) as error:
            unusable[position] = str(error)
            continue
        if cache is None:
            continue
        if queue.computed > new and time.monotonic() - saved > SAVE_EVERY:
            cache.save()
            saved, new = time.monotonic(), queue.computed
    queue.flush()
    if cache is not None and queue.computed > new:
        cache.save()
    return _collected(keys, queue, unusable, cuts), dict(
        sorted(unusable.items())
    )


def _collected(keys, queue, unusable, cuts):
    """Embeddings of each cut, (files, dim); what failed becomes unusable."""
    rows: list[Mapping[float | None, np.ndarray]] = []
    found = queue.found
    for position, own in enumerate(keys):
        # The middle may be silent where the whole is not, but not the reverse.
        if own.get(None) in queue.failed:
            unusable[position], own = queue.failed[own[None]], {}
        rows.append(
            {cut: found[key] for cut, key in own.items() if key in found}
        )
    size = next((len(own[cut]) for own in rows for cut in own), None)
    if size is None:
        raise ValueError(
            f"none of {len(keys)} files can be embedded; the first: "
            f"{unusable.get(0, 'its middle is silent')}"
        )
    nothing = np.full(size, np.nan, dtype=np.float32)
    return {
        cut: torch.from_numpy(np.stack([own.get(cut, nothing) for own in rows]))
        for cut in cuts
    }


def _decoded(path, rate, most):
    """Samples of a file; none at all where it has more than ``most``."""
    pieces, count = [], 0
    for piece in decode_blocks(path, rate):
        # The frames around would be left out as if they were silent.
        if not np.isfinite(piece).all():
            raise ValueError(f"{path}: it holds NaN or infinite samples")
        pieces.append(piece)
        count += len(piece)
        if most is not None and count > most:
            return np.zeros(0, dtype=np.float32)
    return np.concatenate(pieces)


def _read_ahead(read, paths):
    """``read`` of each path in order, some of them at the same time.

    Yields functions that return what was read, or raise.
    """
    with ThreadPoolExecutor(READERS) as pool:
        ahead = deque()
        for path in paths:
            ahead.append(pool.submit(read, path))
            # No more: a file may be hours long.
            if len(ahead) > READERS:
                yield ahead.popleft().result
        while ahead:
            yield ahead.popleft().result


class _Queue:
    """Clips that wait until they fill batches, or go alone.

    A clip in a batch has the embedding that it has alone only where the
    encoder looks at windows of its own; a batch is several times faster.
    """

    def __init__(self, model, found):
        self.model, self.found = model, found
        self.rate = model.audio_normalizer.sample_rate
        #: Reasons of what cannot be embedded, by key.
        self.failed: dict[str, str] = {}
        self.computed = 0
        self._waiting: list[tuple[list[str], torch.Tensor]] = []
        self._samples = 0
        self._batches = batches_exactly(model)

    def take(self, path, samples, keys):
        """Take what ``_decoded`` gave of a file; None: all is known."""
        if samples is None:
            return
        if len(samples):
            self.add(torch.from_numpy(samples), keys)
            return
        # Alone and as a whole, in memory that its length does not tell.
        embedding = self.model.voice_of_file(path).flatten().float().cpu()
        if not embedding.isfinite().all():
            raise ValueError("its embedding is not finite: it may be silent")
        self.found[keys[None]] = embedding.numpy()
        self.computed += 1

    def add(self, samples, keys):
        """Let the clips of a file wait whose keys are not found yet."""
        missing = {k: cut for cut, k in keys.items() if k not in self.found}
        whole = []
        for key, cut in missing.items():
            length = len(samples) if cut is None else round(cut * self.rate)
            if length < len(samples):
                first = (len(samples) - length) // 2
                # A copy: a view would keep the whole file in memory.
                self._add([key], samples[first : first + length].clone())
            else:
                whole.append(key)
        if whole:
            self._add(whole, samples)

    def _add(self, keys, samples):
        self._waiting.append((keys, samples))
        self._samples += len(samples)
        limit = WAITING_SECONDS * self.rate if self._batches else 0
        if self._samples > limit:
            self.flush()

    def flush(self):
        """Embed what waits, the shortest first."""
        waiting = sorted(self._waiting, key=lambda one: len(one[1]))
        self._waiting, self._samples = [], 0
        most = BATCH_SECONDS * self.rate if self._batches else 0
        batch = []
        for one in waiting:
            # It would be the longest, to which the others are padded.
            if batch and len(one[1]) * (len(batch) + 1) > most:
                self._embed(batch)
                batch = []
            batch.append(one)
        self._embed(batch)

    def _embed(self, batch):
        try:
            embeddings = _embed(self.model, [own for _, own in batch])
        except ValueError as error:
            if len(batch) == 1:
                self.failed |= dict.fromkeys(batch[0][0], str(error))
                return
            # Which of them it is has to be found out.
            for one in batch:
                self._embed([one])
            return
        for (keys, _), embedding in zip(batch, embeddings, strict=True):
            self.found.update(dict.fromkeys(keys, embedding))
            self.computed += 1


@torch.no_grad()
def _embed(model, clips):
    """Embeddings of waveforms, or voices, float32, (clips, dim)."""
    if not clips:
        return np.zeros((0, 0), dtype=np.float32)
    wavs = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
    lengths = [len(clip) / wavs.shape[1] for clip in clips]
    told = (torch.tensor(lengths),) if len(clips) > 1 else ()
    # SpeechBrain's classes have embeddings alone.
    encode = getattr(model, "encode_voices", model.encode_batch)
    found = encode(wavs.to(model.device), *told).flatten(1)
    if not found.isfinite().all():
        raise ValueError("its embedding is not finite: it may be silent")
    return found.float().cpu().numpy()
