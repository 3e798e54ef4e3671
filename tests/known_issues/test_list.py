"""The list of what broke once names tests that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def rows() -> list[tuple[str, str]]:
    """What happened, and the test of it."""
    text = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    return re.findall(r"^\| (?!\*\*)(.*) \| `([^`]+)` \|$", text, re.MULTILINE)


def test_each_finding_has_a_test():
    assert len(rows()) > 50
    missing = []
    for finding, name in rows():
        path, _, function = name.partition("::")
        found = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
        if function not in {getattr(one, "name", None) for one in found}:
            missing.append(f"{finding}: {name}")
    assert missing == []


def test_no_row_is_overlooked():
    """One that is written in another way would go untested."""
    text = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    assert (
        text.count("\n| ")
        == len(rows()) + len(re.findall(r"\| \*\*", text)) + 2
    )
