"""What is released: built from a clone, checked, and used without the rest."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.slow


def run(*command, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        # The sources must not stand in for what is missing.
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The folder ``dist`` of a clone that has a version's tag."""
    clone = tmp_path_factory.mktemp("release") / "clone"
    if not (ROOT / ".git").exists():
        pytest.skip("a release is built from git")
    run("git", "clone", "-q", ROOT, clone, cwd=ROOT)
    author = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    run("git", *author, "tag", "-a", "v7.8.9", "-m", "7.8.9", cwd=clone)
    run(sys.executable, "-m", "build", "--no-isolation", cwd=clone)
    return clone / "dist"


def test_the_version_is_the_tag(built):
    assert {path.name for path in built.iterdir()} == {
        "speechbrain_siamese-7.8.9-py3-none-any.whl",
        "speechbrain_siamese-7.8.9.tar.gz",
    }


def test_the_index_would_take_it(built):
    told = run(
        *(sys.executable, "-m", "twine", "check", "--strict"),
        *built.iterdir(),
        cwd=built,
    )
    assert told.count("PASSED") == 2


def test_the_sources_hold_the_recipe_and_no_data(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "hparams/siamese.yaml",
        "recipes/YouTubeSpeakers/SpeakerRec/train.py",
        "train.py",
        "Makefile",
        "CHANGELOG.md",
        "CITATION.cff",
    } <= names


def test_the_wheel_alone_is_enough(built, tmp_path, trained, tiny):
    """Installed without the repository: the command and the stock class."""
    venv.create(tmp_path / "python", with_pip=False)
    python = tmp_path / "python" / "bin" / "python"
    (packages,) = (tmp_path / "python").glob("lib/python*/site-packages")
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
        *("--no-index", "--target", packages, next(built.glob("*.whl"))),
        cwd=tmp_path,
    )
    # What it needs, and not our package, which is installed from its sources.
    installed = sysconfig.get_path("purelib")
    (packages / "needed.pth").write_text(f"{installed}\n")
    found = run(
        python, "-c", "import speechbrain_siamese as s; print(s.__file__)",
        cwd=tmp_path,
    )  # fmt: skip
    assert Path(found.strip()).parent.parent == packages
    siamese = [python, "-m", "speechbrain_siamese.command_line"]
    assert "7.8.9" in run(*siamese, "--version", cwd=tmp_path)
    clip = tiny.write(tmp_path / "a.wav", tiny.voice(1, 5, 6.0))
    told = run(
        *siamese,
        *("verify", f"--source={trained / 'export'}", clip, clip),
        cwd=tmp_path,
    )
    assert told.startswith("one voice: score 1.000")
    # Pages are in it, too, and what they load.
    page = packages / "speechbrain_siamese" / "demo_page"
    assert (page / "page.css").is_file()
    assert (page / "time_line.js").is_file()
    run(
        *(python, "-c"),
        "from jinja2 import PackageLoader as Pages\n"
        "assert Pages('speechbrain_siamese', 'pages').list_templates()",
        cwd=tmp_path,
    )
