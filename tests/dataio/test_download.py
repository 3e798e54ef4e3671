"""Recordings of ``sources.csv``, from a server on this machine."""

from __future__ import annotations

import csv
import functools
import http.server
import json
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechbrain_siamese.dataio.decoding import copy_stretch, decode
from speechbrain_siamese.dataio.download import PARTS, download, write_people
from speechbrain_siamese.dataio.recordings import find_recordings
from speechbrain_siamese.dataio.sources import (
    Source,
    read_source_note,
    read_sources,
)

pytest.importorskip("yt_dlp", reason="needs the extra [download]")
ROOT = Path(__file__).resolve().parent.parent.parent
RATE = 48000


def rising(seconds=6):
    """A tone that rises, so that a stretch tells where it is from."""
    steps = np.arange(seconds * RATE) / RATE
    return 0.3 * np.sin(2 * np.pi * (200 * steps + 50 * steps**2))


class Handler(http.server.SimpleHTTPRequestHandler):
    """A server that has files, ranges, errors and bad days."""

    requests: list[tuple[str, str | None]]

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        """Serve a file or a part of it; ``cut`` ends early the first time."""
        name = self.path.split("/")[-1]
        asked = self.headers.get("Range")
        self.requests.append((name, asked))
        if name.startswith("gone"):
            return self.send_error(404)
        body = (Path(self.directory) / name).read_bytes()
        start = int(asked.split("=")[1].split("-")[0]) if asked else 0
        self.send_response(206 if asked else 200)
        odd = name.startswith("odd")
        self.send_header("Content-Type", "audio/ac3" if odd else "audio/webm")
        self.send_header("Accept-Ranges", "bytes")
        if asked:
            told = f"bytes {start}-{len(body) - 1}/{len(body)}"
            self.send_header("Content-Range", told)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        part = body[start:]
        if name.startswith("cut") and not self.broken:
            # Not before the file is fetched: a look comes first.
            type(self).broken = sum(n == name for n, _ in self.requests) > 1
            part = part[: len(part) // 2]
        try:
            self.wfile.write(part)
        except ConnectionError:
            self.close_connection = True  # whoever asked had enough
        return None


@pytest.fixture
def server(tmp_path, write_audio):
    """Address of a running server, and what it was asked for."""
    files = tmp_path / "served"
    files.mkdir()
    write_audio(files / "talk.webm", rising(), RATE)
    write_audio(files / "cut.webm", rising(60), RATE)
    (files / "odd").write_bytes((files / "talk.webm").read_bytes())
    (files / "page.webm").write_text("<html>no sound</html>")

    class Own(Handler):
        requests, broken = [], False

    made = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Own, directory=str(files))
    )
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}", Own
    made.shutdown()
    thread.join()


def test_a_recording_comes_with_its_note(server, tmp_path):
    address, handler = server
    source = Source("सीता", f"{address}/talk.webm", gender="f")
    folder = tmp_path / "recordings"
    assert download([source], folder) == {}
    (found,) = find_recordings(folder)
    assert found.path == folder / "सीता" / "talk.webm"
    assert (
        found.path.read_bytes()
        == (tmp_path / "served" / "talk.webm").read_bytes()
    )
    note = json.loads(found.path.with_suffix(".json").read_text("utf-8"))
    assert note["url"] == source.url
    assert note["id"] == "talk"
    assert {"title", "channel", "licence", "upload_date"} <= note.keys()
    assert not (folder / PARTS).exists()

    # What is there is not asked for again.
    handler.requests.clear()
    assert download([source], folder) == {}
    assert handler.requests == []
    # What the user has taken away comes back.
    found.path.unlink()
    assert download([source], folder) == {}
    assert found.path.is_file()


def test_an_odd_ending_becomes_one_that_training_finds(server, tmp_path):
    address, _ = server
    folder = tmp_path / "recordings"
    assert download([Source("sita", f"{address}/odd")], folder) == {}
    (found,) = find_recordings(folder)
    assert found.path.suffix == ".mka"
    assert len(decode(found.path, 16000)) / 16000 == pytest.approx(6, abs=0.05)


def test_two_people_of_one_recording_have_their_stretches(server, tmp_path):
    address, handler = server
    url = f"{address}/talk.webm"
    people = [Source("sita", url, 1.0, 3.0), Source("ram", url, 4.5)]
    assert download(people, tmp_path / "r") == {}
    (first,) = (tmp_path / "r" / "sita").glob("*.mka")
    (second,) = (tmp_path / "r" / "ram").glob("*.mka")
    assert first.name == "talk_1-3.mka"
    assert second.name == "talk_4.5-end.mka"
    whole = decode(tmp_path / "served" / "talk.webm", 16000)
    for path, start, seconds in ((first, 1.0, 2.0), (second, 4.5, 1.5)):
        sound = decode(path, 16000)
        assert len(sound) / 16000 == pytest.approx(seconds, abs=0.05)
        middle = sound[8000:12000]
        # The tone of that moment: 200 Hz and 100 more each second.
        at = int(16000 * start) + 8000
        near = whole[at - 800 : at + 4800]
        likeness = np.correlate(near, middle).max() / (middle @ middle)
        assert likeness > 0.9
    assert sum(range_ is None for _, range_ in handler.requests) <= 3


def test_a_cut_connection_is_taken_up_where_it_broke(server, tmp_path):
    address, handler = server
    source = Source("sita", f"{address}/cut.webm")
    assert download([source], tmp_path / "r") == {}
    assert handler.broken
    served = (tmp_path / "served" / "cut.webm").read_bytes()
    assert (tmp_path / "r" / "sita" / "cut.webm").read_bytes() == served
    starts = [
        int(asked.removeprefix("bytes=").rstrip("-"))
        for _, asked in handler.requests
        if asked
    ]
    # Not far before where it broke.
    assert 0.3 * len(served) < max(starts) <= 0.5 * len(served)


def test_what_fails_is_told_and_the_others_come(server, tmp_path):
    address, _ = server
    sources = [
        Source("sita", f"{address}/gone.webm"),
        Source("sita", f"{address}/talk.webm", 100.0),
        Source("sita", f"{address}/talk.webm"),
        Source("ram", "http://127.0.0.1:1/nobody.webm"),
    ]
    failed = download(sources, tmp_path / "r")
    assert set(failed) == {sources[0], sources[1], sources[3]}
    assert "404" in failed[sources[0]]
    assert "the stretch begins at 100 s" in failed[sources[1]]
    assert (tmp_path / "r" / "sita" / "talk.webm").is_file()


def test_files_of_one_name_stay_two(server, tmp_path):
    address, _ = server
    (tmp_path / "served" / "b").mkdir()
    taken = tmp_path / "r" / "sita" / "talk.webm"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"the user's own")
    assert (
        download([Source("sita", f"{address}/talk.webm")], tmp_path / "r") == {}
    )
    assert taken.read_bytes() == b"the user's own"
    assert len([*taken.parent.glob("talk_*.webm")]) == 1


def test_a_file_that_the_user_has_made_of_it_is_not_replaced(server, tmp_path):
    address, _ = server
    source = Source("sita", f"{address}/talk.webm")
    assert download([source], tmp_path / "r") == {}
    folder = tmp_path / "r" / "sita"
    # The note tells another file; the one that is there is the user's.
    note = json.loads((folder / "talk.json").read_text())
    note["file"] = "gone.webm"
    (folder / "talk.json").write_text(json.dumps(note))
    (folder / "talk.webm").write_bytes(b"the user's own")
    assert download([source], tmp_path / "r") == {}
    assert (folder / "talk.webm").read_bytes() == b"the user's own"
    assert len([*folder.glob("talk_*.webm")]) == 1


def test_what_the_table_does_not_name_any_more_is_told(
    server, tmp_path, caplog
):
    address, _ = server
    url, folder = f"{address}/talk.webm", tmp_path / "r"
    other = Source("ram", url, 4.5)
    assert download([Source("सीता", url), other], folder) == {}
    # Another program's, and one whose recording the user has taken away.
    (folder / "ram" / "mine.json").write_text('{"file": "mine.wav"}')
    (folder / "ram" / "mine.wav").touch()
    (folder / "ram" / "away.json").write_text(
        json.dumps({"url": f"{address}/away.webm", "file": "away.webm"})
    )
    assert "stay in the corpus" not in caplog.text

    # From now on a stretch alone is wanted: training would have both.
    caplog.clear()
    rows = [Source("सीता", url, 1.0, 3.0, gender="f"), other]
    assert download(rows, folder) == {}
    (told,) = [one for one in caplog.messages if "stay in the corpus" in one]
    assert told.startswith("1 recordings")
    assert told.endswith(str(folder / "सीता" / "talk.webm"))
    assert (folder / "सीता" / "talk.webm").is_file()


def test_each_note_is_read_once(tmp_path, monkeypatch):
    rows = [Source("sita", f"https://a.b/{number}") for number in range(20)]
    (tmp_path / "sita").mkdir()
    for number, row in enumerate(rows):
        note = asdict(row) | {"file": f"{number}.webm"}
        (tmp_path / "sita" / f"{number}.webm").touch()
        (tmp_path / "sita" / f"{number}.json").write_text(json.dumps(note))
    read = []
    monkeypatch.setattr(
        "speechbrain_siamese.dataio.download.read_source_note",
        lambda path: read.append(path) or read_source_note(path),
    )
    assert download(rows, tmp_path) == {}
    assert len(read) == len(rows)


def test_the_command(server, tmp_path):
    address, _ = server
    table = tmp_path / "sources.csv"
    table.write_text(
        "speaker,url,start,stop,gender\n"
        f"sita,{address}/talk.webm,0:01,5,f\n"
        f"ram,{address}/gone.webm,,,m\n"
    )
    command = [sys.executable, "download.py", str(table), str(tmp_path / "r")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "yours to check" in done.stderr
    with open(tmp_path / "r" / "not_fetched.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["speaker"], row["start"], row["stop"]) == ("ram", "0.0", "")
    assert "404" in row["reason"]
    (found,) = find_recordings(tmp_path / "r")
    assert found.gender == "f"

    table.write_text("speaker,address\nsita,x\n")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "expected a comma-separated first line with 'speaker'" in done.stderr


@pytest.mark.parametrize("blocked", ["r", "r/not_fetched.csv"])
def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path, blocked):
    table = tmp_path / "sources.csv"
    table.write_text("speaker,url\nsita,http://127.0.0.1:1/a.webm\n")
    if blocked == "r":
        (tmp_path / "r").write_text("a file of the user's")
    else:
        (tmp_path / blocked / "a folder").mkdir(parents=True)
    command = [sys.executable, "download.py", str(table), str(tmp_path / "r")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert str(tmp_path / blocked) in done.stderr


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("../up,https://a.b/c", "cannot be the name of a folder"),
        (".hidden,https://a.b/c", "cannot be the name of a folder"),
        ("sita,file:///etc/passwd", "begins with https"),
        ("sita,", "no url"),
        ("sita,https://a.b/c,soon", "'soon' is no time"),
        ("sita,https://a.b/c,nan", "'nan' is no time"),
        ("sita,https://a.b/c,20,10", "stop has to be later"),
        # It would go to speakers.csv, which preparation then refuses.
        ("sita,https://a.b/c,,,$f", "without a dollar sign"),
    ],
)
def test_a_bad_row_is_told_with_its_line(row, message, tmp_path):
    table = tmp_path / "sources.csv"
    table.write_text(
        f"speaker,url,start,stop,gender\nsita,https://a.b/c\n{row}\n"
    )
    with pytest.raises(ValueError, match=f"line 3: .*{message}"):
        read_sources(table)


def test_letters_that_end_a_line_to_some_do_not(tmp_path):
    table = tmp_path / "sources.csv"
    table.write_text("speaker,url\nsita,https://a.b/c\u2028d\n", "utf-8")
    (source,) = read_sources(table)
    assert source.url == "https://a.b/c\u2028d"


def test_an_empty_table_is_refused(tmp_path):
    table = tmp_path / "sources.csv"
    table.write_text("speaker,url\n")
    with pytest.raises(ValueError, match="names nothing"):
        read_sources(table)
    with pytest.raises(ValueError, match="is not a file"):
        read_sources(tmp_path / "none.csv")


def test_a_table_of_people_stays_as_it_is(tmp_path, caplog):
    path = tmp_path / "speakers.csv"
    path.write_text("speaker,gender\nsita,female\n")
    write_people([Source("sita", "https://a.b/c", gender="f")], tmp_path)
    assert path.read_text() == "speaker,gender\nsita,female\n"
    # Who comes later is told, and left to the user.
    write_people([Source("ram", "https://a.b/c", gender="m")], tmp_path)
    assert path.read_text() == "speaker,gender\nsita,female\n"
    assert "does not name ram: add a line" in caplog.text
    both = [Source("ram", "https://a.b/c", gender=one) for one in "mf"]
    with pytest.raises(ValueError, match="in one line and"):
        write_people(both, tmp_path / "new")


@pytest.mark.parametrize("name", ["a.m4a", "a.mp3", "a.ogg"])
def test_stretches_of_other_codecs(name, tmp_path, write_audio):
    write_audio(tmp_path / name, rising(), RATE)
    copy_stretch(tmp_path / name, tmp_path / "b.mka", 2.0, 4.0)
    seconds = len(decode(tmp_path / "b.mka", 16000)) / 16000
    assert seconds == pytest.approx(2.0, abs=0.1)


def test_a_stretch_of_a_wav_file(tmp_path):
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 3 * RATE)
    soundfile.write(tmp_path / "a.wav", sound, RATE)
    copy_stretch(tmp_path / "a.wav", tmp_path / "b.mka", 1.0, 2.0)
    assert len(decode(tmp_path / "b.mka", RATE)) == pytest.approx(RATE, rel=0.1)
