"""A gallery is made anew for another model."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from speechbrain_siamese.inference import re_enrolment
from speechbrain_siamese.inference.re_enrolment import re_enroll


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
    assert "of 9.0 s, is another than what was enrolled, of 8.0 s" in str(lost)
    (after,) = again.store.clips("kept")
    assert (after.digest, after.source) == (before.digest, before.source)
    assert after.embedding == pytest.approx(before.embedding, abs=5e-3)


def test_a_file_of_the_same_length_may_hold_somebody_else(
    gallery, clips, model, tmp_path
):
    path = tmp_path / "a.wav"
    path.write_bytes(Path(str(clips[0][0])).read_bytes())
    gallery.enroll("a", path)
    store = gallery.store.path
    path.write_bytes(Path(str(clips[1][0])).read_bytes())
    later = gallery.store.clips("a")[0].added + 10
    os.utime(path, (later, later))
    again, lost = re_enroll(model, store, tmp_path / "1.sqlite")
    assert again.list() == []
    assert "another than what was enrolled" in lost["a"][str(path)]
    # As another decoder might read what nobody has written since.
    os.utime(path, (later - 20, later - 20))
    again, lost = re_enroll(model, store, tmp_path / "2.sqlite")
    assert lost == {}
    assert [person.name for person in again.list()] == ["a"]


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


def test_a_file_that_appears_in_the_meantime_stays(
    gallery, clips, model, tmp_path, monkeypatch
):
    gallery.enroll("a", clips[0][0])
    new = tmp_path / "new.sqlite"
    embed = re_enrolment.clip_to_enroll

    def slowly(*arguments, **settings):
        new.write_text("somebody else's")
        return embed(*arguments, **settings)

    monkeypatch.setattr(re_enrolment, "clip_to_enroll", slowly)
    with pytest.raises(ValueError, match="exists already"):
        re_enroll(model, gallery.store.path, new)
    assert new.read_text() == "somebody else's"


def test_names_that_enrolment_would_refuse_are_lost_alone(
    gallery, clips, model, tmp_path
):
    gallery.enroll("a", clips[0][0])
    (clip,) = gallery.store.clips("a")
    gallery.store.add("x" * 201, [clip])
    again, lost = re_enroll(model, gallery.store.path, tmp_path / "new.sqlite")
    assert [person.name for person in again.list()] == ["a"]
    assert lost.keys() == {"x" * 201}
