"""The page of ``siamese demo`` in a real browser, on a desk and on a phone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.slow

#: Milliseconds after which a missing answer is a failure.
PATIENCE = 120_000


@pytest.fixture(scope="module")
def clips(tiny, tmp_path_factory) -> Path:
    """Files by name, good and bad."""
    folder = tmp_path_factory.mktemp("clips")
    for name, voice, take in (("a.wav", 0, 65), ("a2.flac", 0, 66)):
        tiny.write(folder / name, tiny.voice(voice, take, 8.0))
    tiny.write(folder / "b.mp3", tiny.voice(7, 65, 8.0))
    turns = [tiny.voice(voice, 61, 9.0) for voice in (0, 7, 0)]
    tiny.write(folder / "talk.wav", np.concatenate(turns))
    soundfile.write(folder / "silent.wav", np.zeros(6 * 16000), 16000)
    tiny.write(folder / "microphone.wav", tiny.voice(0, 67, 8.0))
    (folder / "renamed.wav").write_text("no sound")
    (folder / "empty.wav").touch()
    with open(folder / "large.wav", "wb") as file:
        file.truncate(210_000_000)
    return folder


@pytest.fixture(scope="module")
def page(trained, tiny, by_path, tmp_path_factory):
    pytest.importorskip("gradio")
    start = by_path(Path(__file__).with_name("running_page.py")).running
    with start(trained / "export", tiny, tmp_path_factory.mktemp("page")) as it:
        yield it


@pytest.fixture(scope="module")
def browser(clips):
    """Chromium, whose microphone hears a clip."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed"
    )
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=path,
            args=[
                "--no-sandbox",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-audio-capture={clips / 'microphone.wav'}",
            ],
        )
        yield chromium
        chromium.close()


class Visitor:
    """Somebody who has opened the page."""

    def __init__(self, browser, page, clips, **screen):
        self.clips, self.complaints = clips, []
        self.context = browser.new_context(**screen)
        self.context.grant_permissions(["microphone"])
        self.view = self.context.new_page()
        self.view.set_default_timeout(PATIENCE)
        self.view.on("pageerror", lambda it: self.complaints.append(str(it)))
        self.view.on("request", self._asked)
        self.home = page.address
        self.view.goto(self.home)
        self.tab("Compare")

    def _asked(self, request) -> None:
        if not request.url.startswith((self.home, "data:", "blob:")):
            self.complaints.append(request.url)

    def tab(self, name: str) -> None:
        self.view.get_by_role("tab", name=name, exact=True).click()
        self.part = self.view.locator("[role=tabpanel]:visible")

    def give(self, name: str, field: int = 0) -> None:
        """Drop a file, and see that it has come; the newest one counts."""
        fields = self.part.locator("input[type=file]")
        fields.nth(field).set_input_files(self.clips / name)
        player = self.part.locator(f"audio[src*='{name}']")
        player.or_(self.part.get_by_text(name)).first.wait_for(state="attached")

    def answer(self, *words: str) -> None:
        """Wait for an answer with these words."""
        told = self.part.get_by_role("status")
        for word in words:
            told.get_by_text(word).first.wait_for()

    def ask(self, button: str, *words: str) -> None:
        self.part.get_by_role("button", name=button, exact=True).click()
        self.answer(*words)

    def fits(self) -> bool:
        """Whether nothing is beside the screen."""
        wide = self.view.evaluate("document.documentElement.scrollWidth")
        return wide <= self.view.viewport_size["width"]


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["desk", "phone"])
def visitor(request, browser, page, clips):
    width, height = request.param
    it = Visitor(
        browser,
        page,
        clips,
        viewport={"width": width, "height": height},
        has_touch=width < 600,
    )
    yield it
    assert it.fits()
    assert it.complaints == []
    it.context.close()


def test_clips_are_compared(visitor):
    visitor.ask("Compare", "The first clip is missing")
    visitor.give("a.wav", 0)
    visitor.give("a2.flac", 1)
    visitor.ask("Compare", "One voice", "a.wav", "a2.flac")
    assert visitor.part.get_by_role("img", name="Spectrogram").count() == 2
    # What was said of the old clip is gone with it.
    visitor.give("b.mp3", 1)
    visitor.part.get_by_text("a2.flac").wait_for(state="detached")
    visitor.ask("Compare", "b.mp3")


def test_a_voice_is_recorded(visitor):
    visitor.give("a.wav", 0)
    visitor.part.get_by_role("button", name="Record").last.click()
    visitor.view.wait_for_timeout(3000)
    # What is played lies in the browser; what is compared has to be sent.
    with visitor.view.expect_response("**/upload**", timeout=PATIENCE):
        visitor.part.get_by_role("button", name="Stop").click()
    visitor.part.get_by_role("button", name="Play").nth(1).wait_for()
    visitor.ask("Compare", "audio.wav")


def test_people_are_enrolled_identified_and_heard(
    visitor, browser, page, clips
):
    visitor.tab("Enrol")
    visitor.part.get_by_label("Name").fill("Sita")
    visitor.give("a.wav")
    visitor.ask("Enrol", "Sita is enrolled")
    visitor.give("b.mp3")
    # Without a mouse.
    visitor.part.get_by_label("Name").fill("Ram")
    visitor.part.get_by_label("Name").press("Enter")
    visitor.answer("Ram is enrolled")
    visitor.tab("Identify")
    visitor.give("a2.flac")
    visitor.ask("Who is it?", "How probable each is", "Sita", "Ram")

    visitor.tab("Time line")
    visitor.give("talk.wav")
    visitor.ask("Who speaks when?", "All stretches")
    stretches = visitor.part.locator(".line button")
    stretches.first.click()
    visitor.view.wait_for_function(
        "[...document.querySelectorAll('.answer audio')]"
        ".some(it => !it.paused && it.currentTime > 0.2)"
    )
    stretches.first.press("End")
    number = visitor.view.evaluate("document.activeElement.dataset.number")
    assert int(number) == stretches.count() - 1

    other = Visitor(browser, page, clips)
    other.tab("Identify")
    other.give("a2.flac")
    other.ask("Who is it?", "Nobody is enrolled yet")
    other.context.close()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("renamed.wav", "holds no sound"),
        ("empty.wav", "holds no sound"),
        ("silent.wav", "is silent"),
    ],
)
def test_a_bad_file_gets_words(visitor, name, words):
    visitor.tab("Enrol")
    visitor.part.get_by_label("Name").fill("Sita")
    visitor.give(name)
    visitor.ask("Enrol", f"{name} {words}")


def test_a_large_file_is_not_sent(visitor):
    visitor.tab("Time line")
    field = visitor.part.locator("input[type=file]")
    field.set_input_files(visitor.clips / "large.wav")
    visitor.view.get_by_text("maximum allowed size of 200").wait_for()
