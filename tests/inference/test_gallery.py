"""Enrol, identify, remove: a real export on voice-like sound."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_siamese.inference.gallery import Gallery
from speechbrain_siamese.inference.gallery_store import (
    EnrolledClip,
    checked_name,
)
from speechbrain_siamese.inference.re_enrolment import re_enroll
from speechbrain_siamese.inference.speaker import SiameseRecognition
from speechbrain_siamese.processing.score_norm import Cohort

RATE = 16000


@pytest.fixture(scope="module")
def model(trained):
    return SiameseRecognition.from_hparams(source=str(trained / "export"))


@pytest.fixture(scope="module")
def clips(tiny, tmp_path_factory):
    """Two files each of four voices: ``clips[voice][number]``."""
    folder = tmp_path_factory.mktemp("clips")
    return [
        [
            tiny.write(folder / f"{n}-{r}.wav", tiny.voice(n, 50 + r, 8.0))
            for r in range(2)
        ]
        for n in (0, 2, 5, 7)
    ]


@pytest.fixture
def gallery(model, tmp_path):
    return model.gallery(tmp_path / "people.sqlite")


def test_enrolled_people_are_found_among_each_other(gallery, clips):
    for number, (first, _) in enumerate(clips):
        done = gallery.enroll(f"person {number}", first)
        assert (done.added, done.refused) == (1, {})
    for number, (_, second) in enumerate(clips):
        best = gallery.identify(second).candidates[0]
        assert best.name == f"person {number}"


def test_a_voice_is_the_weighted_mean_of_its_clips(gallery, clips, model):
    files = [clips[0][0], clips[1][0]]
    gallery.enroll("two", files)
    kept = gallery.store.clips("two")
    assert [clip.source for clip in kept] == [str(file) for file in files]
    expected = sum(
        clip.weight * model.embed_file(clip.source).flatten().numpy()
        for clip in kept
    )
    expected /= np.linalg.norm(expected)
    (voice,) = gallery.store.voices()[1]
    assert voice == pytest.approx(expected, abs=1e-5)


def test_waveforms_are_taken_as_files_are(gallery, clips, model):
    wave = model.load_audio(clips[0][0])
    gallery.enroll("file", clips[0][0])
    for form in (wave, wave[None], wave.numpy(), wave.double()):
        found = gallery.identify(form)
        assert found.candidates[0].score == pytest.approx(1.0, abs=1e-3)
    done = gallery.enroll("wave", [wave, wave.numpy()])
    assert done.added == 1
    assert gallery.store.clips("wave")[0].source is None


def test_scores_are_those_of_verification(gallery, clips, model):
    gallery.enroll("a", clips[0][0])
    found = gallery.identify(clips[1][0]).candidates[0]
    score, _ = model.verify_files(clips[0][0], clips[1][0])
    assert found.score == pytest.approx(score.item(), abs=1e-5)
    assert found.normalised is None


def test_nobody_passes_a_high_threshold(gallery, clips):
    gallery.enroll("a", clips[0][0])
    assert gallery.identify(clips[0][1], threshold=1.5).name is None
    assert gallery.identify(clips[0][1], threshold=-1.0).name == "a"


def test_whoever_is_more_probable_than_not_is_named(gallery, clips):
    gallery.enroll("a", clips[0][0])
    for other in (clips[0][1], clips[3][0]):
        for unknown in (0.0, 0.5, 1.0):
            found = gallery.identify(other, unknown=unknown)
            likely = found.candidates[0].probability > 0.5
            assert (found.name == "a") is likely
    assert gallery.identify(clips[0][1], unknown=0.0).name == "a"
    assert gallery.identify(clips[0][1], unknown=1.0).name is None


def test_of_a_crowd_nobody_is_named_by_chance(gallery, clips, model):
    voice = model.embed_file(clips[0][0]).flatten().numpy()
    rng = np.random.default_rng(0)
    for number in range(50):
        near = voice + 0.02 * rng.standard_normal(len(voice))
        near = (near / np.linalg.norm(near)).astype(np.float32)
        clip = EnrolledClip(f"{number}", None, 5.0, 5.0, near)
        gallery.store.add(f"person {number}", [clip])
    found = gallery.identify(clips[0][0])
    # Each would pass alone; all alike, none is more probable than the rest.
    limit = model.decision.threshold
    assert all(one.score > limit for one in found.candidates)
    assert found.name is None
    assert gallery.identify(clips[0][0], threshold=limit).name is not None


def test_probabilities_follow_from_bayes(gallery, clips, model):
    for number, (first, _) in enumerate(clips):
        gallery.enroll(f"person {number}", first)
    found = gallery.identify(clips[2][1], top=4, unknown=0.2)
    ratios = {
        one.name: np.exp(model.decision.calibration.llr(one.score))
        for one in found.candidates
    }
    whole = 0.2 + sum(0.8 / 4 * ratio for ratio in ratios.values())
    for one in found.candidates:
        expected = 0.8 / 4 * ratios[one.name] / whole
        assert one.probability == pytest.approx(expected, rel=1e-5)
    total = found.unknown + sum(one.probability for one in found.candidates)
    assert total == pytest.approx(1.0)
    with_nobody_else = gallery.identify(clips[2][1], unknown=0.0)
    assert with_nobody_else.unknown == 0


def test_scores_are_normalised_where_there_are_strangers(
    model, clips, tmp_path, monkeypatch
):
    torch.manual_seed(0)
    cohort = Cohort(30, model.embedding_dim)
    cohort.fill(torch.randn(30, model.embedding_dim))
    monkeypatch.setattr(model.hparams, "cohort", cohort)
    for key, value in (("threshold", 3.0), ("slope", 1.0), ("intercept", -3.0)):
        monkeypatch.setattr(model.hparams, f"normalised_{key}", value)
    gallery = model.gallery(tmp_path / "people.sqlite")
    gallery.enroll("a", clips[0][0])
    gallery.enroll("b", clips[1][0])
    found = gallery.identify(clips[0][1])
    for one in found.candidates:
        files = dict(a=clips[0][0], b=clips[1][0])
        compared = model.compare_files(files[one.name], clips[0][1])
        assert one.normalised == pytest.approx(compared.normalised, abs=1e-3)
    best = max(found.candidates, key=lambda one: one.normalised)
    assert found.candidates[0] == best
    assert (found.name == best.name) is (best.normalised > 3.0)


def test_a_gallery_is_seen_by_whoever_opened_it_before(gallery, clips, model):
    other = model.gallery(gallery.store.path)
    gallery.enroll("a", clips[0][0])
    assert other.identify(clips[0][0]).candidates[0].name == "a"
    other.rename("a", "b")
    assert gallery.identify(clips[0][0]).candidates[0].name == "b"
    gallery.remove("b")
    with pytest.raises(ValueError, match="nobody is enrolled"):
        other.identify(clips[0][0])


def test_enrolment_reads_no_voice_of_others(gallery, clips, model, monkeypatch):
    """Nor do other changes; of a thousand people it would take long."""
    gallery.enroll("a", clips[0][0])
    read = []
    whole = gallery.store.voices
    monkeypatch.setattr(
        gallery.store, "voices", lambda: read.append(1) or whole()
    )
    gallery.enroll("b", clips[1][0])
    gallery.enroll("a", clips[0][1])
    gallery.enroll("c", clips[2][0])
    gallery.rename("b", "d")
    gallery.remove("a")
    found = gallery.identify(clips[1][0], top=9)
    assert not read
    fresh = model.gallery(gallery.store.path).identify(clips[1][0], top=9)
    assert found == fresh
    # Somebody else has written since: all is read, once.
    model.gallery(gallery.store.path).enroll("e", clips[3][0])
    gallery.enroll("f", clips[0][0])
    found = gallery.identify(clips[3][0], top=9)
    assert {one.name for one in found.candidates} == {*"cdef"}
    assert len(read) == 1


def test_what_others_write_between_is_not_missed(gallery, clips, model):
    """Neither sees the other's change before it writes its own."""
    other = model.gallery(gallery.store.path)
    for own, number in ((gallery, 0), (other, 1)):
        own.enroll(f"first {number}", clips[number][0])
    # Without the comparison that would load what the other wrote.
    (clip,) = gallery.store.clips("first 0")
    change = other.store.add("between", [clip])
    other._follow(change, lambda voices: voices.put("between", change.voice))
    gallery.rename("first 0", "last")
    for own in (gallery, other):
        found = own.identify(clips[0][0], top=9).candidates
        assert {one.name for one in found} == {"last", "first 1", "between"}


def test_a_gallery_made_anew_in_its_place_is_seen(gallery, clips, model):
    """After as many changes as the one that was deleted had."""
    gallery.enroll("a", clips[0][0])
    assert gallery.identify(clips[0][0]).candidates[0].name == "a"
    gallery.store.path.unlink()
    model.gallery(gallery.store.path).enroll("b", clips[1][0])
    found = gallery.identify(clips[0][0])
    assert [one.name for one in found.candidates] == ["b"]


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


@pytest.mark.parametrize(
    "bad",
    [
        torch.zeros(2, RATE) + 0.1,
        torch.ones(RATE, dtype=torch.int16),
        torch.full((RATE,), torch.nan),
    ],
)
def test_waveforms_that_are_none(gallery, bad):
    with pytest.raises(ValueError, match="a waveform"):
        gallery.enroll("a", bad)
    with pytest.raises(ValueError, match="a waveform"):
        gallery.identify(bad)


def test_what_is_no_clip_is_refused(gallery, clips):
    for bad in (None, 5, b"a.wav"):
        with pytest.raises(ValueError, match="expected the path of a file"):
            gallery.enroll("a", [clips[0][0], bad])
        gallery.enroll("a", clips[0][0])
        with pytest.raises(ValueError, match="expected the path of a file"):
            gallery.identify(bad)


def test_what_is_no_embedding_of_the_model_is_refused(gallery, clips, model):
    gallery.enroll("a", clips[0][0])
    good = model.embed_file(clips[0][0])
    broken = good.clone()
    broken[..., 3] = float("nan")
    for bad in (good[..., :-1], broken, np.zeros(0)):
        with pytest.raises(ValueError, match="expected 1992 of this gallery"):
            gallery.identify_embedding(bad)
    assert gallery.identify_embedding(good).candidates[0].name == "a"


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
    scores = {one.name: one.score for one in within}
    assert scores["b"] < scores["a"]
    limit = (scores["a"] + scores["b"]) / 2
    monkeypatch.setattr(model.hparams, "threshold", limit)
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


def test_another_model_enrols_again_from_the_paths(
    gallery, clips, model, tmp_path, monkeypatch
):
    files = [Path(str(clip)) for clip in clips[0]]
    gone = tmp_path / "gone.wav"
    gone.write_bytes(files[1].read_bytes())
    gallery.enroll("a", [files[0], gone])
    wave = model.load_audio(clips[1][0])
    gallery.enroll("b", wave)
    gallery.enroll("c", model.load_audio(clips[2][0]), keep_audio=True)
    gone.unlink()
    monkeypatch.setitem(model.__dict__, "fingerprint", "another")
    with pytest.raises(ValueError, match="made by another model"):
        model.gallery(gallery.store.path)
    new = tmp_path / "new.sqlite"
    again, lost = re_enroll(model, gallery.store.path, new)
    assert [person.name for person in again.list()] == ["a", "c"]
    assert lost["a"] == {str(gone): "no such file"}
    assert "it was not kept" in [*lost["b"].values()]
    assert again.identify(clips[2][0]).candidates[0].name == "c"
    with pytest.raises(ValueError, match="exists already"):
        re_enroll(model, gallery.store.path, new)
    # The old one is as it was.
    with sqlite3.connect(gallery.store.path) as database:
        assert database.execute("SELECT count(*) FROM clips").fetchone() == (4,)


def test_audio_that_was_kept_stays_over_many_models(
    gallery, clips, model, tmp_path, monkeypatch
):
    file = tmp_path / "a.wav"
    file.write_bytes(Path(str(clips[0][0])).read_bytes())
    gallery.enroll("kept", [file, model.load_audio(clips[0][1])], True)
    gallery.enroll("not kept", clips[1][0])
    path = gallery.store.path
    for number in range(2):
        before = gallery.store.clips("kept", with_audio=True)
        monkeypatch.setitem(model.__dict__, "fingerprint", f"model {number}")
        gallery, lost = re_enroll(model, path, tmp_path / f"{number}.sqlite")
        path = gallery.store.path
        assert lost == {}
        after = gallery.store.clips("kept", with_audio=True)
        # The very bytes, with the path.
        assert [one.audio for one in after] == [one.audio for one in before]
        assert [one.source for one in after] == [str(file), None]
        (other,) = gallery.store.clips("not kept", with_audio=True)
        assert other.audio is None
    file.unlink()
    _, lost = re_enroll(model, path, tmp_path / "last.sqlite")
    assert lost == {}


def test_a_file_that_holds_another_recording_is_no_source(
    gallery, clips, model, tmp_path, tiny
):
    files = [tmp_path / name for name in ("a.wav", "b.wav")]
    for path in files:
        path.write_bytes(Path(str(clips[0][0])).read_bytes())
    gallery.enroll("not kept", files[0])
    gallery.enroll("kept", files[1], keep_audio=True)
    (before,) = gallery.store.clips("kept")
    for path in files:
        tiny.write(path, tiny.voice(7, 60, 9.0))
    again, lost = re_enroll(model, gallery.store.path, tmp_path / "new.sqlite")
    assert lost.keys() == {"not kept"}
    assert "is of 9.0 s, what was enrolled was of 8.0 s" in str(lost)
    (after,) = again.store.clips("kept")
    assert (after.digest, after.source) == (before.digest, before.source)
    assert after.embedding @ before.embedding > 0.99


def test_half_a_gallery_made_anew_is_none(
    gallery, clips, model, tmp_path, monkeypatch
):
    gallery.enroll("a", clips[0][0])
    new = tmp_path / "new.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(
            "speechbrain_siamese.inference.re_enrolment.clip_to_enroll",
            lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt),
        )
        with pytest.raises(KeyboardInterrupt):
            re_enroll(model, gallery.store.path, new)
    assert not new.exists()
    again, _ = re_enroll(model, gallery.store.path, new)
    assert [person.name for person in again.list()] == ["a"]


def test_names_that_enrolment_would_refuse_are_lost_alone(
    gallery, clips, model, tmp_path
):
    gallery.enroll("a", clips[0][0])
    (clip,) = gallery.store.clips("a")
    gallery.store.add("x" * 201, [clip])
    again, lost = re_enroll(model, gallery.store.path, tmp_path / "new.sqlite")
    assert [person.name for person in again.list()] == ["a"]
    assert lost.keys() == {"x" * 201}


def test_names(gallery, clips):
    gallery.enroll(" सीता\u0301 ", clips[0][0])
    assert gallery.list()[0].name == checked_name("सीता\u0301")
    for bad in ("", "  ", "a\nb", "x" * 201, None, 3):
        with pytest.raises(ValueError, match="a name is"):
            gallery.enroll(bad, clips[0][0])
    quoted = "Robert'); DROP TABLE people;--"
    gallery.enroll(quoted, clips[1][0])
    assert quoted in [person.name for person in gallery.list()]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"top": 0}, "top is 0"),
        ({"top": 2.5}, "top is 2.5"),
        ({"unknown": 1.5}, "unknown is 1.5"),
    ],
)
def test_settings_out_of_range(gallery, clips, settings, message):
    gallery.enroll("a", clips[0][0])
    with pytest.raises(ValueError, match=message):
        gallery.identify(clips[0][0], **settings)


def test_an_index_that_is_none(model, tmp_path):
    with pytest.raises(ValueError, match="index is 'fast'"):
        model.gallery(tmp_path / "people.sqlite", index="fast")


def test_a_model_that_measures_distances_has_no_gallery(
    model, tmp_path, monkeypatch
):
    monkeypatch.setattr(model.hparams, "measure", "euclidean")
    with pytest.raises(ValueError, match="measure cosine"):
        Gallery(model, tmp_path / "people.sqlite")
    assert not (tmp_path / "people.sqlite").exists()
