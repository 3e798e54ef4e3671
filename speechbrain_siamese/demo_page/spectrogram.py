"""The spectrogram of a clip, as a picture within a page."""

from __future__ import annotations

import base64
import io

import numpy as np
from matplotlib.figure import Figure
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

#: dB below the loudest that are drawn.
RANGE = 70.0

#: Columns of a picture at most: more than its pixels are not seen.
COLUMNS = 600


def plot_spectrogram(samples: np.ndarray, rate: int) -> Figure:
    """Draw which frequencies sound when.

    Arguments
    ---------
    samples : np.ndarray
        Mono, (samples,).
    rate : int
        Hz.

    Returns
    -------
    Figure
        Small, so that its letters can be read on a phone.
    """
    window = round(0.025 * rate)
    hop = max(round(0.01 * rate), -(-len(samples) // COLUMNS))
    # A wider hop would skip sound between two windows.
    window = max(window, hop)
    size = 1 << (window - 1).bit_length()
    transform = ShortTimeFFT(hann(window), hop, rate, mfft=size)
    # From its begin to its end, without the edges beyond.
    power = transform.spectrogram(samples, p0=0, p1=-(-len(samples) // hop))
    level = 10 * np.log10(power + 1e-12)
    figure = Figure(figsize=(4.2, 2.3), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(
        level,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=level.max() - RANGE,
        vmax=level.max(),
        extent=(0, len(samples) / rate, 0, rate / 2000),
        interpolation="nearest",
    )
    axes.set_xlabel("time (s)")
    axes.set_ylabel("frequency (kHz)")
    return figure


def as_address(figure: Figure) -> str:
    """A picture as an address that holds it, so that no file is left.

    Arguments
    ---------
    figure : Figure

    Returns
    -------
    str

    Example
    -------
    >>> as_address(Figure())[:22]
    'data:image/png;base64,'
    """
    made = io.BytesIO()
    figure.savefig(made, format="png", dpi=150)
    code = base64.b64encode(made.getvalue()).decode("ascii")
    return f"data:image/png;base64,{code}"
