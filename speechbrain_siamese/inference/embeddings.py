"""Embeddings of many files by any SpeechBrain encoder, kept between runs."""

from __future__ import annotations

import hashlib
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from speechbrain.inference.speaker import SpeakerRecognition
from speechbrain.utils.logger import get_logger
from tqdm import tqdm

from speechbrain_siamese.dataio.decoding import decode
from speechbrain_siamese.utils.whole_file import whole_file

logger = get_logger(__name__)

#: Seconds of work that a killed run loses at most.
SAVE_EVERY = 60.0


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


def model_fingerprint(model: SpeakerRecognition, hyperparams: str) -> str:
    """Short text that changes with anything that changes an embedding.

    Arguments
    ---------
    model : SpeakerRecognition
    hyperparams : str
        Text of its ``hyperparams.yaml``, which holds what is no weight.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    digest = hashlib.sha256(hyperparams.encode())
    for name, value in sorted(model.mods.state_dict().items()):
        digest.update(name.encode())
        # NumPy has no bfloat16.
        digest.update(value.double().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def embed_files(
    model: SpeakerRecognition,
    paths: Sequence[Path],
    cuts: Sequence[float | None],
    cache: EmbeddingCache,
    title: str = "Embedding",
) -> tuple[dict[float | None, torch.Tensor], dict[int, str]]:
    """Embed each file alone, as a whole and its middle seconds.

    Arguments
    ---------
    model : SpeakerRecognition
        Of SpeechBrain or ours; any that has ``encode_batch`` and an
        ``audio_normalizer``. Our decoder reads the files, at its rate.
    paths : Sequence[Path]
    cuts : Sequence of float or None
        Seconds from the middle of the file; None for the whole. A file that
        is no longer than a cut is taken whole.
    cache : EmbeddingCache
        Is read, filled and saved.
    title : str
        Of the progress bar.

    Returns
    -------
    dict of (float or None) : torch.Tensor
        Of each cut, (files, dim); NaN where there is none.
    dict of int : str
        Positions of the files that cannot be embedded as a whole, with the
        reason.

    Raises
    ------
    ValueError
        If no file at all can be embedded.
    """
    rows: list[Mapping[float | None, np.ndarray]] = []
    unusable: dict[int, str] = {}
    saved, new = time.monotonic(), False
    # No bar where there is no terminal: a log has no use for it.
    bar = tqdm(paths, desc=title, unit="file", disable=None)
    for position, path in enumerate(bar):
        try:
            own, computed = _embed_file(model, path, cuts, cache.found)
        except (ValueError, OSError) as error:
            own, computed = {}, False
            unusable[position] = str(error)
        rows.append(own)
        new = new or computed
        if new and time.monotonic() - saved > SAVE_EVERY:
            cache.save()
            saved, new = time.monotonic(), False
    if new:
        cache.save()
    size = next((len(own[cut]) for own in rows for cut in own), None)
    if size is None:
        raise ValueError(
            f"none of {len(paths)} files can be embedded; the first: "
            f"{unusable.get(0, 'its middle is silent')}"
        )
    nothing = np.full(size, np.nan, dtype=np.float32)
    return {
        cut: torch.from_numpy(np.stack([own.get(cut, nothing) for own in rows]))
        for cut in cuts
    }, unusable


def _embed_file(model, path, cuts, found):
    """Embeddings of one file by cut, and whether any had to be computed."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    keys = {cut: EmbeddingCache.key(path, cut) for cut in cuts}
    if all(key in found for key in keys.values()):
        return {cut: found[key] for cut, key in keys.items()}, False
    rate = model.audio_normalizer.sample_rate
    samples = torch.from_numpy(decode(path, rate))
    whole = None
    for cut, key in keys.items():
        if key in found:
            continue
        length = len(samples) if cut is None else round(cut * rate)
        if length < len(samples):
            first = (len(samples) - length) // 2
            try:
                found[key] = _embed(model, samples[first : first + length])
            except ValueError:
                # The middle may be silent where the whole is not.
                if cut is None:
                    raise
        else:
            whole = _embed(model, samples) if whole is None else whole
            found[key] = whole
    return {cut: found[key] for cut, key in keys.items() if key in found}, True


@torch.no_grad()
def _embed(model, samples):
    """Embedding of one waveform, float32, (dim,)."""
    embedding = model.encode_batch(samples[None].to(model.device)).reshape(-1)
    if not embedding.isfinite().all():
        raise ValueError("its embedding is not finite: it may be silent")
    return embedding.float().cpu().numpy()
