"""``docs/privacy.md`` names every file that a command writes."""

from __future__ import annotations

import functools
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from speechbrain_siamese.command_line import main

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "privacy.md"
SCRIPTS = {"train.py", "evaluate.py", "download.py"}

#: An embedding in a log would be numbers in a row.
NUMBERS = re.compile(r"(?:-?\d+\.\d+(?:e-?\d+)?[\],;\s\[]+){6}")


def declared() -> dict[str, list[str]]:
    """Patterns of files by command, as the page's table has them."""
    found: dict[str, list[str]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 4 or cells[0] in ("command", "---"):
            continue
        names = re.findall(r"`([^`]+)`", cells[0]) or [cells[0]]
        for name in names:
            found.setdefault(name, [])
            found[name] += re.findall(r"`([^`]+)`", cells[1])
    return found


def matches(path: str, pattern: str, places: dict[str, str]) -> bool:
    """Whether a file is one that a pattern of the page names."""
    for place, folder in places.items():
        pattern = pattern.replace(f"<{place}>", folder)
    parts = re.split(r"(\*\*|\*)", pattern.replace("/../", "/<up>/"))
    kinds = {"**": ".*", "*": "[^/]*"}
    regex = "".join(kinds.get(part) or re.escape(part) for part in parts)
    # One folder and its way back.
    regex = re.sub(r"[^/]+/<up>/", "", regex)
    return re.fullmatch(regex, path) is not None


def undeclared(name: str, made: list[str], places: dict[str, str]) -> list:
    """Files that the page does not name."""
    patterns = declared()[name] + declared()["every command"]
    return [
        path
        for path in made
        if not any(matches(path, pattern, places) for pattern in patterns)
    ]


def commands() -> set[str]:
    """Every command that there is."""
    found = set(SCRIPTS)
    for name, command in main.commands.items():
        inner = getattr(command, "commands", None)
        found |= (
            {f"siamese {name} {one}" for one in inner}
            if inner
            else {f"siamese {name}"}
        )
    return found


def test_the_page_tells_of_every_command():
    assert declared().keys() == commands() | {"every command"}


def test_the_page_names_what_training_leaves(trained):
    made = [
        path.relative_to(trained).as_posix()
        for path in trained.rglob("*")
        if path.is_file()
    ]
    assert len(made) > 30
    places = {"output": "", "home": "home"}
    made = [f"/{path}" for path in made]
    assert undeclared("train.py", made, places) == []
    assert undeclared("train.py", ["/secret.txt"], places) == ["/secret.txt"]
    assert undeclared("siamese verify", made[:1], places) == made[:1]


def test_logs_of_a_training_hold_no_embeddings(trained):
    assert NUMBERS.search("[0.1, -0.25, 0.5e-3, 1.0, 2.0, 3.0, 4.0]")
    for name in ("log.txt", "train_log.txt"):
        assert not NUMBERS.search((trained / name).read_text())


@pytest.fixture(scope="module")
def site(tiny, tmp_path_factory):
    """Address of a server with one recording."""
    folder = tmp_path_factory.mktemp("site")
    tiny.write(folder / "talk.wav", tiny.voice(0, 1, 5.0))
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=folder
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def sandbox(tiny, tiny_data, site, tmp_path_factory):
    """What each command wrote, in an empty home; and the logs."""
    root = tmp_path_factory.mktemp("sandbox")
    # Where what is read lies: none of it may change.
    shutil.copytree(tiny_data, root / "data")
    clips = {
        (voice, take): str(
            tiny.write(
                root / "read" / f"{voice}/{take}.wav",
                tiny.voice(voice, take + 60, 8.0),
            )
        )
        for voice in (0, 7)
        for take in (1, 2)
    }
    for name in ("home", "tmp", "cwd"):
        (root / name).mkdir()
    (root / "read/trials.txt").write_text(
        "1 0/1.wav 0/2.wav\n0 0/1.wav 7/1.wav"
    )
    (root / "read/sources.csv").write_text(
        f"speaker,url,gender\nsita,{site}/talk.wav,f\nbert,{site}/no.wav,\n"
    )
    command_line = str(ROOT / "speechbrain_siamese" / "command_line.py")

    def siamese(*arguments):
        return [f"siamese {arguments[0]}", [command_line, *arguments]]

    def people(*arguments):
        return [
            f"siamese gallery {arguments[0]}",
            [command_line, "gallery", *arguments],
        ]

    def script(name, *arguments):
        return [name, [str(ROOT / name), *map(str, arguments)]]

    train = tiny.command(root / "output", root / "data")
    first, second = clips[0, 1], clips[7, 1]
    steps = [
        script("train.py", ROOT / train[2], *train[3:]),
        siamese("verify", first, second),
        siamese("enroll", "--keep-audio", "A", first),
        siamese("enroll", "B", second),
        siamese("identify", clips[0, 2]),
        people("list"),
        people("rename", "B", "C"),
        people("re-enroll", f"{root}/named/new.sqlite"),
        people("remove", "C"),
        siamese("changes", first),
        siamese(
            "label",
            f"--output={root}/named/a.png",
            f"--output={root}/named/a.rttm",
            first,
        ),
        siamese("embed", f"--output={root}/named/a.npz", first, second),
        siamese(
            "evaluate", f"--audio-folder={root}/read", f"{root}/read/trials.txt"
        ),
        siamese("audit", f"{root}/output/prepared"),
        siamese("export", f"--onnx={root}/named/a.onnx"),
        siamese("completion", "bash"),
        siamese(
            "push",
            "--language=ne",
            "--license=mit",
            f"{root}/output/export",
            "a/b",
        ),
        script(
            "evaluate.py",
            ROOT / "hparams" / "evaluate.yaml",
            f"--model={root}/output/export",
            f"--trials={root}/read/trials.txt",
            f"--data_folder={root}/read",
        ),
        script("download.py", root / "read/sources.csv", root / "recordings"),
    ]
    (root / "read/commands.json").write_text(json.dumps(steps))
    environment = {
        key: value
        for key, value in tiny.environment().items()
        if not key.startswith(("XDG_", "HF_HOME", "TORCH", "MPLCONFIG"))
    } | {
        "HOME": str(root / "home"),
        "TMPDIR": str(root / "tmp"),
        "SIAMESE_SOURCE": str(root / "output/export"),
        "SIAMESE_GALLERY": str(root / "people.sqlite"),
    }
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "tests" / "run_sandboxed.py"),
            str(root / "read/commands.json"),
            str(root),
        ],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    logs = {
        path.name: path.read_text(errors="replace")
        for path in (root / "logs").iterdir()
    }
    return json.loads(done.stdout.splitlines()[-1]), logs


PLACES = {
    "output": "output",
    "evaluation": "output/evaluation_list_trials",
    "recordings": "recordings",
    "gallery": "people.sqlite",
    "named": "named/*",
    "home": "home",
}


@pytest.mark.slow
def test_each_command_writes_what_the_page_names_and_nothing_else(sandbox):
    found, logs = sandbox
    ran = set()
    for number, (name, code, made) in enumerate(found):
        # 1 is an answer, and of what could not be fetched; push has no net.
        most = {"siamese push": 2, "train.py": 0, "evaluate.py": 0}.get(name, 1)
        assert 0 <= code <= most, (name, logs.get(f"{number}.txt", "")[-2000:])
        where = "every command" if name == "imports" else name
        assert undeclared(where, made, PLACES) == [], name
        ran.add(name)
    # The page runs until it is told to end: test_demo_page.py looks after it.
    assert ran == (commands() | {"imports"}) - {"siamese demo"}


@pytest.mark.slow
def test_no_command_tells_an_embedding(sandbox):
    _, logs = sandbox
    assert len(logs) > 10
    for name, text in logs.items():
        assert not NUMBERS.search(text), name
