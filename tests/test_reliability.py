"""The page of faults holds what was measured, by tests that mark faults."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_the_page_holds_what_the_command_prints(tiny):
    done = subprocess.run(
        [sys.executable, "benchmarks/reliability.py", "--quick"],
        cwd=ROOT,
        env=tiny.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    tables, _, figures = done.stdout.rstrip().rpartition("\n")
    page = (ROOT / "docs" / "reliability.md").read_text()
    assert f"from here -->\n\n{tables}\n\n<!-- to here" in page
    assert json.loads(figures)["failed"] == 0


@pytest.mark.parametrize("ended", ["passed", "failed", "skipped"])
def test_a_fault_is_counted_as_it_ended(by_path, monkeypatch, tmp_path, ended):
    """A real test file, run as the command runs them."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    reliability = by_path(ROOT / "benchmarks" / "reliability.py")
    body = {
        "passed": "record_property('times', 7)",
        "failed": "assert False",
        "skipped": "pytest.skip('no disk')",
    }[ended]
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.fault('it breaks', 'it is told', kept=True)\n"
        f"def test_it(record_property):\n    {body}\n"
    )
    found = reliability.faults(
        None, [str(tmp_path), "-c", str(ROOT / "pyproject.toml")]
    )
    row = found["faults"]["it breaks"]
    assert row[ended] == 1
    assert row["times"] == {"passed": 7, "failed": 1, "skipped": 0}[ended]
    (table,) = reliability.pages({"faults": found})
    last = table.splitlines()[-1]
    assert (
        last
        == {
            "passed": "| it breaks | 7 | it is told | none |",
            "failed": "| it breaks | 1 | 1 tests FAILED | ? |",
            "skipped": "| --- | --- | --- | --- |",
        }[ended]
    )


def test_floors_are_the_lowest_versions_of_what_users_install(
    by_path, monkeypatch
):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    floors = by_path(ROOT / "benchmarks" / "floors.py").floors
    found = floors(
        "[options]\ninstall_requires =\n    # why\n    a >=2,<3\n    b <4\n"
        "[options.extras_require]\nmore =\n    c[d] >=2026.1\n"
        "dev =\n    e >=5\n"
    )
    assert found == {"a": "2", "c": "2026.1"}
    own = floors((ROOT / "setup.cfg").read_text())
    assert {"torch", "speechbrain", "numpy", "librosa"} <= own.keys()
