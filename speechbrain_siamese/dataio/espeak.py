"""Speech from eSpeak NG, in this process and repeatable to the sample.

The library and its data come with the package `espeakng-loader`, which is
under the GPL 3.0 and therefore an extra: nothing here is imported unless a
`Synthesizer` is made.

Authors
 * The speechbrain-siamese contributors
"""

from __future__ import annotations

import ctypes
import shutil
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

ESPEAK_RATE = 22_050
"""Samples per second of everything eSpeak NG says."""

# Numbers of the C interface, from espeak-ng/speak_lib.h.
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_SPEED, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_BY_CHARACTER = 1
_UTF8 = 1
# Some variants clip at eSpeak's own default of 100.
_SAFE_VOLUME = 50

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_short),
    ctypes.c_int,
    ctypes.c_void_p,
)


@dataclass(frozen=True)
class Voice:
    """How one speaker sounds.

    Arguments
    ---------
    variant : str
        Language and variant as eSpeak NG names them, such as `ne+f3`.
    pitch : int
        Base pitch, 0 to 99; 50 is the variant's own.
    intonation : int
        Range of the pitch, 0 (flat) to 99; 50 is the variant's own.
    speed : int
        Words a minute, 80 to 450.
    formants : float
        Factor on all frequencies, formants and pitch alike, as of a shorter
        (above 1) or longer (below 1) vocal tract. Speech gets shorter by the
        same factor.
    """

    variant: str
    pitch: int = 50
    intonation: int = 50
    speed: int = 160
    formants: float = 1.0


class Synthesizer:
    """Says sentences with eSpeak NG.

    eSpeak NG keeps its noise and flutter in global variables, so what it says
    depends on all it said before. Each Synthesizer therefore loads a copy of
    the library of its own: the same seed and the same calls in the same order
    give the same samples, whatever ran earlier in the process. Use it from
    one thread.

    Arguments
    ---------
    seed : int
        Start of eSpeak's noise generator.

    Raises
    ------
    ImportError
        If `espeakng-loader` is not installed.
    RuntimeError
        If the library can't start with its data.

    Example
    -------
    >>> from speechbrain_siamese.dataio.espeak import Synthesizer, Voice
    >>> say = Synthesizer(seed=1)  # doctest: +SKIP
    >>> say("नमस्ते।", Voice("ne+f3", pitch=60)).dtype  # doctest: +SKIP
    dtype('float32')
    """

    def __init__(self, seed: int = 0):
        library, data = _find_library()
        # A second path is a second set of globals; the system keeps the
        # mapped file as long as it is in use.
        with tempfile.TemporaryDirectory(
            prefix="espeak-", ignore_cleanup_errors=True
        ) as folder:
            copy = shutil.copy2(library, folder)
            self._library = ctypes.CDLL(str(copy))
        rate = self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, str(data).encode(), _DONT_EXIT
        )
        if rate != ESPEAK_RATE:
            raise RuntimeError(
                f"eSpeak NG answered {rate} where its sample rate of "
                f"{ESPEAK_RATE} was expected, with the data folder {data} "
                f"({len(str(data))} characters; it takes about 150 at most). "
                "Reinstall espeakng-loader, in an environment with a shorter "
                "path if need be."
            )
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        self._chunks: list[np.ndarray] = []
        # Kept as an attribute: C holds a pointer that Python doesn't count.
        self._callback = _Callback(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)

    def __call__(self, text: str, voice: Voice) -> np.ndarray:
        """Say one sentence.

        Arguments
        ---------
        text : str
            What to say, in the voice's language.
        voice : Voice
            Who says it.

        Returns
        -------
        samples : np.ndarray
            (time,) float32 within -1 to 1 at `ESPEAK_RATE`.

        Raises
        ------
        ValueError
            If eSpeak NG has no such voice.
        RuntimeError
            If it says nothing.
        """
        name = voice.variant.encode()
        if self._library.espeak_SetVoiceByName(name) != 0:
            raise ValueError(
                f"eSpeak NG has no voice {voice.variant!r}; expected a "
                "language and a variant such as 'ne+f3'"
            )
        for parameter, value in (
            (_VOLUME, _SAFE_VOLUME),
            (_SPEED, voice.speed),
            (_PITCH, voice.pitch),
            (_RANGE, voice.intonation),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._chunks = []
        encoded = text.encode()
        status = self._library.espeak_Synth(
            encoded,
            ctypes.c_size_t(len(encoded) + 1),
            0,
            _BY_CHARACTER,
            0,
            _UTF8,
            None,
            None,
        )
        if status != 0 or not self._chunks:
            raise RuntimeError(
                f"eSpeak NG said nothing for {text!r} (status {status})"
            )
        samples = np.concatenate(self._chunks).astype(np.float32) / 32768
        return shift_formants(samples, voice.formants)

    def _collect(self, samples, count: int, events) -> int:
        """Take a block from C; 0 asks it to go on."""
        if samples and count > 0:
            block = np.ctypeslib.as_array(samples, (count,))
            self._chunks.append(block.copy())  # C reuses its buffer
        return 0


def shift_formants(samples: np.ndarray, factor: float) -> np.ndarray:
    """Move all frequencies by a factor, as a faster tape would.

    Arguments
    ---------
    samples : np.ndarray
        (time,) samples.
    factor : float
        Above 1 for higher frequencies and a shorter result; rounded to a
        fraction with a denominator of 50 at most.

    Returns
    -------
    shifted : np.ndarray
        (time / factor,) float32, to be played at the same sample rate.

    Example
    -------
    >>> shift_formants(np.zeros(1000), 1.25).shape
    (800,)
    """
    ratio = Fraction(factor).limit_denominator(50)
    shifted = resample_poly(samples, ratio.denominator, ratio.numerator)
    return np.clip(shifted, -1, 1).astype(np.float32)


def _find_library() -> tuple[Path, Path]:
    """Find eSpeak NG's shared library and the folder of its data."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise ImportError(
            "the demo corpus is spoken by eSpeak NG, and the package "
            "espeakng-loader that brings it is not installed. Install it with "
            'pip install "speechbrain-siamese[demo]" (it is under the GPL '
            "3.0, thus an extra)"
        ) from error
    return (
        Path(espeakng_loader.get_library_path()),
        Path(espeakng_loader.get_data_path()),
    )
