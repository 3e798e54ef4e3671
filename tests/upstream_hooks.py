"""What a ``.pre-commit-config.yaml`` names, without its clones of GitHub.

The packages of the hooks come from the index in the versions that the file
pins, and are given the files and arguments that pre-commit would give them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

#: Package of a repository of hooks.
PACKAGES = {
    "https://github.com/pre-commit/pre-commit-hooks": "pre-commit-hooks",
    "https://github.com/astral-sh/ruff-pre-commit": "ruff",
    "https://github.com/adrienverge/yamllint": "yamllint",
    "https://github.com/codespell-project/codespell": "codespell",
}

#: Command of a hook, and the endings of the files that it is for.
HOOKS = {
    "trailing-whitespace": (["trailing-whitespace-fixer"], ""),
    "end-of-file-fixer": (["end-of-file-fixer"], ""),
    "requirements-txt-fixer": (
        ["requirements-txt-fixer"],
        "requirements.txt",
    ),
    "mixed-line-ending": (["mixed-line-ending"], ""),
    "check-added-large-files": (["check-added-large-files"], ""),
    "ruff": (["ruff", "check"], ".py"),
    "ruff-format": (["ruff", "format"], ".py"),
    "yamllint": (["yamllint"], (".yaml", ".yml")),
    "codespell": (["codespell"], ""),
}


def settings(checkout: Path) -> list[dict]:
    """Repositories of hooks, as the file has them."""
    path = checkout / ".pre-commit-config.yaml"
    return yaml.safe_load(path.read_text())["repos"]


def pinned(checkout: Path) -> list[str]:
    """Packages of the hooks, as pip takes them: ``ruff==0.12.4``."""
    found = []
    for repository in settings(checkout):
        version = repository["rev"].lstrip("v")
        found.append(f"{PACKAGES[repository['repo']]}=={version}")
        for hook in repository["hooks"]:
            found += hook.get("additional_dependencies", [])
    return found


def install(packages: list[str], folder: Path) -> str:
    """Install into a folder; returns pip's complaint, if it has one."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet"),
            *("--disable-pip-version-check", "--target", str(folder)),
            *packages,
        ],
        capture_output=True,
        text=True,
    )
    return done.stderr.strip() if done.returncode else ""


def commands(
    checkout: Path, files: list[str]
) -> Iterator[tuple[str, list[str]]]:
    """Every hook's name and command for these files."""
    for repository in settings(checkout):
        for hook in repository["hooks"]:
            command, endings = HOOKS[hook["id"]]
            if "python" in hook.get("types", ()):
                endings = ".py"
            chosen = [name for name in files if name.endswith(endings)]
            yield hook["id"], [*command, *hook.get("args", ()), *chosen]
