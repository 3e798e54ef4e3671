"""What people give is read whole, or refused in words that name no path."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from speechbrain_siamese.demo_page.recordings import (
    Limits,
    Recording,
    blocks_of,
    playable_copy,
    sound_of,
    spoken,
    told_by_name,
)

RATE = 16000
LIMITS = Limits("to be tried", 1, 90)


@pytest.fixture
def given(tmp_path):
    """A file as it came: its own name is not the one that it has now."""

    def give(samples, name="talk.wav", rate=RATE):
        path = tmp_path / "0f3a.wav"
        soundfile.write(path, samples, rate, subtype="FLOAT")
        return Recording(path, name)

    return give


def noise(seconds):
    rng = np.random.default_rng(5)
    return (0.1 * rng.standard_normal(round(seconds * RATE))).astype("float32")


def test_a_clip_is_given_at_the_rate_that_is_asked_for(given):
    clip = given(noise(2.0))
    assert np.array_equal(sound_of(clip, RATE, LIMITS), noise(2.0))
    assert len(sound_of(clip, 8000, LIMITS)) == 16000


@pytest.mark.parametrize(
    "samples, told",
    [
        (np.zeros(2 * RATE), "talk.wav is silent"),
        (np.full(2 * RATE, np.nan), "talk.wav is silent"),
        (noise(0.5), "talk.wav is 0.5 s long, 1 s are the least to be tried"),
        (noise(91), "talk.wav is longer than 90 s, which is the most"),
    ],
)
def test_what_cannot_be_used_is_refused(given, samples, told):
    with pytest.raises(ValueError, match=told) as error:
        sound_of(given(samples), RATE, LIMITS)
    assert "0f3a" not in str(error.value)


def test_nothing_and_text_are_no_recordings(tmp_path):
    with pytest.raises(ValueError, match="no recording yet"):
        sound_of(None, RATE, LIMITS)
    path = tmp_path / "0f3a"
    path.write_text("no sound")
    with pytest.raises(ValueError, match=r"notes.txt holds no sound") as error:
        sound_of(Recording(path, "notes.txt"), RATE, LIMITS)
    assert "0f3a" not in str(error.value)


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "0f3a"
    with open(path, "wb") as file:
        file.truncate(201_000_000)
    with pytest.raises(ValueError, match=r"all\.wav has 201 MB, at most 200"):
        sound_of(Recording(path, "all.wav"), RATE, LIMITS)


def test_a_long_file_is_not_decoded_to_its_end(given):
    """Blocks are 30 s: after the fourth it is known to be too long."""
    blocks, seen = blocks_of(given(noise(240)), RATE, LIMITS), 0
    with pytest.raises(ValueError, match="longer than"):
        for block in blocks:
            seen += len(block)
    assert seen == 90 * RATE


def test_the_copy_sounds_alike_and_keeps_the_name(given, tmp_path):
    """Stereo at another rate, louder than full scale in one place."""
    sound = np.repeat(noise(2.0)[:, None], 2, axis=1)
    sound[100] = 3.0
    copy = playable_copy(
        given(sound, "talk.m4a"), tmp_path / "copy.flac", RATE, LIMITS
    )
    assert copy.name == "talk.m4a"
    read, rate = soundfile.read(copy.path)
    assert rate == RATE
    assert np.abs(read - sound[:, 0].clip(-1, 1)).max() < 1e-4


def test_nothing_is_left_of_a_copy_that_is_refused(given, tmp_path):
    folder = tmp_path / "copies"
    with pytest.raises(ValueError, match="longer than"):
        playable_copy(given(noise(95)), folder / "copy.flac", RATE, LIMITS)
    assert [*folder.iterdir()] == []


def test_limits_are_said_in_round_units():
    assert spoken(90) == "90 s"
    assert spoken(180) == "3 minutes"
    assert spoken(3 * 3600) == "3 hours"


def test_other_errors_are_not_touched(tmp_path):
    with pytest.raises(OSError), told_by_name(Recording(tmp_path, "a")):
        raise OSError("disk")
