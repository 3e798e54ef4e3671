"""An audit of recordings on a disk: times, tables, planted mistakes."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from torchaudio.functional import resample

from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.corpus import clean_corpus
from speechbrain_siamese.dataio.recordings import EXCLUDED, find_recordings
from speechbrain_siamese.inference.audit import (
    COPY,
    RECORDING,
    STRETCH,
    TWO_NAMES,
    audit,
    raw_time,
    write_suspects,
)
from speechbrain_siamese.inference.teacher import Teacher
from speechbrain_siamese.utils.whole_file import write_wav

RATE = 8000


def voice(number, seconds, seed):
    """Noise with a resonance of its own, and silence for a second before."""
    rng = np.random.default_rng([number, seed])
    steps = np.arange(round(seconds * RATE))
    tone = np.sin(2 * np.pi * (300 + 250 * number) * steps / RATE)
    sound = 0.2 * tone + 0.02 * rng.standard_normal(len(steps))
    return np.concatenate([np.zeros(RATE), sound])


def spectrum(wavs: torch.Tensor) -> torch.Tensor:
    """What tells such voices apart."""
    power = torch.fft.rfft(wavs).abs().square()
    return torch.nn.functional.adaptive_avg_pool1d(power, 40).sqrt()


@pytest.fixture
def prepared(tmp_path):
    """Four people with two recordings each, and what is wrong with some."""
    sounds = {
        (name, take): [voice(number, 40, take)]
        for number, name in enumerate(("a", "b", "c", "d"))
        for take in (1, 2, 3)
    }
    # c speaks for 20 s in the middle of one of d's.
    sounds["d", 2] = [voice(3, 20, 5), voice(2, 20, 6), voice(3, 30, 7)]
    # One of a's lies in b's folder.
    sounds["b", 2] = [voice(0, 40, 8)]
    # Somebody has two names.
    sounds["e", 1] = [voice(2, 40, 9)]
    sounds["e", 2] = [voice(2, 40, 10)]
    for (name, take), parts in sounds.items():
        path = tmp_path / "raw" / name / f"take {take}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        sound = (32000 * np.concatenate(parts)).astype(np.int16)
        write_wav(path, [sound], RATE)
    settings = CleaningSettings(sample_rate=RATE)
    clean_corpus(
        find_recordings(tmp_path / "raw"), tmp_path / "out" / "clean", settings
    )
    return tmp_path / "out"


def test_what_is_wrong_comes_first(prepared, tmp_path):
    first = audit(Teacher(spectrum, RATE, "spectrum"), prepared).suspects[:4]
    (swapped,) = [one for one in first if one.kind == RECORDING]
    assert (swapped.recording, swapped.like) == ("b/take 2.wav", "a")
    (visit,) = [one for one in first if one.kind == STRETCH]
    assert visit.recording == "d/take 2.wav"
    assert visit.like in ("c", "e")
    # Behind 22 s: two seconds of silence and 20 s of d.
    assert visit.start == pytest.approx(22, abs=3)
    assert visit.stop == pytest.approx(43, abs=3)
    pairs = {
        frozenset([one.speaker, one.like])
        for one in first
        if one.kind == TWO_NAMES
    }
    assert frozenset("ce") in pairs

    # Its rows can be copied into exclude.csv.
    write_suspects([visit, swapped], tmp_path / "raw" / "exclude.csv")
    left = find_recordings(tmp_path / "raw")
    cuts = {one.session: one.cut for one in left if one.cut}
    assert len(cuts) == 2
    assert {cut.why for own in cuts.values() for cut in own} == {EXCLUDED}


def test_people_are_called_as_their_folders_are(prepared, tmp_path):
    raw = tmp_path / "raw"
    (raw / "a").rename(raw / "सीता")
    settings = CleaningSettings(sample_rate=RATE)
    clean_corpus(find_recordings(raw), tmp_path / "new" / "clean", settings)
    found = audit(Teacher(spectrum, RATE, "spectrum"), tmp_path / "new")
    (swapped,) = [one for one in found.suspects[:4] if one.kind == RECORDING]
    assert (swapped.recording, swapped.like) == ("b/take 2.wav", "सीता")


def test_the_table_holds_all(prepared, tmp_path):
    found = audit(Teacher(spectrum, RATE, "spectrum"), prepared, top=5).suspects
    write_suspects(found, tmp_path / "suspects.csv")
    with open(tmp_path / "suspects.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found) == 5
    assert [row["kind"] for row in rows] == [one.kind for one in found]


def test_clips_are_judged_and_held_against_recordings(prepared, tmp_path):
    # A clip of one folder may be called as a recording of the other.
    for name, number in (("f/take 1", 5), ("f/take 2", 5), ("a/take 1", 0)):
        path = tmp_path / "clips" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        sound = (32000 * voice(number, 15, 20)).astype(np.int16)
        write_wav(path, [sound], RATE)
    # Somebody of the other folder, under a new name.
    path = tmp_path / "clips" / "f" / "wrong.wav"
    write_wav(path, [(32000 * voice(1, 15, 21)).astype(np.int16)], RATE)
    clean_corpus(
        find_recordings(tmp_path / "clips"),
        prepared / "clean_clips",
        CleaningSettings(sample_rate=RATE),
    )
    found = audit(Teacher(spectrum, RATE, "spectrum"), prepared)
    wrong = {one.recording: one for one in found.suspects[:5]}
    assert wrong["f/wrong.wav"].like == "b"
    assert "f/take 1.wav" not in wrong


def speech(seconds, seed):
    """Syllables: a voice whose pitch and loudness never repeat."""
    rng = np.random.default_rng(seed)
    syllables = rng.uniform(0.15, 0.4, round(seconds / 0.2))
    parts = []
    for length in syllables:
        time = np.arange(round(length * RATE)) / RATE
        pitch = rng.uniform(100, 200) * (1 + rng.uniform(-0.3, 0.3) * time)
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        weights = rng.uniform(0, 1, 15) ** 3
        tones = [w * np.sin(k * phase) for k, w in enumerate(weights, 1)]
        parts.append(np.sum(tones, axis=0) * np.hanning(len(time)))
    sound = np.concatenate(parts)[: round(seconds * RATE)]
    return 0.5 * sound / np.abs(sound).max()


@pytest.mark.parametrize(
    ("ending", "rate"), [("m4a", 44100), ("webm", 48000), ("mp3", 16000)]
)
def test_a_copy_in_another_codec_is_called_one(ending, rate, tiny, tmp_path):
    # Pauses are cut a little otherwise in each codec.
    takes = {
        name: np.concatenate(
            [
                part
                for number in range(10)
                for part in (speech(3, [seed, number]), np.zeros(RATE))
            ]
        )
        for seed, name in enumerate(("a/1", "a/2", "b/1", "b/2"))
    }
    for name, take in takes.items():
        tiny.write(tmp_path / "raw" / f"{name}.wav", take, RATE)
    # Without its first seconds, at another rate.
    part = torch.from_numpy(takes["a/2"][5 * RATE :])
    copy = resample(part, RATE, rate).numpy().astype(np.float32)
    tiny.write(tmp_path / "raw" / "b" / f"copy.{ending}", copy, rate)
    clean_corpus(
        find_recordings(tmp_path / "raw"),
        tmp_path / "out" / "clean",
        CleaningSettings(sample_rate=RATE),
    )
    found = audit(Teacher(spectrum, RATE, "spectrum"), tmp_path / "out")
    told = [one for one in found.suspects if one.kind == COPY]
    assert [(o.recording, o.speaker, o.like) for o in told] == [
        (f"b/copy.{ending}", "b", "a/2.wav")
    ]
    assert found.suspects[0] == told[0]


def test_what_cannot_be_judged_is_told(prepared, tmp_path):
    for name, seconds in (("short", 5), ("alone", 30)):
        path = tmp_path / "raw" / name / "only.wav"
        path.parent.mkdir()
        sound = (32000 * voice(6, seconds, 3)).astype(np.int16)
        write_wav(path, [sound], RATE)
    clean_corpus(
        find_recordings(tmp_path / "raw"),
        prepared / "clean",
        CleaningSettings(sample_rate=RATE),
    )

    def deaf_to_short(wavs):
        if wavs.shape[1] < 4 * RATE:
            raise ValueError("too short")
        return spectrum(wavs)

    found = audit(Teacher(spectrum, RATE, "spectrum"), prepared)
    why = {one.recording: one.why for one in found.unjudged}
    assert sorted(why) == ["alone/only.wav", "short/only.wav"]
    assert why["short/only.wav"].startswith("not judged")
    assert why["alone/only.wav"].startswith("judged against itself")
    assert {one.speaker for one in found.unjudged} == {"alone", "short"}

    write_wav(
        tmp_path / "raw" / "a" / "word.wav",
        [(32000 * voice(0, 2, 3)).astype(np.int16)],
        RATE,
    )
    clean_corpus(
        find_recordings(tmp_path / "raw"),
        prepared / "clean",
        CleaningSettings(sample_rate=RATE),
    )
    found = audit(Teacher(deaf_to_short, RATE, "deaf"), prepared)
    (word,) = [o for o in found.unjudged if o.recording == "a/word.wav"]
    assert "can embed nothing of it" in word.why


def test_a_folder_without_speakers_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds 0 speakers"):
        audit(Teacher(spectrum, RATE, "spectrum"), tmp_path)


def test_times_are_those_of_the_recording():
    kept = [(10.0, 12.0), (20.0, 25.0)]
    assert [raw_time(kept, t) for t in (0, 2, 2.5, 7, 8)] == [
        10.0,
        12.0,
        20.5,
        25.0,
        25.0,
    ]
