"""The demo corpus: whole, repeatable, and never over a user's files."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from speechbrain_siamese.dataio import demo
from speechbrain_siamese.dataio.demo import (
    ADVERT_SECONDS,
    MARKER,
    ensure_demo_corpus,
)
from speechbrain_siamese.dataio.demo_cast import SENTENCES, SPEAKERS
from speechbrain_siamese.dataio.demo_sound import (
    assemble_recording,
    jingle,
    join_with_pauses,
    place_in_room,
    write_recording,
)
from speechbrain_siamese.dataio.espeak import (
    ESPEAK_RATE,
    Synthesizer,
    Voice,
    shift_formants,
)

# Six speakers' twelve recordings go once through all eleven formats.
FEW = SPEAKERS[:6]
SECONDS = 6.0


def build(folder, seed=0, speakers=FEW[:2], seconds=SECONDS):
    """Build a corpus of a test's size."""
    return ensure_demo_corpus(
        folder, seed, _speakers=speakers, _speech_seconds=seconds
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Build one corpus for the tests that only read it."""
    pytest.importorskip("espeakng_loader", reason="needs the extra 'demo'")
    return build(tmp_path_factory.mktemp("demo") / "corpus", speakers=FEW)


@pytest.fixture
def no_synthesis(monkeypatch):
    """Fail the test if anything is to be synthesised."""

    def refuse(seed):
        raise AssertionError("a corpus is being built")

    monkeypatch.setattr(demo, "Synthesizer", refuse)


def decode(path):
    """Read a file of any format as (channels, time) and its rate."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("fltp", "stereo", stream.rate)
        blocks = [
            block.to_ndarray()
            for frame in [*container.decode(stream), None]
            for block in resampler.resample(frame)
        ]
        assert stream.channels == 2
        return np.concatenate(blocks, axis=1), stream.rate


def recordings(folder):
    """List a corpus's recordings."""
    return sorted(path for path in folder.glob("*/*") if path.is_file())


def pitch(samples, rate=ESPEAK_RATE):
    """Median fundamental frequency in Hz, by autocorrelation."""
    found = []
    for start in range(0, len(samples) - 1024, 512):
        frame = samples[start : start + 1024]
        if frame.std() < 0.02:
            continue
        spectrum = np.fft.rfft(frame - frame.mean(), 2048)
        likeness = np.fft.irfft(np.abs(spectrum) ** 2)
        lag = 50 + likeness[50:300].argmax()
        if likeness[lag] > 0.4 * likeness[0]:
            found.append(rate / lag)
    return float(np.median(found))


def digest(path):
    """Hash a file's decoded samples."""
    samples, _ = soundfile.read(path, dtype="int16")
    return hashlib.sha256(samples.tobytes()).hexdigest()


# What is in the corpus


def test_every_recording_is_stereo_whole_and_in_one_of_six_formats(corpus):
    found = recordings(corpus)
    assert len(found) == 12
    rates = set()
    for path in found:
        samples, rate = decode(path)
        rates.add(rate)
        assert 2 * ADVERT_SECONDS + SECONDS - 1 < samples.shape[1] / rate < 25
        assert not np.allclose(samples[0], samples[1], atol=1e-3), path
    assert rates == {22_050, 44_100, 48_000}
    assert {path.suffix for path in found} == {
        ".wav",
        ".flac",
        ".ogg",
        ".mp3",
        ".m4a",
        ".webm",
    }


def test_speech_is_neither_silent_nor_clipped_and_has_pauses(corpus):
    for path in recordings(corpus):
        samples, rate = decode(path)
        # Codecs overshoot the 0.9 that was written, but not to the rail.
        assert np.abs(samples).max() < 0.99, path
        edge = int((ADVERT_SECONDS + 0.2) * rate)
        speech = samples[:, edge:-edge].mean(axis=0)
        step = rate // 10
        frames = speech[: len(speech) // step * step].reshape(-1, step)
        level = 10 * np.log10((frames**2).mean(axis=1) + 1e-12)
        loud = np.percentile(level, 90)
        assert -32 < loud < -10, path
        # A pause of 0.6 s or more after every sentence of 3 to 6 s.
        assert (level < loud - 20).mean() > 0.1, path


def test_adverts_of_the_stated_length_stand_at_both_ends(corpus):
    # Music has no pause; speech ends in one, and noise is 32 dB down.
    for path in corpus.glob("*/*.wav"):
        samples, rate = decode(path)
        step = rate // 20
        level = np.abs(samples).max(axis=0)
        frames = level[: len(level) // step * step].reshape(-1, step)
        advert = round(ADVERT_SECONDS * 20)
        assert frames[: advert - 1].max(axis=1).min() > 0.03
        assert frames[-advert + 2 :].max(axis=1).min() > 0.03
        before_last = frames[-advert - 10 : -advert - 1].max()
        assert before_last < 0.03


def test_speakers_csv_names_every_folder_once(corpus):
    with open(corpus / "speakers.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["speaker", "name", "gender"]
    folders = [path.name for path in corpus.iterdir() if path.is_dir()]
    assert sorted(row["speaker"] for row in rows) == sorted(folders)
    assert [row["gender"] for row in rows] == ["f", "m"] * 3


def test_both_recordings_of_a_speaker_differ_in_text_and_format(corpus):
    for speaker in FEW:
        first, second = sorted((corpus / speaker.folder).iterdir())
        assert first.suffix != second.suffix
        assert decode(first)[0].shape != decode(second)[0].shape


def test_cast_is_sixteen_distinct_voices_half_of_them_female():
    assert len(SPEAKERS) == 16
    assert sum(speaker.gender == "f" for speaker in SPEAKERS) == 8
    for field in ("folder", "name", "voice"):
        assert len({getattr(speaker, field) for speaker in SPEAKERS}) == 16
    devanagari_with_space = [
        speaker
        for speaker in SPEAKERS
        if " " in speaker.folder and not speaker.folder.isascii()
    ]
    assert devanagari_with_space
    assert len(set(SENTENCES)) == len(SENTENCES) >= 40


def test_every_voice_speaks_and_women_speak_higher_than_men():
    pytest.importorskip("espeakng_loader", reason="needs the extra 'demo'")
    say = Synthesizer()
    pitches = {"f": [], "m": []}
    for speaker in SPEAKERS:
        speech = say(SENTENCES[0], speaker.voice)
        assert speech.dtype == np.float32
        assert 2 < len(speech) / ESPEAK_RATE < 6, speaker
        assert 0.1 < np.abs(speech).max() < 0.99, speaker
        pitches[speaker.gender].append(pitch(speech))
    assert min(pitches["f"]) > 1.1 * max(pitches["m"]), pitches


# The same again


def test_two_processes_build_the_same_samples(tmp_path):
    pytest.importorskip("espeakng_loader", reason="needs the extra 'demo'")
    here = build(tmp_path / "here", seed=3)
    script = (
        "import sys\n"
        "from speechbrain_siamese.dataio.demo import *\n"
        "from speechbrain_siamese.dataio.demo_cast import SPEAKERS\n"
        "ensure_demo_corpus(sys.argv[1], 3, _speakers=SPEAKERS[:2],"
        f" _speech_seconds={SECONDS})"
    )
    root = Path(demo.__file__).resolve().parents[2]
    there = tmp_path / "there"
    subprocess.run(
        [sys.executable, "-c", script, str(there)],
        check=True,
        capture_output=True,
        cwd=root,
    )
    names = [path.relative_to(here) for path in recordings(here)]
    assert [name.suffix for name in names] == [".wav", ".m4a", ".webm", ".flac"]
    for name in names:
        assert (here / name).read_bytes() == (there / name).read_bytes(), name


def test_earlier_speech_in_the_process_changes_nothing():
    pytest.importorskip("espeakng_loader", reason="needs the extra 'demo'")
    voice = Voice("ne+f1", formants=1.1)
    first = Synthesizer(seed=1)(SENTENCES[0], voice)
    busy = Synthesizer(seed=1)
    busy(SENTENCES[1], Voice("hi+m3"))
    assert np.array_equal(first, Synthesizer(seed=1)(SENTENCES[0], voice))


def test_another_seed_is_another_corpus(corpus, tmp_path):
    other = build(tmp_path / "other", seed=1)
    name = f"{FEW[0].folder}/rec1.wav"
    assert digest(corpus / name) != digest(other / name)


# Whose folder it is


def test_a_corpus_that_is_there_is_not_built_again(corpus, no_synthesis):
    assert build(corpus, speakers=FEW) == corpus


def test_another_seed_version_or_a_lost_file_build_anew(tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader", reason="needs the extra 'demo'")
    one = FEW[:1]
    folder = build(tmp_path / "corpus", 0, one, 1.0)
    recording = folder / one[0].folder / "rec1.wav"
    first = digest(recording)

    build(folder, 1, one, 1.0)
    assert digest(recording) != first
    assert json.loads((folder / MARKER).read_text("utf-8"))["seed"] == 1

    recording.unlink()
    build(folder, 1, one, 1.0)
    assert recording.is_file()

    monkeypatch.setattr(demo, "_VERSION", 10_000)
    build(folder, 1, one, 1.0)
    marker = json.loads((folder / MARKER).read_text("utf-8"))
    assert marker["version"] == 10_000
    assert list(tmp_path.iterdir()) == [folder]


def test_an_empty_folder_is_used(tmp_path):
    pytest.importorskip("espeakng_loader", reason="needs the extra 'demo'")
    build(tmp_path / "empty", 0, FEW[:1], 1.0)
    assert (tmp_path / "empty" / MARKER).is_file()


def test_a_users_folder_is_refused_and_left_as_it_was(tmp_path, no_synthesis):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match=r"not empty.*Name another folder"):
        build(mine)
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_users_empty_subfolders_are_refused_too(tmp_path, no_synthesis):
    (tmp_path / "mine" / "speaker").mkdir(parents=True)
    with pytest.raises(ValueError, match="not empty"):
        build(tmp_path / "mine")


def test_a_file_in_the_folders_place_is_refused(tmp_path, no_synthesis):
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(ValueError, match="is a file"):
        build(tmp_path / "mine")


def test_a_users_file_in_an_old_corpus_is_not_lost(tmp_path, no_synthesis):
    folder = tmp_path / "corpus"
    folder.mkdir()
    marker = {
        "version": 0,
        "seed": 0,
        "speakers": 2,
        "speech_seconds": SECONDS,
        "files": ["speakers.csv"],
    }
    (folder / MARKER).write_text(json.dumps(marker))
    (folder / "speakers.csv").write_text("")
    (folder / "notes.txt").write_text("precious")
    with pytest.raises(ValueError, match=r"notes\.txt"):
        build(folder)
    assert (folder / "notes.txt").read_text() == "precious"


@pytest.mark.parametrize("text", ["", "[]", '{"version": 1}', "null"])
def test_a_marker_of_other_making_is_refused(tmp_path, text, no_synthesis):
    (tmp_path / MARKER).write_text(text)
    with pytest.raises(ValueError, match="is not as written"):
        build(tmp_path)


def test_a_build_that_dies_leaves_nothing(tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader", reason="needs the extra 'demo'")

    def fail(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "write_recording", fail)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_the_error_names_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(ImportError, match=r"speechbrain-siamese\[demo\]"):
        build(tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


# The sound, without eSpeak


def test_assembled_recording_has_the_length_of_its_parts():
    rate = 8000
    sentence = np.sin(np.arange(rate) / 10)
    sound = assemble_recording(
        [sentence] * 3, 2.0, rate, np.random.default_rng(0)
    )
    assert sound.dtype == np.float32 and sound.shape[1] == 2
    pauses = len(sound) / rate - 2 * 2.0 - 3
    assert 3 * 0.6 <= pauses <= 3 * 2.0
    assert np.abs(sound).max() <= 0.9


def test_pauses_follow_every_sentence():
    speech = join_with_pauses(
        [np.ones(8000)] * 20, 8000, np.random.default_rng(0)
    )
    edges = np.flatnonzero(np.diff(np.append(speech, 1)))
    pauses = np.diff(edges)[::2] / 8000
    assert len(pauses) == 20
    assert 0.6 <= pauses.min() < 1.0 < 1.6 < pauses.max() <= 2.0


def test_rooms_differ_in_level_and_colour_but_keep_the_noise_down():
    speech = np.random.default_rng(0).laplace(size=20_000)
    speech[10_000:] = 0
    levels, colours = [], []
    for seed in range(8):
        sound = place_in_room(speech, 8000, np.random.default_rng(seed))
        said, noise = sound[:10_000], sound[15_000:]
        ratio = 20 * np.log10(said.std() / noise.std())
        assert 28 < ratio < 46
        levels.append(20 * np.log10(said.std()))
        power = np.abs(np.fft.rfft(said[:, 0])) ** 2
        colours.append(10 * np.log10(power[500:1500].sum() / power.sum()))
    assert np.ptp(levels) > 3
    assert np.ptp(colours) > 0.5


def test_music_is_never_silent_for_a_tenth_of_a_second():
    for seed in range(5):
        music = jingle(5.0, 8000, np.random.default_rng(seed))
        assert music.shape == (40_000, 2)
        assert np.abs(music).max() == pytest.approx(0.5)
        assert np.abs(music).reshape(50, -1).max(axis=1).min() > 0.03


def test_formants_and_length_move_by_the_factor():
    tone = np.sin(2 * np.pi * 500 * np.arange(8000) / 8000)
    shifted = shift_formants(tone, 1.25)
    assert len(shifted) == 6400
    peak = np.abs(np.fft.rfft(shifted)).argmax() * 8000 / 6400
    assert peak == pytest.approx(625, abs=2)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".m4a"])
@pytest.mark.parametrize("rate", [22_050, 48_000])
def test_formats_keep_both_channels_in_place(tmp_path, suffix, rate):
    time = np.arange(22_050) / 22_050
    tones = np.stack(
        [np.sin(2 * np.pi * 440 * time), np.sin(2 * np.pi * 1000 * time)], 1
    )
    tones *= np.hanning(len(time))[:, None]
    path = tmp_path / f"tones{suffix}"
    write_recording(path, 0.5 * tones.astype(np.float32), 22_050, rate)
    samples, found = decode(path)
    assert found == rate
    spectrum = np.abs(np.fft.rfft(samples[:, : rate // 2]))
    assert (spectrum.argmax(axis=1) * 2).tolist() == [440, 1000]
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.05)


def test_music_keeps_its_peak_through_aac(tmp_path):
    music = jingle(5.0, 44_100, np.random.default_rng(5))
    path = tmp_path / "music.m4a"
    write_recording(path, music, 44_100, 44_100)
    assert np.abs(decode(path)[0]).max() < 0.6
