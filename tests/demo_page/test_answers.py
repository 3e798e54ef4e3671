"""Answers hold what the model says, escaped, and play what they show."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile

from speechbrain_siamese.demo_page import answers
from speechbrain_siamese.demo_page.recordings import Recording
from speechbrain_siamese.inference.label import Segment
from speechbrain_siamese.inference.label_files import ENDINGS
from speechbrain_siamese.inference.speaker import (
    Comparison,
    SiameseRecognition,
)
from speechbrain_siamese.pages import render_page


@pytest.fixture(scope="module")
def model(trained):
    return SiameseRecognition.from_pretrained(str(trained / "export"))


@pytest.fixture
def gallery(model, tmp_path):
    return model.gallery(tmp_path / "people.sqlite")


@pytest.fixture(scope="module")
def clip(tiny, tmp_path_factory):
    """A clip of a voice, under a name."""
    folder = tmp_path_factory.mktemp("clips")

    def make(voice, take=80, seconds=8.0, name="clip.wav"):
        path = folder / f"{voice}_{take}_{seconds}.flac"
        if not path.exists():
            tiny.write(path, tiny.voice(voice, take, seconds))
        return Recording(path, name)

    return make


def test_two_clips_are_compared(model, clip):
    page = answers.compare(model, clip(0, name="<b>.wav"), clip(0))
    assert "One voice" in page
    assert "<b>.wav" not in page
    assert "&lt;b&gt;.wav</bdi>, 8.0 s" in page
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 2
    other = answers.compare(model, clip(0), clip(7))
    found = model.compare_files(clip(0).path, clip(7).path)
    assert f"<strong>{100 * found.probability:.1f} %" in other
    assert ("One voice</p>" in other) == found.same
    # The spectrograms of two voices differ.
    assert len(set(re.findall(r'src="(data:[^"]+)"', other))) == 2


@pytest.mark.parametrize(
    ("same", "probability", "undecided"),
    [(True, 0.9, False), (True, 0.3, True), (False, 0.7, True)],
)
def test_a_verdict_that_is_not_probable_is_called_undecided(
    same, probability, undecided
):
    found = Comparison(0.1, same, 0.0, probability, normalised=None)
    page = render_page(
        "demo_comparison.html.jinja",
        found=found,
        score=0.1,
        threshold=0.1,
        clips=[],
    )
    assert ("undecided" in page) == undecided


@pytest.mark.parametrize("which", ["first", "second"])
def test_a_missing_clip_is_named(model, clip, which):
    clips = {"first": clip(0), "second": clip(1), which: None}
    with pytest.raises(ValueError, match=f"The {which} clip is missing"):
        answers.compare(model, clips["first"], clips["second"])


def test_people_are_enrolled_and_known_again(model, gallery, clip):
    with pytest.raises(ValueError, match="Nobody is enrolled yet"):
        answers.identify(gallery, clip(0))
    page = answers.enrol(gallery, " सीता ", clip(0))
    assert "<bdi>सीता</bdi> is enrolled" in page
    page = answers.enrol(gallery, "Ram & Co", clip(7))
    assert "Ram &amp; Co" in page and "सीता" in page
    assert [person.name for person in gallery.list()] == ["Ram & Co", "सीता"]
    again = answers.enrol(gallery, "सीता", clip(0))
    assert "was enrolled before" in again
    # No path of somebody's file is kept.
    assert {one.source for one in gallery.store.clips("सीता")} == {None}
    page = answers.identify(gallery, clip(7, take=81))
    found = gallery.identify(clip(7, take=81).path)
    assert found.candidates[0].name == "Ram & Co"
    assert f"{100 * found.candidates[0].probability:.1f} %" in page
    assert ("Nobody who is enrolled" in page) == (found.name is None)
    assert page.index("Ram &amp; Co") < page.index("सीता")


@pytest.mark.parametrize(
    "name, seconds, told",
    [
        ("", 8.0, "The name is missing"),
        (None, 8.0, "The name is missing"),
        ("a\nb", 8.0, "a name is"),
        ("Sita", 4.0, "clip.wav is 4.0 s long, 5 s are the least to enrol"),
        ("Sita", 31.0, "clip.wav is longer than 30 s"),
    ],
)
def test_enrolment_tells_what_is_wrong(gallery, clip, name, seconds, told):
    with pytest.raises(ValueError, match=told):
        answers.enrol(gallery, name, clip(3, seconds=seconds))
    assert gallery.list() == []


def test_what_is_doubtful_is_told(gallery, clip):
    answers.enrol(gallery, "A", clip(2))
    page = answers.enrol(gallery, "B", clip(2))
    (told,) = re.findall(r'class="message">(.*)</p>', page)
    assert "The clip sounds like &#39;A&#39;, who is enrolled" in told
    assert told.endswith("is it one person?")


def test_a_recording_becomes_a_time_line(model, gallery, tiny, clip, tmp_path):
    talk = np.concatenate([tiny.voice(voice, 82, 9.0) for voice in (0, 7, 0)])
    path = tiny.write(tmp_path / "1f.flac", talk)
    folder = tmp_path / "served"
    answers.enrol(gallery, "Ram", clip(7))
    page = answers.label(
        model, gallery, Recording(path, "my talk.flac"), folder
    )
    segments = model.label(folder / "recording.flac", gallery)
    starts = re.findall(r'data-number="\d+" data-start="([\d.]+)"', page)
    # By voices in the time line, by time in the list.
    assert sorted(map(float, starts)) == pytest.approx(
        [one.start for one in segments], abs=1e-3
    )
    assert page.count("<li><button") == len(segments)
    assert page.count('tabindex="0"') == 1
    for one in segments:
        assert f"<bdi>{one.speaker}</bdi>" in page
    # Everything that it names is there.
    named = re.findall(r'(?:src|href)="gradio_api/file=([^"]+)"', page)
    files = [Path(unquote(one)) for one in named]
    assert len(files) == 1 + len(ENDINGS)
    assert {path.parent for path in files} == {folder}
    assert all(path.stat().st_size for path in files)
    assert soundfile.info(files[0]).duration == pytest.approx(27.0, abs=0.01)
    rttm = (folder / "labels.rttm").read_text()
    assert rttm.startswith("SPEAKER my_talk 1 ")


def test_a_recording_that_cannot_be_labelled_is_named(model, gallery, tmp_path):
    path = tmp_path / "1f.wav"
    rng = np.random.default_rng(0)
    soundfile.write(path, 0.1 * rng.standard_normal(4 * 16000), 16000)
    with pytest.raises(ValueError, match=r"talk.wav is 4.0 s long") as error:
        answers.label(
            model, gallery, Recording(path, "talk.wav"), tmp_path / "served"
        )
    assert str(tmp_path) not in str(error.value)


def test_rows_share_the_time_up_to_the_last_end():
    """
    seconds  0    2    4    6    8
    A        |----|         |----|
    B             |---------|
    """
    first, second = answers.rows_of(
        [
            Segment(0, 2, "A"),
            Segment(2, 6, "B", enrolled=True, probability=0.9),
            Segment(6, 8, "A"),
        ]
    )
    assert first["speaker"] == "A" and second["speaker"] == "B"
    assert (first["seconds"], second["seconds"]) == (4, 4)
    place = lambda row: [(n, *rest) for n, _, *rest in row["segments"]]  # noqa: E731
    assert place(first) == [(0, 0, 25), (2, 75, 25)]
    assert place(second) == [(1, 25, 50)]
    assert first["colour"] != second["colour"]
    assert answers.rows_of([]) == []
