"""A tone stands at its frequency and its time."""

from __future__ import annotations

import numpy as np
import pytest

from speechbrain_siamese.demo_page.spectrogram import (
    COLUMNS,
    plot_spectrogram,
)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_tone_is_where_it_sounds(rate):
    """1 kHz in the second half of two seconds."""
    time = np.arange(2 * rate) / rate
    sound = np.sin(2 * np.pi * 1000 * time) * (time >= 1)
    (image,) = plot_spectrogram(sound, rate).axes[0].images
    left, right, bottom, top = image.get_extent()
    assert (left, right, bottom, top) == (0, 2, 0, rate / 2000)
    level = image.get_array()
    row, column = np.unravel_index(level.argmax(), level.shape)
    height, width = level.shape
    assert (row + 0.5) / height * top == pytest.approx(1.0, abs=0.05)
    assert column / width > 0.5
    assert level[row, : width // 2 - 5].max() < image.get_clim()[0]


def test_a_long_clip_has_no_more_columns_than_are_seen():
    sound = np.random.default_rng(0).standard_normal(120 * 16000)
    (image,) = plot_spectrogram(sound, 16000).axes[0].images
    assert image.get_array().shape[1] <= COLUMNS + 4


def test_silence_is_drawn():
    plot_spectrogram(np.zeros(16000), 16000)
