"""The recipe in a SpeechBrain checkout, and upstream's own checks of it.

Without a checkout the installed SpeechBrain stands for one. With
``SPEECHBRAIN_CHECKOUT=<folder>`` upstream's checks run on a clone of it.
"""

from __future__ import annotations

import ast
import csv
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
import speechbrain

ROOT = Path(__file__).resolve().parent.parent
RECIPE = Path("recipes/YouTubeSpeakers/SpeakerRec")
SETTINGS = """\
[tool.ruff]
target-version = "py38"
line-length = 80

[tool.ruff.lint]
select = ["E", "W", "F", "I", "B", "C4", "UP"]
ignore = ["E501", "B904", "B905", "UP031"]

[tool.ruff.lint.isort]
known-first-party = ["speechbrain"]
known-third-party = ["torch", "torchaudio", "numpy", "scipy", "hyperpyyaml"]
"""


def contribute(checkout: Path) -> subprocess.CompletedProcess:
    """The command that a contributor types."""
    return run(
        [sys.executable, ROOT / "contribute" / "contribute.py", checkout], ROOT
    )


def run(command, cwd: Path, **environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={
            **{k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
            "HF_HUB_OFFLINE": "1",
            "MPLBACKEND": "Agg",
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        },
        capture_output=True,
        text=True,
    )


def upstream_python(checkout: Path, folder: Path) -> Path:
    """A Python whose SpeechBrain is the checkout, without our package."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    installed = sysconfig.get_path("purelib")
    (packages / "checkout.pth").write_text(f"{checkout}\n{installed}\n")
    found = run(
        [python, "-c", "import speechbrain; print(speechbrain.__file__)"],
        folder,
    )
    assert Path(found.stdout.strip()).parent.parent == checkout, found.stderr
    ours = run([python, "-c", "import speechbrain_siamese"], folder)
    assert "No module named 'speechbrain_siamese'" in ours.stderr
    return python


def written(checkout: Path) -> dict[str, bytes]:
    """Every file but git's own, with what it holds."""
    return {
        path.relative_to(checkout).as_posix(): path.read_bytes()
        for path in checkout.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(checkout).parts
    }


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The installed SpeechBrain, as if it were a checkout."""
    checkout = tmp_path_factory.mktemp("upstream") / "checkout"
    shutil.copytree(
        Path(speechbrain.__file__).parent,
        checkout / "speechbrain",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (checkout / "pyproject.toml").write_text(SETTINGS)
    subprocess.run(["git", "init", "-q", checkout], check=True)
    return checkout


@pytest.fixture(scope="module")
def before(installed) -> dict[str, bytes]:
    """What is there before us."""
    return written(installed)


@pytest.fixture(scope="module")
def contributed(installed, before) -> Path:
    """The same with our contribution."""
    done = contribute(installed)
    assert done.returncode == 0, done.stderr
    assert before
    return installed


@pytest.fixture(scope="module")
def python(contributed, tmp_path_factory) -> Path:
    """A Python that has the contribution and not our package."""
    return upstream_python(contributed, tmp_path_factory.mktemp("python"))


def test_nothing_that_was_there_is_changed(contributed, before):
    after = written(contributed)
    assert {name: after[name] for name in before} == before
    new = set(after) - set(before)
    assert {name.split("/")[0] for name in new} == {
        "recipes",
        "speechbrain",
        "tests",
    }
    link = contributed / RECIPE / "youtube_prepare.py"
    assert link.is_symlink()
    assert link.resolve().is_file()


def test_our_package_is_named_nowhere(contributed, before):
    for name, content in written(contributed).items():
        if name not in before:
            assert b"speechbrain_siamese" not in content, name


def test_what_goes_into_speechbrain_is_its_python(contributed, before):
    new = [
        path
        for folder in ("speechbrain", "tests/unittests")
        for path in (contributed / folder).rglob("*.py")
        if path.relative_to(contributed).as_posix() not in before
    ]
    assert len(new) > 10
    for path in new:
        # SpeechBrain still runs with Python 3.8.
        tree = ast.parse(path.read_text(), feature_version=(3, 8))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                names = {one.arg for one in node.keywords}
                zipped = getattr(node.func, "id", None) == "zip"
                assert not (zipped and "strict" in names), path
            assert not (
                isinstance(node, ast.Attribute)
                and node.attr in ("removeprefix", "removesuffix")
            ), path


def test_given_again_it_leaves_the_same_tree(contributed):
    first = written(contributed)
    # A file of an earlier run, which ours does not have any more.
    gone = contributed / "recipes" / "YouTubeSpeakers" / "gone.py"
    gone.write_text("old = True\n")
    listed = contributed / ".git" / "youtube_speakers.json"
    kept = json.loads(listed.read_text())
    sys.path.insert(0, str(ROOT / "contribute"))
    try:
        from contribute import digest
    finally:
        sys.path.pop(0)
    name = gone.relative_to(contributed).as_posix()
    listed.write_text(json.dumps(kept | {name: digest(gone)}))
    done = contribute(contributed)
    assert done.returncode == 0, done.stderr
    assert written(contributed) == first


def test_a_checkout_that_has_it_already_stays_as_it_is(contributed, tmp_path):
    """Committed, and cloned by somebody who has not run the command."""
    author = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    clone = tmp_path / "clone"
    for command in (
        ["-C", contributed, "add", "--all"],
        ["-C", contributed, *author, "commit", "-q", "-m", "Add the recipe"],
        ["clone", "-q", contributed, clone],
    ):
        subprocess.run(["git", *command], check=True)
    for checkout in (contributed, clone):
        done = contribute(checkout)
        assert done.returncode == 0, done.stderr
        status = ["git", "status", "--porcelain"]
        assert subprocess.check_output(status, cwd=checkout) == b""


def test_what_somebody_has_changed_is_not_touched(contributed):
    first = written(contributed)
    path = contributed / "tests" / "recipes" / "YouTubeSpeakers.csv"
    own = path.read_text() + "mine\n"
    path.write_text(own)
    try:
        done = contribute(contributed)
        assert done.returncode == 2
        assert "tests/recipes/YouTubeSpeakers.csv" in done.stderr
        assert "move them away" in done.stderr
        assert path.read_text() == own
    finally:
        path.write_bytes(first["tests/recipes/YouTubeSpeakers.csv"])
    assert written(contributed) == first


def test_a_link_that_somebody_has_replaced_is_not_touched(contributed):
    link = contributed / RECIPE / "youtube_prepare.py"
    goal = link.readlink()
    link.unlink()
    link.write_text("mine = True\n")
    try:
        done = contribute(contributed)
        assert done.returncode == 2
        assert "youtube_prepare.py" in done.stderr
        assert link.read_text() == "mine = True\n"
    finally:
        link.unlink()
        link.symlink_to(goal)


def test_pages_that_nothing_shows_are_not_contributed(contributed):
    pages = contributed / RECIPE / "youtube_speakers" / "pages"
    assert {path.name for path in pages.glob("*.jinja")} == {
        "base.css.jinja",
        "corpus.html.jinja",
        "evaluation.html.jinja",
    }


def test_another_folder_is_refused(tmp_path):
    done = contribute(tmp_path)
    assert done.returncode == 2
    assert "is no source checkout of SpeechBrain" in done.stderr
    assert not any(tmp_path.iterdir())


def test_every_yaml_file_is_listed_and_its_files_are_there(contributed):
    with open(
        contributed / "tests" / "recipes" / "YouTubeSpeakers.csv", newline=""
    ) as file:
        rows = list(csv.DictReader(file))
    listed = {row["Hparam_file"] for row in rows}
    assert listed == {
        path.relative_to(contributed).as_posix()
        for path in (contributed / RECIPE / "hparams").glob("*.yaml")
    }
    for row in rows:
        for key in ("Script_file", "Data_prep_file", "Readme_file"):
            assert (contributed / row[key]).is_file()
        assert row["test_debug_flags"]


def test_every_yaml_file_loads_without_our_package(contributed, python):
    load = (
        "import glob, os\n"
        "from hyperpyyaml import load_hyperpyyaml\n"
        "for path in sorted(glob.glob('hparams/*.yaml')):\n"
        "    with open(path) as file:\n"
        "        load_hyperpyyaml(file, {'imagenet_weights': False}\n"
        "            if 'two_tower' in path else {})\n"
        "    print(path)\n"
    )
    done = run([python, "-c", load], contributed / RECIPE)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(done.stdout.split()) == 5


def test_it_trains_and_stock_speechbrain_loads_the_export(
    contributed, python, tiny, tiny_data, tmp_path
):
    command = tiny.command(tmp_path / "output", tiny_data, number_of_epochs=1)
    done = run(
        [python, *command[1:]], contributed / RECIPE, OMP_NUM_THREADS="1"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    load = (
        "import sys, torch\n"
        "from speechbrain.inference.speaker import SpeakerRecognition\n"
        "model = SpeakerRecognition.from_hparams(source=sys.argv[1])\n"
        "assert 'youtube_speakers' not in sys.modules\n"
        "wavs = torch.randn(1, 16000)\n"
        "score, _ = model.verify_batch(wavs, wavs)\n"
        "print(round(score.item(), 4))\n"
    )
    done = run([python, "-c", load, tmp_path / "output" / "export"], tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-1] == "1.0"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A clone of SpeechBrain's sources with our contribution."""
    source = os.environ.get("SPEECHBRAIN_CHECKOUT")
    if not source:
        pytest.skip(
            "upstream's own checks need its sources: set SPEECHBRAIN_CHECKOUT "
            "to a checkout"
        )
    clone = tmp_path_factory.mktemp("clone") / "checkout"
    subprocess.run(["git", "clone", "-q", source, clone], check=True)
    done = contribute(clone)
    assert done.returncode == 0, done.stderr
    subprocess.run(["git", "add", "--all"], cwd=clone, check=True)
    return clone


@pytest.fixture(scope="module")
def check(checkout, tmp_path_factory):
    """``check(*command)`` in the clone, which has to end well."""
    python = upstream_python(checkout, tmp_path_factory.mktemp("their_python"))

    def run_check(*command) -> str:
        done = run(
            [python, *command],
            checkout,
            PATH=f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        )
        told = done.stdout + done.stderr
        assert done.returncode == 0, told[-6000:]
        return told

    return run_check


def added(checkout: Path, ending: str = "") -> list[str]:
    """What the contribution adds."""
    listed = subprocess.run(
        ["git", "diff", "--cached", "--name-only", "HEAD"],
        cwd=checkout,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    return [name for name in listed if name.endswith(ending)]


@pytest.mark.slow
def test_upstream_finds_its_recipe_consistent(check):
    check(
        *("-m", "pytest", "-q", "tests/consistency"),
        # Asks the hub.
        "--ignore=tests/consistency/test_HF_repo.py",
    )


@pytest.mark.slow
def test_upstream_loads_its_yaml_files(check):
    told = check(
        "-c",
        "from tests.utils.recipe_tests import load_yaml_test\n"
        "print(load_yaml_test(filters_fields=['Dataset'],"
        " filters=[['YouTubeSpeakers']],"
        # Asks torchvision's host for weights.
        " avoid_list=['recipes/YouTubeSpeakers/SpeakerRec/hparams/"
        "siamese_two_tower.yaml']))",
    )
    assert "True\n" in told
    assert "cannot load" not in told


@pytest.mark.slow
def test_upstream_runs_its_recipe_tests(check):
    told = check(
        "-c",
        "from tests.utils.recipe_tests import run_recipe_tests\n"
        "passed = run_recipe_tests(filters_fields=['Dataset'],"
        " filters=[['YouTubeSpeakers']], do_checks=True)\n"
        "print('PASSED' if passed else 'FAILED')",
    )
    assert "PASSED" in told
    assert "FAILED" not in told


@pytest.mark.slow
def test_upstream_runs_our_examples_and_tests(check, checkout):
    ours = added(checkout, ".py")
    library = [
        name
        for name in ours
        if name.startswith("speechbrain/") and "integrations/" not in name
    ]
    assert len(library) == 13
    check("-m", "pytest", "-q", "--doctest-modules", *library)
    integrations = [
        name for name in ours if "integrations/torchvision/" in name
    ]
    assert len(integrations) == 7
    check(
        *("-m", "pytest", "-q", "--noconftest", "--doctest-modules"),
        *integrations,
        "speechbrain/integrations/tests/test_torchvision.py",
    )
    tests = [name for name in ours if name.startswith("tests/unittests/")]
    assert len(tests) == 10
    # And that nothing else breaks by what is new in its packages.
    check("-m", "pytest", "-q", *tests, "tests/unittests/test_imports.py")


@pytest.mark.slow
def test_upstream_finds_no_lint(checkout, by_path, tmp_path):
    """Every hook of its pre-commit, in the versions that this pins."""
    hooks = by_path(ROOT / "tests" / "upstream_hooks.py")
    packages = hooks.pinned(checkout)
    complaint = hooks.install(packages, tmp_path)
    if complaint:
        pytest.skip(f"pip finds no {' '.join(packages)}: {complaint[-300:]}")
    asked = []
    for name, command in hooks.commands(checkout, added(checkout)):
        done = run(
            [tmp_path / "bin" / command[0], *command[1:]],
            checkout,
            PYTHONPATH=str(tmp_path),
        )
        assert done.returncode == 0, (name, done.stdout + done.stderr)
        asked.append(name)
    assert {"ruff", "ruff-format", "yamllint", "codespell"} <= {*asked}
    # Most of them mend what they find.
    changed = subprocess.check_output(["git", "diff", "--stat"], cwd=checkout)
    assert changed == b""
