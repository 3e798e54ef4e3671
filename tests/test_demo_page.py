"""The page of ``siamese demo``, started as users do and asked as a browser."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from speechbrain_siamese.command_line import main


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    done = CliRunner().invoke(main, ["demo", "--source=nowhere"])
    assert done.exit_code == 2
    assert 'pip install "speechbrain-siamese[page]"' in done.stderr


@pytest.fixture(scope="module")
def page(trained, tiny, by_path, tmp_path_factory):
    pytest.importorskip("gradio")
    start = by_path(Path(__file__).with_name("running_page.py")).running
    with start(trained / "export", tiny, tmp_path_factory.mktemp("page")) as it:
        yield it


@pytest.fixture(scope="module")
def clips(tiny, tmp_path_factory):
    """Files by name, good and bad."""
    folder = tmp_path_factory.mktemp("clips")
    for name, voice in (("a.webm", 0), ("a2.m4a", 0), ("b.wav", 7)):
        take = 60 + len(name)
        tiny.write(folder / name, tiny.voice(voice, take, 8.0))
    tiny.write(folder / "short.wav", tiny.voice(1, 60, 0.5))
    tiny.write(folder / "long.flac", tiny.voice(1, 60, 125.0))
    turns = [tiny.voice(voice, 61, 9.0) for voice in (0, 7, 0)]
    tiny.write(folder / "talk.mp3", np.concatenate(turns))
    soundfile.write(folder / "silent.wav", np.zeros(6 * 16000), 16000)
    (folder / "notes.txt").write_text("no sound")
    return folder


def visitor(page):
    from gradio_client import Client

    return contextlib.closing(
        Client(page.address, verbose=False, analytics_enabled=False)
    )


def given(path):
    from gradio_client import handle_file

    return handle_file(str(path))


def wait_until_empty(page):
    """Gradio sees within some seconds that somebody has gone."""
    end = time.monotonic() + 120
    while page.files() and time.monotonic() < end:
        time.sleep(0.2)
    assert page.files() == []


@pytest.mark.slow
def test_every_path_answers_and_leaves_nothing(page, clips):
    with visitor(page) as me, visitor(page) as other:

        def ask(name, *values, who=me):
            return who.predict(*values, api_name=f"/{name}")

        a, a2, b = (given(clips / n) for n in ("a.webm", "a2.m4a", "b.wav"))
        found = ask("compare", a, a)
        assert "One voice" in found and found.count("data:image/png") == 2
        assert "a.webm</bdi>, 8.0 s" in found
        assert "probable" in ask("compare", a, b)
        assert "Nobody is enrolled yet" in ask("identify", a)
        assert "Sita</bdi> is enrolled" in ask("enrol", "Sita", a)
        assert "Ram</bdi> is enrolled" in ask("enrol", "Ram", b)
        found = ask("identify", a2)
        assert found.index("Sita") < found.rindex("Ram")
        assert "Nobody is enrolled" in ask("identify", a2, who=other)

        found = ask("label", given(clips / "talk.mp3"))
        assert found.count("data-number=") == found.count("<li><button") > 0
        played = re.search(r'<audio[^>]* src="([^"]+)"', found)[1]
        assert page.status(played) == 200
        for kind in re.findall(r'<a href="([^"]+)"', found):
            assert page.status(kind) == 200
        assert "recording.flac" in page.files()
        assert "people.sqlite" in page.files()
    wait_until_empty(page)
    assert page.status(played) == 403
    assert "Traceback" not in page.log()


@pytest.mark.slow
def test_bad_clips_get_words(page, clips):
    bad = {
        "notes.txt": "holds no sound",
        "silent.wav": "is silent",
        "short.wav": "s are the least",
        "long.flac": "is longer than",
    }
    good = given(clips / "b.wav")
    with visitor(page) as me:
        for name, words in bad.items():
            clip = given(clips / name)
            asked = [
                ("compare", good, clip),
                ("compare", clip, good),
                ("enrol", "Sita", clip),
            ]
            if name != "long.flac":  # which two hours would be
                asked.append(("label", clip))
            for question, *values in asked:
                told = me.predict(*values, api_name=f"/{question}")
                assert f"{name} " in told and words in told, (question, told)
        me.predict("Sita", good, api_name="/enrol")
        for name, words in bad.items():
            told = me.predict(given(clips / name), api_name="/identify")
            assert words in told
        assert "name is missing" in me.predict(" ", good, api_name="/enrol")
        for question, values in (
            ("compare", (None, None)),
            ("enrol", ("Sita", None)),
            ("identify", (None,)),
            ("label", (None,)),
        ):
            told = me.predict(*values, api_name=f"/{question}")
            assert 'class="message"' in told
    wait_until_empty(page)
    assert "Traceback" not in page.log()


@pytest.mark.slow
def test_only_this_machine_is_let_in_and_nothing_is_fetched(page):
    listening = []
    for table in ("tcp", "tcp6"):
        path = Path("/proc/net") / table
        for row in path.read_text().splitlines()[1:] if path.exists() else ():
            host, _, port = row.split()[1].rpartition(":")
            if int(port, 16) == page.port and row.split()[3] == "0A":
                listening.append(host)
    assert listening == ["0100007F"]  # 127.0.0.1, lowest byte first
    for part in ("", "theme.css"):
        with urllib.request.urlopen(page.address + part) as answer:
            text = answer.read().decode()
        fetched = re.findall(
            r"(?:\ssrc=|<link[^>]*href=|url\(|@import)\s*[\"']?(?:https?:)?//"
            r"[^\"')\s]*",
            text,
        )
        assert fetched == []
    with urllib.request.urlopen(page.address + "config") as answer:
        config = json.load(answer)
    assert config["analytics_enabled"] is False
    assert config["max_file_size"] >= 200e6


@pytest.mark.slow
def test_its_end_leaves_nothing(page, clips):
    with visitor(page) as me:
        me.predict("Sita", given(clips / "a.webm"), api_name="/enrol")
        assert "people.sqlite" in page.files()
        page.process.send_signal(signal.SIGTERM)
        assert page.process.wait(timeout=120) == 0
    # Other libraries leave empty folders there.
    left = [path for path in page.temporary.rglob("*") if path.is_file()]
    assert left == []
    assert [*page.temporary.glob("siamese-demo-*")] == []
    assert list(page.here.iterdir()) == []
    assert "Traceback" not in page.log()
