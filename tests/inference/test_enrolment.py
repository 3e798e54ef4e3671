"""Who is enrolled, and which clips are refused or doubtful."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_siamese.inference.enrolled import checked_name

RATE = 16000


def test_a_voice_is_the_weighted_mean_of_its_clips(gallery, clips, model):
    files = [clips[0][0], clips[1][0]]
    gallery.enroll("two", files)
    kept = gallery.store.clips("two")
    assert [clip.source for clip in kept] == [str(file) for file in files]
    expected = sum(
        clip.weight * model.voice_of_file(clip.source).flatten().numpy()
        for clip in kept
    ) / sum(clip.weight for clip in kept)
    (voice,) = gallery.store.voices()[1]
    assert voice == pytest.approx(expected, abs=1e-5)


def test_unusable_clips_are_refused_with_a_reason(gallery, clips, tmp_path):
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(3 * RATE), RATE)
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    short = torch.rand(800)
    done = gallery.enroll(
        "a",
        [clips[0][0], silent, text, tmp_path / "gone.wav", short, np.zeros(9)],
    )
    assert done.added == 1
    reasons = [*done.refused.items()]
    assert [label for label, _ in reasons] == [
        str(silent),
        str(text),
        str(tmp_path / "gone.wav"),
        "waveform 5",
        "waveform 6",
    ]
    for (_, reason), expected in zip(
        reasons,
        [
            "silent",
            "text.wav",
            "no such file|does not exist",
            "short",
            "silent",
        ],
        strict=True,
    ):
        assert any(part in reason for part in expected.split("|")), reason


def test_a_path_that_is_no_text_costs_its_clip_only(gallery, clips, tmp_path):
    bad = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")
    try:
        Path(bad).write_bytes(Path(str(clips[0][0])).read_bytes())
    except OSError:
        pytest.skip("the file system takes text only")
    done = gallery.enroll("a", [bad, clips[0][1]])
    assert done.added == 1
    assert done.refused.keys() == {bad}
    assert "rename the file or folder" in done.refused[bad]


def test_nobody_is_enrolled_without_a_usable_clip(gallery, tmp_path):
    with pytest.raises(ValueError, match="no clip of 'a' can be used"):
        gallery.enroll("a", [tmp_path / "gone.wav"])
    with pytest.raises(ValueError, match="none was given"):
        gallery.enroll("a", [])
    assert gallery.list() == []


def test_doubtful_clips_are_taken_with_a_warning(gallery, clips, tiny):
    sound = tiny.voice(0, 50, 8.0)
    loud = (20 * sound).clip(-1, 1)[: 2 * RATE]
    done = gallery.enroll("a", [loud])
    (doubts,) = done.warnings.values()
    assert any("of speech" in doubt for doubt in doubts)
    assert any("is clipped" in doubt for doubt in doubts)


def test_a_clip_of_someone_else_is_doubtful(gallery, clips, model, monkeypatch):
    # Above all scores between voices, below those within one.
    gallery.enroll("a", clips[0][0])
    gallery.enroll("b", clips[3][0])
    within = gallery.identify(clips[0][1], threshold=9).candidates
    scores = {one.name: one.normalised for one in within}
    assert scores["b"] < scores["a"]
    limit = (scores["a"] + scores["b"]) / 2
    for key, value in (
        ("threshold", limit),
        ("slope", 100.0),
        ("intercept", -100 * limit),
    ):
        monkeypatch.setattr(model.hparams, f"norm_{key}", value)
    done = gallery.enroll("b", clips[0][1])
    (doubts,) = done.warnings.values()
    assert any("other clips" in doubt for doubt in doubts)
    assert any("sounds like 'a'" in doubt for doubt in doubts)


def test_one_voice_under_two_names_is_doubtful(gallery, clips):
    """Neither of them is likely, since the other is as like."""
    gallery.enroll("a", clips[0][0])
    gallery.enroll("b", clips[0][0])
    found = gallery.identify(clips[0][0])
    assert found.candidates[0].probability < 0.6
    done = gallery.enroll("c", clips[0][0])
    (doubts,) = done.warnings.values()
    assert any("sounds like" in doubt for doubt in doubts)
    # Nor is somebody else doubtful because they are.
    done = gallery.enroll("d", clips[3][0])
    assert not any(
        "sounds like" in doubt
        for doubts in done.warnings.values()
        for doubt in doubts
    )


def test_the_same_clip_given_twice_is_told_once(gallery, clips):
    once = gallery.enroll("a", clips[0][0])
    again = gallery.enroll("b", [clips[0][0], clips[0][0], *clips[0][:1]])
    assert (again.added, again.seconds) == (1, once.seconds)


def test_what_is_too_long_to_be_kept_is_refused(gallery, clips, monkeypatch):
    monkeypatch.setattr(
        "speechbrain_siamese.inference.clips.MOST_SAMPLES", RATE
    )
    with pytest.raises(ValueError, match="cut it, or enroll it without"):
        gallery.enroll("a", clips[0][0], keep_audio=True)
    assert gallery.enroll("a", clips[0][0]).added == 1


def test_audio_is_kept_only_where_asked_for(gallery, clips):
    gallery.enroll("a", clips[0][0])
    gallery.enroll("b", clips[1][0], keep_audio=True)
    (none,), (kept,) = (
        gallery.store.clips(name, with_audio=True) for name in "ab"
    )
    assert none.audio is None
    assert kept.audio.startswith(b"fLaC")


def test_names(gallery, clips):
    gallery.enroll(" सीता\u0301 ", clips[0][0])
    assert gallery.list()[0].name == checked_name("सीता\u0301")
    for bad in ("", "  ", "a\nb", "a\u2028b", "x" * 201, None, 3):
        with pytest.raises(ValueError, match="a name is"):
            gallery.enroll(bad, clips[0][0])
    gallery.enroll("b", clips[1][0])
    (clip,) = gallery.store.clips("b")
    for stored in ("a\u2028b", "x" * 201):
        # As an earlier version took them.
        gallery.store.add(stored, [clip])
    with pytest.raises(ValueError, match="a name is"):
        gallery.rename("b", "a\u2028b")
    gallery.rename("a\u2028b", "c")
    gallery.remove("x" * 201)
    with pytest.raises(ValueError, match="nobody"):
        gallery.remove("a\u2028b")
    names = {person.name for person in gallery.list()}
    assert names == {checked_name("सीता\u0301"), "b", "c"}
    quoted = "Robert'); DROP TABLE people;--"
    gallery.enroll(quoted, clips[1][0])
    assert quoted in [person.name for person in gallery.list()]
