"""The commands of the tutorial and of the README's beginning, as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

import matplotlib.image
import pytest

ROOT = Path(__file__).resolve().parent.parent
TUTORIAL = ROOT / "docs" / "tutorial.md"


def commands() -> str:
    """All of them as one script."""
    blocks = re.findall(
        r"^```(bash|python)\n(.*?)^```$",
        TUTORIAL.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert len(blocks) > 4
    return "\n".join(
        text if kind == "bash" else f"python - <<'PYTHON'\n{text}PYTHON\n"
        for kind, text in blocks
    )


def first_steps() -> str:
    """What the README does with the model that ``make train`` has left."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    begin = text.index("```bash\nsource .venv/bin/activate\n") + len("```bash")
    return text[begin : text.index("```", begin)]


@pytest.fixture
def repository(tmp_path) -> Path:
    """The repository's files, with an environment in which all is installed."""
    copy = tmp_path / "repository"
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True
    )
    for name in listed.stdout.decode().split("\0"):
        if name and not name.startswith(("tests/", "benchmarks/")):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name, follow_symlinks=False)
    venv.create(copy / ".venv", with_pip=False)
    (packages,) = copy.glob(".venv/lib/python*/site-packages")
    installed = sysconfig.get_path("purelib")
    (packages / "all.pth").write_text(f"{copy}\n{installed}\n")
    siamese = copy / ".venv" / "bin" / "siamese"
    siamese.write_text(
        f"#!{copy}/.venv/bin/python\n"
        "from speechbrain_siamese.command_line import main\n"
        "main()\n"
    )
    siamese.chmod(0o755)
    # Newer than setup.cfg: make does not install again.
    (copy / ".venv" / "installed").touch()
    return copy


@pytest.mark.slow
def test_a_newcomer_gets_a_labelled_file(repository):
    script = commands() + first_steps()
    # The machine of a test has no ten minutes.
    assert script.count("MINUTES=3") == 1
    hidden = ("PYTHONPATH", "VIRTUAL_ENV", "SIAMESE_SOURCE", "SIAMESE_GALLERY")
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail"],
        input=script.replace("MINUTES=3", "MINUTES=1"),
        cwd=repository,
        env={
            **{k: v for k, v in os.environ.items() if k not in hidden},
            "HF_HUB_OFFLINE": "1",
            "MPLBACKEND": "Agg",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "one voice: score" in done.stdout
    assert "rec2.flac: Gulaf" in done.stdout
    labelled = done.stdout[done.stdout.index("results/talk.wav:") :]
    assert labelled.index("Gulaf") < labelled.index("Beli")
    rttm = (repository / "results" / "talk.rttm").read_text()
    assert all(line.startswith("SPEAKER talk ") for line in rttm.splitlines())
    rttm = (repository / "results" / "gulaf.rttm").read_text()
    assert " Gulaf " in rttm
    picture = matplotlib.image.imread(repository / "results" / "talk.png")
    assert picture.std() > 0
