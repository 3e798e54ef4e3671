"""The corpus builder is resumable, exact and not stopped by odd files."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechbrain_siamese.corpus_report.doubts import doubts_about
from speechbrain_siamese.dataio import (
    clean_recording,
    decoding,
    kept_speech,
)
from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.corpus import clean_corpus, write_rejected
from speechbrain_siamese.dataio.recordings import find_recordings

SETTINGS = CleaningSettings(trim_start=1.0, trim_end=1.0)


@pytest.fixture
def source(tmp_path, write_audio, speech_like) -> Path:
    """Two speakers with three recordings."""
    root = tmp_path / "source"
    write_audio(root / "anna" / "a.wav", speech_like("#.##.#"), 16000)
    write_audio(root / "anna" / "b.m4a", speech_like("#.###.#"), 16000)
    write_audio(root / "मोहन" / "एक दो.mp3", speech_like("#.##..#.#"), 16000)
    return root


def run(source: Path, output: Path, settings=SETTINGS, **options):
    return clean_corpus(
        find_recordings(source),
        output,
        settings,
        progressbar=False,
        **options,
    )


def times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.glob("*/*")}


def forbid_decoding(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("decoded again")

    monkeypatch.setattr(kept_speech, "decode_blocks", refuse)


def test_cleaned_audio_is_the_kept_stretches_of_the_original(source, tmp_path):
    cleaned, rejected = run(source, tmp_path / "out")
    assert not rejected
    assert [c.recording for c in cleaned] == find_recordings(source)
    for item in cleaned:
        info = soundfile.info(item.path)
        assert (info.samplerate, info.channels) == (16000, 1)
        assert info.subtype == "PCM_16"
        assert info.duration == pytest.approx(item.duration)
        raw = decoding.decode(item.recording.path, 16000)
        assert item.raw_duration == pytest.approx(len(raw) / 16000)
        parts = [
            raw[round(start * 16000) : round(stop * 16000)]
            for start, stop in item.kept
        ]
        heard, _ = soundfile.read(item.path)
        np.testing.assert_allclose(heard, np.concatenate(parts), atol=2e-5)
        assert item.path.parent.name == item.recording.speaker
        assert item.path.name == f"{item.recording.session}.wav"


def test_times_of_kept_stretches_count_from_the_original_start(
    source, tmp_path
):
    cleaned, _ = run(source, tmp_path / "out")
    # "#.##.#" without its first and last second.
    (kept,) = cleaned[0].kept
    assert kept == pytest.approx((1.9, 4.1), abs=0.011)


@pytest.mark.parametrize("vad", [None, "silero"])
def test_long_beginnings_are_cut_with_each_detector(
    tmp_path, write_audio, speech_like, vad
):
    """Longer than a block of decoding, which lies before the cut as a whole."""
    sound = speech_like("#" * 45)
    write_audio(tmp_path / "source" / "anna" / "a.wav", sound, 16000)
    settings = CleaningSettings(trim_start=40.0, vad=vad)
    cleaned, rejected = run(tmp_path / "source", tmp_path / "out", settings)
    # A tone is no speech to Silero.
    assert [len(cleaned), len(rejected)] == ([0, 1] if vad else [1, 0])
    assert not rejected or rejected[0].reason.startswith("silent")


def test_what_is_cut_at_the_ends_says_nothing_of_the_quality(
    tmp_path, write_audio, speech_like
):
    speech, jingle = speech_like("." + "##." * 9), np.ones(10 * 16000)
    sound = np.concatenate([jingle, speech, jingle])
    write_audio(tmp_path / "plain" / "a" / "a.wav", speech, 16000)
    write_audio(tmp_path / "advertised" / "a" / "a.wav", sound, 16000)
    cut = CleaningSettings(trim_start=10.0, trim_end=10.0)
    ((plain,), _) = run(tmp_path / "plain", tmp_path / "1", CleaningSettings())
    ((other,), _) = run(tmp_path / "advertised", tmp_path / "2", cut)
    assert plain.quality.clipped == 0
    assert other.quality == plain.quality


def test_result_is_the_same_with_several_jobs(source, tmp_path, contents):
    one, _ = run(source, tmp_path / "one")
    two, _ = run(source, tmp_path / "two", n_jobs=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert [c.recording for c in one] == [c.recording for c in two]


def test_rerun_decodes_nothing_and_touches_nothing(
    source, tmp_path, monkeypatch
):
    (source / "anna" / "bad.wav").write_bytes(b"text")
    first = run(source, tmp_path / "out")
    before = times(tmp_path / "out")
    forbid_decoding(monkeypatch)
    assert run(source, tmp_path / "out") == first
    assert times(tmp_path / "out") == before


def test_other_settings_rebuild(source, tmp_path, contents):
    before, _ = run(source, tmp_path / "out")
    other = dataclasses.replace(SETTINGS, keep_silence=0.05)
    after, _ = run(source, tmp_path / "out", other)
    assert all(
        b.duration > a.duration for b, a in zip(before, after, strict=True)
    )
    run(source, tmp_path / "fresh", other)
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_changed_source_is_rebuilt_alone(
    source, tmp_path, write_audio, speech_like
):
    run(source, tmp_path / "out")
    before = times(tmp_path / "out")
    write_audio(source / "anna" / "a.wav", speech_like("#.####.#"), 16000)
    cleaned, _ = run(source, tmp_path / "out")
    assert cleaned[0].duration == pytest.approx(4.2, abs=0.021)
    after = times(tmp_path / "out")
    changed = {
        Path(path).stem for path in before if before[path] != after[path]
    }
    assert changed == {"anna-a"}


def test_source_that_becomes_unusable_loses_its_audio(source, tmp_path):
    run(source, tmp_path / "out")
    (source / "anna" / "a.wav").write_bytes(b"")
    cleaned, rejected = run(source, tmp_path / "out")
    assert len(cleaned) == 2
    assert "zero bytes" in rejected[0].reason
    assert not (tmp_path / "out" / "anna" / "anna-a.wav").exists()


def test_run_killed_between_audio_and_note_heals(source, tmp_path, contents):
    run(source, tmp_path / "out")
    whole = contents(tmp_path / "out")
    (tmp_path / "out" / "anna" / "anna-a.json").unlink()
    (tmp_path / "out" / "anna" / ".anna-b.wav.1234.partial").write_bytes(
        b"half"
    )
    run(source, tmp_path / "out")
    assert contents(tmp_path / "out") == whole


@pytest.mark.parametrize("damage", ["missing", "cut", "bad note"])
def test_damaged_output_is_made_again(source, tmp_path, damage, contents):
    run(source, tmp_path / "out")
    whole = contents(tmp_path / "out")
    audio = tmp_path / "out" / "anna" / "anna-a.wav"
    if damage == "missing":
        audio.unlink()
    elif damage == "cut":
        audio.write_bytes(audio.read_bytes()[:-100])
    else:
        audio.with_suffix(".json").write_text('{"made_by": "speechb')
    run(source, tmp_path / "out")
    assert contents(tmp_path / "out") == whole


def test_kill_while_decoding_leaves_nothing_that_counts(
    source, tmp_path, monkeypatch, contents
):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(clean_recording, "kept_stretches", killed)
        with pytest.raises(KeyboardInterrupt):
            run(source, tmp_path / "out")
    assert contents(tmp_path / "out").keys() == {".in_use"}
    run(source, tmp_path / "out")
    run(source, tmp_path / "fresh")
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_audio_of_a_killed_run_never_meets_an_older_note(
    tmp_path, write_audio, monkeypatch, contents
):
    root = tmp_path / "source"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 16000 * 5)
    write_audio(root / "a" / "a.wav", noise, 16000)
    run(root, tmp_path / "out")
    whole = contents(tmp_path / "out")
    size = (tmp_path / "out" / "a" / "a-a.wav").stat().st_size
    # As long as before, but another second of it.
    other = dataclasses.replace(SETTINGS, trim_start=0.5, trim_end=1.5)

    whole_file = clean_recording.whole_file

    def killed(path):
        if path.suffix == ".json":
            raise KeyboardInterrupt
        return whole_file(path)

    with monkeypatch.context() as patch:
        patch.setattr(clean_recording, "whole_file", killed)
        with pytest.raises(KeyboardInterrupt):
            run(root, tmp_path / "out", other)
    assert contents(tmp_path / "out")["a/a-a.wav"] != whole["a/a-a.wav"]
    assert (tmp_path / "out" / "a" / "a-a.wav").stat().st_size == size
    run(root, tmp_path / "out")
    assert contents(tmp_path / "out") == whole


def test_audio_of_recordings_that_are_gone_is_removed(source, tmp_path):
    run(source, tmp_path / "out")
    foreign = tmp_path / "out" / "anna" / "mine.wav"
    foreign.write_bytes(b"not ours")
    note = tmp_path / "out" / "anna" / "mine.json"
    note.write_text('{"made_by": "me"}')
    (source / "anna" / "a.wav").unlink()
    run(source, tmp_path / "out")
    left = {path.name for path in (tmp_path / "out" / "anna").iterdir()}
    assert left == {"anna-b.json", "anna-b.wav", "mine.wav", "mine.json"}


def test_odd_files_are_rejected_with_reasons_and_the_rest_goes_on(
    source, tmp_path, write_audio, speech_like
):
    bad = source / "zz"
    good = speech_like("#.##.#")
    holed = good.copy()
    holed[40000] = np.nan
    burst = good.copy()
    burst[40000] = np.inf
    write_audio(bad / "nan.wav", holed, 16000, "FLOAT")
    write_audio(bad / "inf.wav", burst, 16000, "FLOAT")
    write_audio(bad / "mute.wav", np.zeros(16000 * 9), 16000)
    write_audio(bad / "faint.wav", np.full(16000 * 9, 1e-4), 16000)
    write_audio(bad / "cuts.wav", speech_like("##"), 16000)
    write_audio(bad / "short.wav", good[: 16000 * 2 + 8000], 16000)
    write_audio(bad / "header.wav", np.zeros(0), 16000)
    (bad / "text.wav").write_text("hello, this is text\n" * 99)
    (bad / "zero.wav").write_bytes(b"")
    cleaned, rejected = run(source, tmp_path / "out")
    assert len(cleaned) == 3
    reasons = {r.recording.path.stem: r.reason for r in rejected}
    expected = {
        "nan": "NaN or infinite",
        "inf": "NaN or infinite",
        "mute": "silent",
        "faint": "silent",
        "cuts": "shorter than the cuts: 2.0 s",
        "short": "too short|silent",
        "header": "unreadable",
        "text": "unreadable",
        "zero": "zero bytes",
    }
    assert reasons.keys() == expected.keys()
    for name, parts in expected.items():
        assert any(part in reasons[name] for part in parts.split("|")), name
    left = {path.name for path in (tmp_path / "out" / "zz").iterdir()}
    assert all(name.endswith(".json") for name in left)


def test_too_little_voice_is_rejected_with_both_durations(
    tmp_path, write_audio, speech_like
):
    samples = speech_like("......")
    samples[48000:52800] = speech_like("#")[:4800]
    write_audio(tmp_path / "source" / "a" / "a.wav", samples, 16000)
    _, (rejected,) = run(tmp_path / "source", tmp_path / "out")
    assert rejected.reason.startswith("too short: 0.48 s left of 6.0 s")


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), OSError(5, "I/O")]
)
def test_source_that_cannot_be_read_is_rejected_but_not_remembered(
    source, tmp_path, monkeypatch, error
):
    original = clean_recording.file_digest

    def refuse(path, *more):
        if path.name == "a.wav":
            raise error
        return original(path, *more)

    with monkeypatch.context() as patch:
        patch.setattr(clean_recording, "file_digest", refuse)
        cleaned, rejected = run(source, tmp_path / "out")
    assert len(cleaned) == 2
    assert error.strerror in rejected[0].reason
    assert len(run(source, tmp_path / "out")[0]) == 3


def test_whatever_the_decoder_raises_is_a_rejection(
    source, tmp_path, monkeypatch
):
    original = decoding._mono_frames

    def odd(path, hear_channels):
        if path.name == "a.wav":
            raise RuntimeError("odd")
        yield from original(path, hear_channels)

    monkeypatch.setattr(decoding, "_mono_frames", odd)
    cleaned, rejected = run(source, tmp_path / "out")
    assert len(cleaned) == 2
    assert "odd" in rejected[0].reason


def test_levels_stay_unless_they_would_clip(tmp_path, write_audio, speech_like):
    root = tmp_path / "source"
    samples = speech_like("#.##.#")
    write_audio(root / "a" / "loud.wav", samples * 8, 16000, "FLOAT")
    write_audio(root / "a" / "soft.wav", samples, 16000, "FLOAT")
    loud, soft = run(root, tmp_path / "out")[0]
    heard, _ = soundfile.read(soft.path)
    assert np.abs(heard).max() == pytest.approx(0.25, abs=1e-4)
    heard, _ = soundfile.read(loud.path)
    assert np.abs(heard).max() == pytest.approx(1.0, abs=1e-4)
    # Scaled, not clipped: the sine's mean power says so.
    assert heard[4000:20000].std() == pytest.approx(0.5**0.5, rel=1e-2)


def test_output_among_the_recordings_is_an_error(source):
    with pytest.raises(ValueError, match="folder of its own"):
        run(source, source)


def test_session_ids_must_be_unique(source, tmp_path):
    found = find_recordings(source)
    with pytest.raises(ValueError, match="anna-a"):
        clean_corpus([*found, found[0]], tmp_path / "out", SETTINGS)


def test_rejected_are_written_as_a_table(tmp_path):
    root = tmp_path / "source" / "मो हन"
    root.mkdir(parents=True)
    (root / "x, y.wav").write_bytes(b"")
    _, rejected = run(root.parent, tmp_path / "out")
    write_rejected(rejected, tmp_path / "rejected.csv")
    with open(tmp_path / "rejected.csv", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "speaker": rejected[0].recording.speaker,
        "recording": "मो हन/x, y.wav",
        "reason": "unreadable: zero bytes",
    }


@pytest.mark.parametrize("around", [".", "_"])
def test_a_recording_of_which_all_speech_is_excluded_is_not_called_silent(
    tmp_path, write_audio, speech_like, around
):
    """Not to be mended, though hush is left beside what is excluded."""
    sound = speech_like(".###.")
    if around == "_":
        sound[:16000] = sound[-16000:] = 0
    write_audio(tmp_path / "raw" / "a" / "1.wav", sound, 16000)
    (tmp_path / "raw" / "exclude.csv").write_text(
        "recording,start,stop\na/1.wav,1,4\n"
    )
    settings = CleaningSettings(silence_relative=False, silence_threshold=-60)
    _, (gone,) = run(tmp_path / "raw", tmp_path / "out", settings)
    assert gone.reason.startswith("nothing is left of it (excluded)")
    (doubt,) = doubts_about([], [gone], 16000)
    assert "exclude.csv says so" in doubt.todo


def test_a_loud_jingle_that_is_cut_hides_no_voice(
    tmp_path, write_audio, speech_like
):
    """How loud the jingle is says nothing of how loud silence is."""
    voice = 0.01 * speech_like(".##.#..###.#" * 3)
    jingle = 0.9 * speech_like("#" * 20)
    seconds = len(jingle) / 16000
    for name, sound in (("with", [jingle, voice]), ("alone", [voice])):
        write_audio(
            tmp_path / name / "a" / "1.wav", np.concatenate(sound), 16000
        )
    write_audio(tmp_path / "with" / "a" / "2.wav", jingle, 16000)
    (tmp_path / "with" / "exclude.csv").write_text(
        f"recording,start,stop\na/1.wav,0,{seconds}\na/2.wav,0,{seconds}\n"
    )
    (found,), (gone,) = run(tmp_path / "with", tmp_path / "1")
    (alone,), _ = run(tmp_path / "alone", tmp_path / "2")
    assert gone.reason.startswith("nothing is left of it (excluded)")
    assert found.duration == pytest.approx(alone.duration, abs=0.1)
    assert found.quality.level == pytest.approx(alone.quality.level, abs=0.5)
    assert found.quality.clipped == 0
