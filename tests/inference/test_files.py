"""Where a file is read from: this machine, a site, or the hub."""

from __future__ import annotations

import functools
import http.server
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from speechbrain_siamese.inference import files
from speechbrain_siamese.inference.files import FileReading

RATE = 16000


class Reader(FileReading):
    """Reads files, without a model."""

    device = "cpu"
    audio_normalizer = SimpleNamespace(sample_rate=RATE)


def write(path, level):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(RATE, level), RATE, subtype="FLOAT")
    return path


@pytest.fixture
def asked(monkeypatch):
    """What is asked for at the hub, which has nothing."""
    sources = []

    def refuse(name, source, *_):
        sources.append(f"{source}/{name}")
        raise OSError("cannot reach huggingface.co")

    monkeypatch.setattr(files, "fetch", refuse)
    return sources


@pytest.fixture
def site(tmp_path):
    """Address of a server, its folder, and the paths that it was asked for."""
    folder, asked = tmp_path / "site", []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    handler = functools.partial(Handler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder, asked
    server.shutdown()
    thread.join()


def test_fetched_files_of_one_name_stay_apart(site, tmp_path):
    address, folder, asked = site
    kept = tmp_path / "kept"
    for level in (0.25, 0.5):
        write(folder / f"{level}" / "x.wav", level)
    for _ in range(2):
        for level in (0.25, 0.5):
            url = f"{address}/{level}/x.wav"
            sound = Reader().load_audio(url, savedir=kept)
            assert sound.numpy() == pytest.approx(level)
    assert all(path.name.endswith("-x.wav") for path in kept.iterdir())
    # What was fetched is not fetched again.
    assert len(asked) == len([*kept.iterdir()]) == 2


def test_what_a_site_does_not_have_is_told(site, tmp_path):
    url = f"{site[0]}/no.wav"
    with pytest.raises(ValueError, match=r"/no\.wav: cannot be fetched"):
        Reader().load_audio(url, savedir=tmp_path / "kept")


def test_half_of_a_file_is_not_taken_for_all_of_it(site, tmp_path, monkeypatch):
    address, folder, _ = site
    write(folder / "x.wav", 0.5)
    fetch = files.fetch

    def cut(name, source, savedir):
        path = Path(savedir) / name
        path.write_bytes((folder / "x.wav").read_bytes()[:3000])
        raise OSError("the connection was cut")

    kept = tmp_path / "kept"
    monkeypatch.setattr(files, "fetch", cut)
    with pytest.raises(ValueError, match="the connection was cut"):
        Reader().load_audio(f"{address}/x.wav", savedir=kept)
    assert [*kept.iterdir()] == []
    monkeypatch.setattr(files, "fetch", fetch)
    sound = Reader().load_audio(f"{address}/x.wav", savedir=kept)
    assert len(sound) == RATE


def test_what_is_fetched_need_not_be_kept(site, tmp_path, monkeypatch):
    address, folder, _ = site
    write(folder / "x.wav", 0.5)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert len(Reader().load_audio(f"{address}/x.wav")) == RATE
    assert [*Path().iterdir()] == []


def test_a_missing_text_of_three_parts_is_asked_for_at_the_hub(asked):
    with pytest.raises(
        ValueError,
        match=r"^nobody/nothing/no\.wav: no such file here, and not on the "
        r"hub: cannot reach huggingface\.co",
    ):
        Reader().load_audio("nobody/nothing/no.wav")
    assert asked == ["nobody/nothing/no.wav"]


@pytest.mark.parametrize(
    "path",
    [
        Path("nobody/nothing/no.wav"),
        "./nobody/nothing/no.wav",
        "here/nothing/no.wav",
        "/nothing/no.wav",
        "nobody/no.wav",
    ],
)
def test_what_is_of_this_machine_is_asked_for_nowhere(
    asked, path, tmp_path, monkeypatch
):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"no\.wav"):
        Reader().load_audio(path)
    assert asked == []
