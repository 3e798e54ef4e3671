"""Ctrl-C while sound is encoded ends the work, or comes after it."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

from speechbrain_siamese.utils.sound_bytes import opened_sound, sound_bytes

SOUND = np.sin(np.arange(16000 * 20) / 9).astype(np.float32)


def interrupted(function, seconds: float):
    """What a call gives that gets a SIGINT; None if that ended it."""

    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(seconds, interrupt)
    found = None
    try:
        timer.start()
        found = function()
        timer.join()
    except KeyboardInterrupt:
        timer.join()
    return found


@pytest.mark.parametrize("kind", ["FLAC", "MP3"])
def test_interrupted_sound_is_whole_or_none(kind):
    whole = sound_bytes(SOUND, 16000, kind)
    for number in range(20):
        made = interrupted(
            lambda: sound_bytes(SOUND, 16000, kind), 0.002 * number
        )
        assert made in (None, whole)


def test_interrupted_reading_is_whole_or_none():
    def samples_of(sound):
        with opened_sound(sound) as file:
            return file.read(dtype="float32"), file.samplerate

    kept = sound_bytes(SOUND, 16000, "FLAC")
    whole, rate = samples_of(kept)
    assert rate == 16000
    assert np.abs(whole - SOUND).max() < 1e-4
    for number in range(20):
        read = interrupted(lambda: samples_of(kept), 0.0005 * number)
        assert read is None or np.array_equal(read[0], whole)
