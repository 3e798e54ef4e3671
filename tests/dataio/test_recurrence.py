"""Sound that recurs is found where it is, and speech is not."""

from __future__ import annotations

import numpy as np
import pytest

from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.corpus import clean_corpus
from speechbrain_siamese.dataio.decoding import decode_blocks
from speechbrain_siamese.dataio.jingles import FOLDER, cut_recurring
from speechbrain_siamese.dataio.recordings import RECURS, find_recordings
from speechbrain_siamese.dataio.recurrence import (
    RATE,
    landmarks,
    recurring,
)
from speechbrain_siamese.utils.whole_file import write_wav


def jingle(seconds=6.0, rate=RATE):
    """Chords that change every fifth of a second."""
    rng = np.random.default_rng(7)
    notes = []
    for _ in range(round(5 * seconds)):
        times = np.arange(rate // 5) / rate
        tones = rng.uniform(200, 3000, (5, 1))
        notes.append(np.sin(2 * np.pi * tones * times).mean(axis=0))
    return 0.4 * np.concatenate(notes)


def noise(seed, seconds, rate=RATE):
    """Noise that no other has."""
    rng = np.random.default_rng(seed)
    return 0.1 * rng.standard_normal(round(seconds * rate))


def rounded(stretches):
    """To whole seconds."""
    return [(round(start), round(stop)) for start, stop in stretches]


def test_a_jingle_is_found_at_any_place_and_level():
    sounds = [
        np.concatenate([noise(1, 20), jingle(), noise(2, 9)]),
        # Not at a whole number of the spectrogram's steps.
        np.concatenate([noise(3, 3.3337), 0.2 * jingle(), noise(4, 11)]),
        noise(5, 40),
    ]
    found = recurring([landmarks([sound]) for sound in sounds])
    assert [rounded(own) for own in found] == [[(20, 26)], [(3, 9)], []]


def test_a_jingle_that_comes_again_in_one_recording_is_found():
    sound = np.concatenate([jingle(), noise(1, 30), jingle()])
    (found,) = recurring([landmarks([sound])])
    assert rounded(found) == [(0, 6), (36, 42)]


def test_a_jingle_is_found_below_noise_and_behind_a_codec(
    tmp_path, write_audio
):
    plain = np.concatenate([noise(1, 10), jingle(), noise(2, 10)])
    path = write_audio(tmp_path / "a.mp3", np.repeat(plain, 2), 16000)
    loud = jingle()
    hidden = np.concatenate([noise(3, 5), loud + 0.5 * noise(4, 6)])
    found = recurring(
        [
            landmarks(decode_blocks(path, RATE)),
            landmarks([hidden]),
        ]
    )
    for own, (start, stop) in zip(found, ((10, 16), (5, 11)), strict=True):
        covered = sum(min(b, stop) - max(a, start) for a, b in own)
        assert covered > 5.0
        assert sum(b - a for a, b in own) < 7.5


def test_a_copy_of_a_recording_is_no_jingle():
    sound = np.concatenate([noise(1, 15), jingle(), noise(2, 15)])
    heard = [landmarks([sound]), landmarks([0.5 * sound[: 30 * RATE]])]
    assert recurring(heard) == [[], []]


def test_what_is_everywhere_is_found_everywhere():
    opening = jingle(4.0)
    sounds = [np.concatenate([opening, noise(k, 8)]) for k in range(70)]
    found = recurring([landmarks([sound]) for sound in sounds])
    for own in found:
        ((start, stop),) = own
        assert start == 0
        # Noise of 70 is alike here and there.
        assert 3.5 < stop < 6.5


def test_blocks_do_not_matter():
    sound = np.concatenate([noise(1, 70), jingle(), noise(2, 9)])
    whole = landmarks([sound])
    parts = landmarks(np.array_split(sound, 37))
    np.testing.assert_array_equal(whole.hashes, parts.hashes)
    np.testing.assert_array_equal(whole.frames, parts.frames)
    assert len(whole.hashes) > 1000


@pytest.mark.parametrize("samples", [0, 1, 1000, 1024, 1025, 5000])
def test_short_and_silent_sound_has_no_landmarks(samples):
    found = landmarks([np.zeros(samples)])
    assert len(found.hashes) == len(found.frames) == 0
    assert recurring([found, found]) == [[], []]
    assert recurring([]) == []


@pytest.fixture
def folder(tmp_path):
    """Three speakers; two have the jingle, one of them at 44.1 kHz."""
    rate = 16000
    sounds = {
        "a/1": [jingle(6, rate), noise(1, 20, rate)],
        "b/1": [noise(2, 15, rate), jingle(6, rate), noise(3, 5, rate)],
        "c/1": [noise(4, 20, rate)],
    }
    for name, parts in sounds.items():
        path = tmp_path / "raw" / f"{name}.wav"
        path.parent.mkdir(parents=True)
        sound = (32000 * np.concatenate(parts)).astype(np.int16)
        write_wav(path, [sound], rate)
    (tmp_path / "raw" / "c" / "2.wav").write_text("no sound")
    return tmp_path


def test_what_recurs_is_cut_from_a_corpus(folder):
    recordings = find_recordings(folder / "raw")
    settings = CleaningSettings(cut_recurring=True)
    cleaned, rejected = clean_corpus(recordings, folder / "out", settings)
    assert [one.recording.session for one in rejected] == ["c-2"]
    lengths = {one.recording.speaker: one.duration for one in cleaned}
    assert lengths == {
        "a": pytest.approx(20, abs=0.6),
        "b": pytest.approx(20, abs=0.6),
        "c": pytest.approx(20, abs=0.1),
    }
    (cut,) = cleaned[1].recording.cut
    assert cut.why == RECURS
    assert (round(cut.start), round(cut.stop)) == (15, 21)


def test_recordings_are_listened_to_once(folder, monkeypatch):
    recordings = find_recordings(folder / "raw")
    first = cut_recurring(recordings, folder / "out")
    heard = []
    monkeypatch.setattr(
        "speechbrain_siamese.dataio.jingles.landmarks", heard.append
    )
    assert cut_recurring(recordings[:3], folder / "out") == first[:3]
    assert heard == []
    # A file that is half there is made anew; one that is not wanted goes.
    monkeypatch.undo()
    kept = folder / "out" / FOLDER
    (kept / "a-1.npz").write_bytes(b"half")
    assert cut_recurring(recordings, folder / "out") == first
    cut_recurring(recordings[1:], folder / "out")
    assert not (kept / "a-1.npz").exists()
