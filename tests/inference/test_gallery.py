"""Identify people, in memory and in the file: a real export on tones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speechbrain_siamese.inference.enrolled import EnrolledClip
from speechbrain_siamese.inference.gallery import Gallery
from speechbrain_siamese.processing.score_norm import Cohort

RATE = 16000


def test_enrolled_people_are_found_among_each_other(gallery, clips):
    for number, (first, _) in enumerate(clips):
        done = gallery.enroll(f"person {number}", first)
        assert (done.added, done.refused) == (1, {})
    for number, (_, second) in enumerate(clips):
        best = gallery.identify(second).candidates[0]
        assert best.name == f"person {number}"


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
    compared = model.compare_files(clips[0][0], clips[1][0])
    assert found.score == pytest.approx(compared.score, abs=1e-5)
    assert found.normalised == pytest.approx(compared.normalised, abs=1e-5)


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
    voice = model.voice_of_file(clips[0][0]).flatten().numpy()
    rng = np.random.default_rng(0)
    for number in range(50):
        near = voice + 0.002 * rng.standard_normal(len(voice))
        near = near.astype(np.float32)
        clip = EnrolledClip(f"{number}", None, 5.0, 5.0, near)
        gallery.store.add(f"person {number}", [clip])
    found = gallery.identify(clips[0][0])
    # Each would pass alone; all alike, none is more probable than the rest.
    limit = model.normalised_decision.threshold
    assert all(one.normalised > limit for one in found.candidates)
    assert found.name is None
    assert gallery.identify(clips[0][0], threshold=limit).name is not None


def test_probabilities_follow_from_bayes(gallery, clips, model):
    for number, (first, _) in enumerate(clips):
        gallery.enroll(f"person {number}", first)
    found = gallery.identify(clips[2][1], top=4, unknown=0.2)
    ratios = {
        one.name: np.exp(
            model.normalised_decision.calibration.llr(one.normalised)
        )
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
    for key, value in (
        ("threshold", 0.1),
        ("slope", 30.0),
        ("intercept", -3.0),
    ):
        monkeypatch.setattr(model.hparams, f"norm_{key}", value, raising=False)
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
    assert (found.name == best.name) is (best.probability > 0.5)


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
        with pytest.raises(ValueError, match="expected 2016 of this gallery"):
            gallery.identify_embedding(bad)
    assert gallery.identify_embedding(good).candidates[0].name == "a"


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"top": 0}, "top is 0"),
        ({"top": 2.5}, "top is 2.5"),
        ({"unknown": 1.5}, "unknown is 1.5"),
        ({"threshold": np.nan}, "threshold is nan"),
        ({"threshold": "high"}, "threshold is 'high'"),
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
