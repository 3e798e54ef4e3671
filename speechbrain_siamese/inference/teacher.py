"""An encoder that has heard more people, asked for its embeddings.

It guides the training of a student (``nnet.distillation``); what it says of
the user's own audio is kept (``inference.teacher_targets``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from speechbrain.inference.speaker import SpeakerRecognition

from speechbrain_siamese.inference.fingerprint import model_fingerprint

Encoder = TypeVar("Encoder", bound=SpeakerRecognition)

#: Of a callable that does not tell its own, Hz.
_USUAL_RATE = 16000


@dataclass(frozen=True)
class Teacher:
    """An encoder that is asked, never trained.

    Arguments
    ---------
    encode : Callable
        From waveforms (batch, time), float32, to embeddings (batch, dim). By a
        ``ValueError`` it says that it cannot embed an item.
    sample_rate : int
        Of the waveforms, Hz.
    fingerprint : str
        Changes with anything that changes an embedding.

    Example
    -------
    >>> teacher = Teacher(lambda wavs: wavs[:, :2], 16000, "first two samples")
    >>> teacher.embed(torch.ones(1, 9))
    [array([1., 1.], dtype=float32)]
    """

    encode: Callable[[torch.Tensor], torch.Tensor]
    sample_rate: int
    fingerprint: str

    def embed(self, wavs: torch.Tensor) -> list[np.ndarray | str]:
        """Embed waveforms of one length.

        Arguments
        ---------
        wavs : torch.Tensor
            (batch, time), float32, at the teacher's rate.

        Returns
        -------
        list of (np.ndarray or str)
            Of each waveform the embedding, (dim,), float32; or the reason why
            there is none.

        Raises
        ------
        ValueError
            If the encoder's answer has another shape.
        """
        try:
            with torch.no_grad():
                found = torch.as_tensor(self.encode(wavs)).float().cpu()
        except ValueError as error:
            if len(wavs) == 1:
                return [str(error)]
            # One of them; the others have nothing to do with it.
            return [answer for wav in wavs for answer in self.embed(wav[None])]
        if found.ndim != 2 or len(found) != len(wavs):
            raise ValueError(
                f"the teacher was given waveforms of the shape "
                f"{tuple(wavs.shape)} and returned {tuple(found.shape)}, "
                f"expected ({len(wavs)}, dim)"
            )
        return [
            row.numpy() if row.isfinite().all() else "not finite"
            for row in found
        ]


def teacher_name(source: str | Path | Callable | None) -> str:
    """What tells a teacher from another without opening it.

    Arguments
    ---------
    source : str, Path, Callable or None
        As for ``open_teacher``; None for no teacher.

    Returns
    -------
    str
        The folder or name on the hub, the name of a function or of an
        object's class; empty for none.

    Example
    -------
    >>> teacher_name(torch.nn.Identity()), teacher_name(None)
    ('Identity', '')
    """
    if callable(source):
        return getattr(source, "__qualname__", type(source).__qualname__)
    return str(source or "")


def open_teacher(
    source: str | Path | Callable[[torch.Tensor], torch.Tensor],
    folder: str | Path,
    run_opts: Mapping[str, object] | None = None,
) -> Teacher:
    """Open a SpeechBrain encoder, or take any callable as it is.

    Arguments
    ---------
    source : str, Path or Callable
        Folder of a SpeechBrain encoder (an export of ours too), or
        ``<user>/<name>`` on the hub. Or a callable from waveforms (batch,
        time), float32, at 16 kHz (unless it has a ``sample_rate``) to
        embeddings (batch, dim).
    folder : str or Path
        Where an encoder from the hub is put.
    run_opts : Mapping or None
        SpeechBrain's, such as the device; for its own encoders.

    Returns
    -------
    Teacher

    Raises
    ------
    ValueError
        If the encoder cannot be loaded, or a callable's answer has another
        shape.
    """
    if callable(source):
        if isinstance(source, torch.nn.Module):
            source.eval()
        rate = int(getattr(source, "sample_rate", _USUAL_RATE))
        teacher = Teacher(source, rate, teacher_name(source))
        return replace(teacher, fingerprint=_answer_fingerprint(teacher))
    try:
        model = load_encoder(SpeakerRecognition, source, folder, run_opts)
    except ValueError as error:
        raise ValueError(
            f"teacher: {error}; or a callable (!new: of a class, !name: of a "
            "function)"
        ) from error
    return teacher_of(model)


def load_encoder(
    kind: type[Encoder],
    source: str | Path,
    folder: str | Path,
    run_opts: Mapping[str, object] | None = None,
) -> Encoder:
    """Load an encoder by its ``hyperparams.yaml``, whose code runs.

    Arguments
    ---------
    kind : type
        SpeechBrain's ``SpeakerRecognition``, or one of its kind.
    source : str or Path
        Its folder, or ``<user>/<name>`` on the hub.
    folder : str or Path
        Where an encoder from the hub is put, in a folder of its own.
    run_opts : Mapping or None
        SpeechBrain's, such as the device.

    Returns
    -------
    SpeakerRecognition
        Of that kind.

    Raises
    ------
    ValueError
        If it cannot be loaded.
    """
    source = str(source)
    savedir = None
    if not Path(source).is_dir():
        savedir = Path(folder) / source.replace("/", "-")
    try:
        return kind.from_hparams(
            source=source, savedir=savedir, run_opts=dict(run_opts or {})
        )
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{source} cannot be loaded ({type(error).__name__}: {error}). "
            "Expected a folder with hyperparams.yaml and weights, or "
            "<user>/<name> of a SpeechBrain encoder on the hub, which needs a "
            "connection"
        ) from error


def teacher_of(model: SpeakerRecognition) -> Teacher:
    """Ask a loaded encoder.

    Arguments
    ---------
    model : SpeakerRecognition
        SpeechBrain's, or ours.

    Returns
    -------
    Teacher
    """
    model.mods.eval()
    return Teacher(
        lambda wavs: model.encode_batch(wavs).squeeze(1),
        model.audio_normalizer.sample_rate,
        model_fingerprint(model),
    )


def _answer_fingerprint(teacher: Teacher) -> str:
    """Hash of what a callable answers to a noise: it has no file to hash."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 2 * teacher.sample_rate, generator=generator)
    digest = hashlib.sha256(
        f"{teacher.fingerprint} {teacher.sample_rate}".encode()
    )
    for answer in teacher.embed(0.1 * noise):
        if not isinstance(answer, str):
            # Coarse: rounding that depends on the number of threads would
            # make another teacher of it.
            unit = answer / max(np.linalg.norm(answer), 1e-9)
            digest.update((100 * unit).round().astype(np.int16).tobytes())
    return digest.hexdigest()[:16]
