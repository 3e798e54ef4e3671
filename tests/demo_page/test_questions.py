"""Whatever is asked, an answer in words comes back and a session keeps it."""

from __future__ import annotations

import shutil

import pytest

from speechbrain_siamese.demo_page import answers
from speechbrain_siamese.demo_page.questions import Questions
from speechbrain_siamese.demo_page.sessions import Sessions
from speechbrain_siamese.inference.speaker import SiameseRecognition


@pytest.fixture
def questions(trained, tmp_path):
    model = SiameseRecognition.from_pretrained(str(trained / "export"))
    return Questions(model, Sessions(tmp_path))


@pytest.fixture
def upload(questions, tiny):
    """A clip as Gradio hands it over."""

    def put(voice=0, folder="1f"):
        path = questions.sessions.uploads / folder / "a.wav"
        path.parent.mkdir(exist_ok=True)
        tiny.write(path, tiny.voice(voice, 90, 8.0))
        return {"path": str(path), "orig_name": "Sita's.wav"}

    return put


def test_each_session_has_its_own_people(questions, upload):
    assert "is enrolled" in questions.enrol("Sita", upload(), "mine")
    assert "Sita" in questions.identify(upload(), "mine")
    assert "Nobody is enrolled yet" in questions.identify(upload(), "yours")
    questions.sessions.end("mine")
    assert "Nobody is enrolled yet" in questions.identify(upload(), "mine")


@pytest.mark.parametrize("key", ["mine", None])
def test_nothing_and_files_that_are_gone_are_told(questions, upload, key):
    assert "is missing" in questions.compare(None, None, key)
    assert "no recording yet" in questions.label(None, key)
    gone = upload()
    shutil.rmtree(questions.sessions.uploads / "1f")
    told = questions.label(gone, key)
    assert "Sita&#39;s.wav is no longer here" in told
    assert 'class="message"' in told


def test_what_was_not_uploaded_is_neither_read_nor_deleted(
    questions, tiny, tmp_path
):
    path = tiny.write(tmp_path / "mine.wav", tiny.voice(0, 90, 8.0))
    told = questions.label({"path": str(path)}, "key")
    assert "mine.wav was not given to this page" in told
    questions.sessions.end("key")
    assert path.exists()


def test_a_file_that_nobody_asked_about_goes_too(questions, upload):
    file = upload()
    questions.claim(file, "mine")
    questions.claim(None, "mine")
    questions.claim(file, None)
    assert [*questions.sessions.uploads.rglob("a.wav")]
    questions.sessions.end("mine")
    assert not [*questions.sessions.uploads.rglob("a.wav")]


def test_an_error_of_ours_is_logged_and_told_without_its_words(
    questions, monkeypatch, caplog
):
    def broken(*arguments):
        raise RuntimeError("secret")

    monkeypatch.setattr(answers, "compare", broken)
    told = questions.compare(None, None, "key")
    assert "not your fault" in told and "secret" not in told
    assert "secret" in caplog.text
