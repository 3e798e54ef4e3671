"""Puts the recipe into a SpeechBrain source checkout, as it would be merged.

> python contribute/contribute.py <checkout>

What needs torch alone goes to ``speechbrain/nnet`` and ``speechbrain/lobes``,
what needs torchvision to ``speechbrain/integrations/torchvision``, all else
that the recipe's scripts and YAML files need beside them, as the package
``youtube_speakers``. Imports and names in YAML files follow; exports of the
contributed recipe name nothing outside ``speechbrain``. ``added/`` holds what
only the checkout has: its README, rows of tests, dependencies.

Given again, the command leaves the same tree; files of an earlier run that
are gone here go there. Files that somebody else has changed since, or that
were there before, are not touched: the command says which, and does nothing.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ADDED = Path(__file__).resolve().parent / "added"
PACKAGE = "speechbrain_siamese"
RECIPE = Path("recipes/YouTubeSpeakers")

#: The recipe's own package in the checkout.
LOCAL = "youtube_speakers"

#: What has a place in SpeechBrain itself.
MOVED = {
    "nnet.losses": "speechbrain.nnet.loss.contrastive_loss",
    "nnet.distillation": "speechbrain.nnet.loss.distillation_loss",
    "nnet.gather": "speechbrain.nnet.gather",
    "nnet.global_batch_norm": "speechbrain.nnet.global_batch_norm",
    "nnet.param_groups": "speechbrain.nnet.param_groups",
    "nnet.schedulers": "speechbrain.nnet.polynomial_decay",
    "utils.ranges": "speechbrain.nnet.ranges",
    "processing.score_norm": "speechbrain.lobes.cohort",
    "processing.scoring": "speechbrain.processing.trial_scores",
    "lobes.features": "speechbrain.lobes.spectrogram_images",
    "lobes.statistics": "speechbrain.lobes.spectrogram_statistics",
    "lobes.supervectors": "speechbrain.lobes.spectrogram_supervectors",
    "lobes.whitening": "speechbrain.lobes.speaker_whitening",
    "lobes.windows": "speechbrain.lobes.spectrogram_windows",
    "lobes.densenet": "speechbrain.integrations.torchvision.densenet",
    "lobes.ensemble": "speechbrain.integrations.torchvision.ensemble",
    "lobes.folded_trunk": "speechbrain.integrations.torchvision.folded_trunk",
    "lobes.imagenet": "speechbrain.integrations.torchvision.imagenet",
    "lobes.mfcc_stack": "speechbrain.integrations.torchvision.mfcc_stack",
    "lobes.two_tower": "speechbrain.integrations.torchvision.two_tower",
}

#: Tests of ours that need nothing but what is moved.
TESTS = {
    "nnet/test_losses.py": "test_contrastive_loss.py",
    "nnet/test_distillation.py": "test_distillation_loss.py",
    "nnet/test_global_batch_norm.py": "test_global_batch_norm.py",
    "nnet/test_param_groups.py": "test_param_groups.py",
    "nnet/test_schedulers.py": "test_polynomial_decay.py",
    "lobes/test_features.py": "test_spectrogram_images.py",
    "lobes/test_statistics.py": "test_spectrogram_statistics.py",
    "lobes/test_supervectors.py": "test_spectrogram_supervectors.py",
    "lobes/test_whitening.py": "test_speaker_whitening.py",
    "lobes/test_windows.py": "test_spectrogram_windows.py",
}

#: Scripts of the recipe, and where they go; a link stays a link.
SCRIPTS = {
    "youtube_prepare.py": "youtube_prepare.py",
    "download.py": "SpeakerRec/download.py",
    "SpeakerRec/train.py": "SpeakerRec/train.py",
    "SpeakerRec/evaluate.py": "SpeakerRec/evaluate.py",
}
LINKS = {"SpeakerRec/youtube_prepare.py": "../youtube_prepare.py"}

#: What SpeechBrain brings, and what only our command line needs.
THEIRS = {
    *("torch", "torchaudio", "speechbrain", "hyperpyyaml", "soundfile"),
    *("joblib", "numpy", "scipy", "tqdm", "huggingface_hub", "click"),
}

#: What is said otherwise where there is no package of ours to install.
SAID = {
    r"`speechbrain_siamese` must be installed\. ": "",
    r"trained by `speechbrain_siamese`": "trained by SpeechBrain's recipe "
    "YouTubeSpeakers",
    r"Written by speechbrain_siamese\.": "Written by SpeechBrain's recipe "
    "YouTubeSpeakers.",
    r'version\("speechbrain-siamese"\)': 'version("speechbrain")',
    r"The speechbrain-siamese contributors": "The contributors of the recipe "
    "YouTubeSpeakers",
}


def modules() -> dict[str, Path]:
    """Every module of the package, by its dotted name."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[dotted.removesuffix(".__init__")] = path
    return found


def imported(text: str, known: Iterable[str]) -> set[str]:
    """Modules of ours that a Python file imports."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names | {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & set(known)


def split_name(name: str, known: Iterable[str]) -> tuple[str, str]:
    """A dotted name as the module that it begins with, and what follows."""
    module = name
    while module not in known:
        module = module.rpartition(".")[0]
    return module, name[len(module) :]


def named(text: str, known: Iterable[str]) -> set[str]:
    """Modules of ours that a text names."""
    return {
        split_name(name, known)[0]
        for name in re.findall(rf"\b{PACKAGE}\b(?:\.\w+)*", text)
    }


def needed() -> dict[str, Path]:
    """What the recipe needs, with the packages around it."""
    known = modules()
    wanted = set()
    for script in SCRIPTS:
        wanted |= imported((ROOT / RECIPE / script).read_text(), known)
    for path in yaml_files():
        wanted |= named(path.read_text(), known)
    seen: set[str] = set()
    while wanted:
        name = wanted.pop()
        seen.add(name)
        text = known[name].read_text()
        wanted |= (imported(text, known) | named(text, known)) - seen
    for name in [*seen]:
        while new_name(name).startswith(f"{LOCAL}."):
            name = name.rpartition(".")[0]
            seen.add(name)
    return {name: known[name] for name in sorted(seen)}


def yaml_files() -> list[Path]:
    """What users of the recipe edit."""
    return sorted((ROOT / "hparams").glob("*.yaml"))


def new_name(module: str) -> str:
    """Where a module of ours is in the checkout."""
    own = module.removeprefix(PACKAGE).removeprefix(".")
    return MOVED.get(own) or ".".join(filter(None, (LOCAL, own)))


def without_strict(source: str) -> str:
    """A module as Python 3.8 takes it, whose ``zip()`` has no ``strict``."""
    calls = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", None) == "zip"
        and node.keywords
    ]
    lines = [line.encode() for line in source.splitlines(keepends=True)]
    # From the last on: places before it stay what they were.
    for call in sorted(calls, key=_end_of, reverse=True):
        before, word = call.args[-1], call.keywords[0].value
        first, last = before.end_lineno - 1, word.end_lineno - 1
        kept = lines[first][: before.end_col_offset]
        rest = lines[last][word.end_col_offset :]
        lines[first : last + 1] = [b""] * (last - first) + [kept + rest]
    return b"".join(lines).decode()


def _end_of(node: ast.AST) -> tuple[int, int]:
    return node.end_lineno, node.end_col_offset


def rewritten(text: str, known: Iterable[str]) -> str:
    """A text with the names that things have in the checkout."""
    for pattern, other in SAID.items():
        text = re.sub(pattern, other, text)
    text = re.sub(
        r"""(["'])speechbrain-siamese\[([\w-]+)\]\1""",
        lambda match: " ".join(asked_by(match.group(2))),
        text,
    )

    def other_name(match: re.Match) -> str:
        module, rest = split_name(match.group(), known)
        return new_name(module) + rest

    return re.sub(rf"\b{PACKAGE}\b(?:\.\w+)*", other_name, text)


def moved(path: Path, known: Iterable[str]) -> bytes:
    """What a file of ours is in the checkout."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        text = without_strict(text)
    return rewritten(text, known).encode()


def target_of(module: str, path: Path) -> Path:
    """File of a module in the checkout."""
    name = new_name(module)
    place = Path(*name.split("."))
    if path.name == "__init__.py":
        place /= "__init__"
    if not name.startswith("speechbrain."):
        place = RECIPE / "SpeakerRec" / place
    return place.with_suffix(".py")


def contribution() -> Iterator[tuple[Path, bytes]]:
    """Every file of the contribution, as it will be, but for its format."""
    known = modules()
    parts = needed()
    check_layers(parts)
    for module, path in parts.items():
        yield target_of(module, path), moved(path, known)
    pages = ROOT / PACKAGE / "pages"
    code = "".join(path.read_text(encoding="utf-8") for path in parts.values())
    shown = {path.name for path in pages.glob("*.jinja") if path.name in code}
    for path in sorted(pages.glob("*.jinja")):
        # Other pages include what a page of the recipe includes.
        if path.name in shown or path.name == "base.css.jinja":
            place = RECIPE / "SpeakerRec" / LOCAL / "pages"
            yield place / path.relative_to(pages), path.read_bytes()
    for script, target in SCRIPTS.items():
        yield RECIPE / target, moved(ROOT / RECIPE / script, known)
    for path in yaml_files():
        place = RECIPE / "SpeakerRec" / "hparams" / path.name
        yield place, moved(path, known)
    for test, target in TESTS.items():
        place = Path("tests/unittests") / target
        yield place, moved(ROOT / "tests" / test, known)
    yield (
        RECIPE / "SpeakerRec" / "extra_requirements.txt",
        extra_requirements().encode(),
    )
    for path in sorted(ADDED.rglob("*")):
        if path.is_file():
            yield path.relative_to(ADDED), path.read_bytes()


def asked_by(extra: str) -> list[str]:
    """Packages of an extra of ours; of the package itself with ``""``."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = (
        settings["options.extras_require"][extra]
        if extra
        else settings["options"]["install_requires"]
    )
    # Without the upper ends: the checkout has its own idea of torch.
    asked = r"^([\w-]+(?:\[\w+\])?) *(>=[\d.]+)"
    return ["".join(found) for found in re.findall(asked, lines, re.MULTILINE)]


def extra_requirements() -> str:
    """What the recipe needs beside SpeechBrain, sorted as its checks want."""
    found = [
        line
        # The demo corpus is what it trains on without recordings.
        for line in (*asked_by(""), *asked_by("demo"))
        if re.match(r"[\w-]+", line).group() not in THEIRS
    ]
    return "\n".join(sorted(found)) + "\n"


def check_layers(parts: dict[str, Path]) -> None:
    """Refuse a module for SpeechBrain that needs one of the recipe."""
    for module, path in parts.items():
        if not new_name(module).startswith("speechbrain."):
            continue
        for other in imported(path.read_text(), parts):
            if path.name != "__init__.py" and not new_name(other).startswith(
                "speechbrain."
            ):
                raise ValueError(
                    f"{module} is moved to {new_name(module)} and imports "
                    f"{other}, which stays with the recipe: move both"
                )


def put(checkout: Path) -> int:
    """Write the contribution into a checkout.

    Arguments
    ---------
    checkout : Path
        Of SpeechBrain's sources, by git.

    Returns
    -------
    int
        How many files it has.

    Raises
    ------
    ValueError
        If it is no checkout of SpeechBrain, or holds other files under the
        names of ours.
    """
    for file in ("speechbrain/core.py", "pyproject.toml", ".git"):
        if not (checkout / file).exists():
            raise ValueError(
                f"{checkout} is no source checkout of SpeechBrain: it has no "
                f"{file}. Get one: git clone "
                "https://github.com/speechbrain/speechbrain"
            )
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary)
        for place, content in contribution():
            target = made / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            if content.startswith(b"#!"):
                target.chmod(0o755)
        shutil.copy(checkout / "pyproject.toml", made)
        as_upstream_formats(made)
        (made / "pyproject.toml").unlink()
        check_names(made)
        return move(made, checkout)


def as_upstream_formats(folder: Path) -> None:
    """Sort imports and format by the rules of the checkout."""
    # Where a package begins decides what is imported from elsewhere.
    packages = {
        parent / "__init__.py"
        for path in (folder / "speechbrain").rglob("*.py")
        for parent in path.parents
        if folder in parent.parents
    }
    missing = [path for path in packages if not path.exists()]
    for path in missing:
        path.touch()
    for arguments in (
        # Old spellings of what our Python may write newer.
        ["check", "--quiet", "--fix"],
        ["format", "--quiet"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *arguments, "."],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise ValueError(
                f"ruff {arguments[0]} refuses what would be contributed:\n"
                f"{done.stdout}{done.stderr}"
            )
    for path in missing:
        path.unlink()
    shutil.rmtree(folder / ".ruff_cache", ignore_errors=True)


def check_names(folder: Path) -> None:
    """Refuse a contribution that still names our package."""
    left = [
        f"{path.relative_to(folder)}, line {number}: {line.strip()}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for number, line in enumerate(
            path.read_text(encoding="utf-8").splitlines(), start=1
        )
        if PACKAGE in line
    ]
    if left:
        raise ValueError(f"{PACKAGE} is still named:\n" + "\n".join(left))


def move(made: Path, checkout: Path) -> int:
    """Copy into the checkout what was made; take away what is there no more."""
    asked = subprocess.run(
        ["git", "rev-parse", "--absolute-git-dir"],
        cwd=checkout,
        capture_output=True,
        text=True,
    )
    if asked.returncode:
        raise ValueError(f"git refuses {checkout}: {asked.stderr.strip()}")
    listed = Path(asked.stdout.strip(), f"{LOCAL}.json")
    earlier = json.loads(listed.read_text()) if listed.is_file() else {}
    files = sorted(p.relative_to(made) for p in made.rglob("*") if p.is_file())
    theirs = [
        str(place)
        for place in {*files, *map(Path, earlier)}
        if (checkout / place).exists()
        and digest(checkout / place)
        not in (
            earlier.get(place.as_posix()),
            digest(made / place) if (made / place).exists() else None,
        )
    ]
    for place, goal in LINKS.items():
        link = checkout / RECIPE / place
        ours = link.is_symlink() and os.readlink(link) == goal
        if not ours and os.path.lexists(link):
            theirs.append(str(RECIPE / place))
    if theirs:
        raise ValueError(
            "these files are there and are not as this command has left "
            "them; move them away, or git checkout them:\n"
            + "\n".join(sorted(theirs))
        )
    for place in files:
        target = checkout / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made / place, target)
    for place in map(Path, earlier):
        if place not in files:
            (checkout / place).unlink(missing_ok=True)
    for place, goal in LINKS.items():
        link = checkout / RECIPE / place
        link.unlink(missing_ok=True)
        link.symlink_to(goal)
    kept = {place.as_posix(): digest(made / place) for place in files}
    listed.write_text(json.dumps(kept, indent=1) + "\n")
    return len(files) + len(LINKS)


def digest(path: Path) -> str:
    """What a file holds, in short."""
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def main() -> int:
    """Contribute; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkout", type=Path)
    checkout = parser.parse_args().checkout.resolve()
    try:
        count = put(checkout)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{count} files in {checkout}: see git status there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
