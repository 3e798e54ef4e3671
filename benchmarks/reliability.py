"""What breaks it: faults, fuzzing, versions and hours of load, in one table.

> python benchmarks/reliability.py [--only faults]

prints the tables of ``docs/reliability.md`` from the records in
``benchmarks/results/reliability/``. ``--only`` makes one of them anew, of what
is checked out, and writes the tables into the page:

- ``faults``: runs the tests that are marked as a fault, each of which tells
  what was injected, what has to come of it, and whether it compares what was
  there before (``kept``).
- ``fuzz``: ``tests/fuzz/run.py``, ten CPU minutes for each target.
- ``versions``: runs the tests of ``make test`` with the Python and the packages
  that run this script; one row for each such set.
- ``load``: ``benchmarks/load.py`` for two hours; wants ``--source=<export>``
  and ``--data=<folder>``.

``--quick`` prints only, as does no ``--only``. The last line is JSON: faults
injected, tests that failed, fuzz executions and findings, and the slope of
memory under load in MB an hour.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from runs import ROOT, commit

from speechbrain_siamese.utils.whole_file import whole_file

RESULTS = ROOT / "benchmarks" / "results" / "reliability"
PAGE = ROOT / "docs" / "reliability.md"
#: Lines of the page around the tables.
BEGIN = "<!-- Written by benchmarks/reliability.py from here -->\n"
END = "\n<!-- to here -->"
TARGETS = ("decoding", "tables", "gallery", "config")
PACKAGES = (
    "torch",
    "torchaudio",
    "torchvision",
    "speechbrain",
    "numpy",
    "scipy",
    "scikit-learn",
    "librosa",
)


def tested(options: Sequence[str]) -> list[ElementTree.Element]:
    """Run tests; their cases as JUnit tells them."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "tests.xml"
        # As the Makefile does: two files at a time, each with one thread.
        command = [sys.executable, "-m", "pytest", "-n", "2"]
        subprocess.run(
            [*command, "--dist", "loadfile", f"--junitxml={told}", *options],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        return [*ElementTree.parse(told).getroot().iter("testcase")]


def outcome(case: ElementTree.Element) -> str:
    """Passed, failed or skipped."""
    found = {child.tag for child in case}
    if found & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in found else "passed"


def faults(
    options: argparse.Namespace | None, tests: Sequence[str] = ()
) -> dict:
    """A row for each fault that tests inject."""
    rows: dict[str, dict] = {}
    for case in tested(["-m", "fault", *tests]):
        told = {
            one.get("name"): one.get("value") for one in case.iter("property")
        }
        row = rows.setdefault(
            # A file of tests that cannot be imported tells nothing.
            told.get("fault", case.get("name")),
            {
                "outcome": told.get("outcome", "it did not run"),
                "kept": told.get("kept") == "True",
                "times": 0,
                "passed": 0,
                "failed": 0,
                "skipped": 0,
            },
        )
        ended = outcome(case)
        row[ended] += 1
        if ended != "skipped":
            row["times"] += int(told.get("times", 1))
    return {"commit": commit(), "faults": rows}


def fuzz(options: argparse.Namespace) -> dict:
    """A row for each target."""
    return {
        "commit": commit(),
        "targets": {target: fuzzed(target) for target in TARGETS},
    }


def fuzzed(target: str) -> dict:
    """Fuzz a target for ten minutes of its processor's time."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                sys.executable,
                str(ROOT / "tests" / "fuzz" / "run.py"),
                target,
                "600",
                f"-artifact_prefix={folder}/",
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        told = done.stdout + done.stderr
        print(told[-2000:])
        units = re.search(r"stat::number_of_executed_units:\s*(\d+)", told)
        used = re.search(r"([\d.]+) CPU-minutes, (\d+) MB", told)
        found = sorted(path.name for path in Path(folder).iterdir())
    if not used:
        sys.exit(f"fuzzing {target} ended early, with {done.returncode}")
    return {
        "executions": int(units[1]) if units else 0,
        "cpu_minutes": float(used[1]),
        "peak_mb": int(used[2]),
        "seeds": len([*(ROOT / "tests" / "fuzz" / "seeds" / target).iterdir()]),
        "findings": found,
    }


def versions(options: argparse.Namespace) -> dict:
    """Those recorded so far, and what runs this script."""
    path = RESULTS / "versions.json"
    rows = json.loads(path.read_text())["rows"] if path.is_file() else []
    own = {"Python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in PACKAGES
    }
    ends = [outcome(case) for case in tested([])]
    row = {
        "versions": own,
        "system": f"{platform.system()} {platform.machine()}",
        "commit": commit(),
        **{one: ends.count(one) for one in ("passed", "failed", "skipped")},
    }
    return {"rows": [*(one for one in rows if one["versions"] != own), row]}


def load(options: argparse.Namespace) -> dict:
    """Two hours of requests."""
    if not options.source or not options.data:
        sys.exit("load wants --source=<export> and --data=<folder>")
    begun = time.monotonic()
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "benchmarks" / "load.py"),
            f"--source={options.source}",
            f"--data={options.data}",
        ],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    print(done.stdout)
    return {
        "commit": commit(),
        "minutes": (time.monotonic() - begun) / 60,
        **json.loads(done.stdout.splitlines()[-1]),
    }


PARTS = {"faults": faults, "fuzz": fuzz, "versions": versions, "load": load}


def table(heading: str, rows: Sequence[Sequence]) -> str:
    """In Markdown."""
    columns = heading.split(" | ")
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def came_of(row: dict) -> tuple[str, str]:
    """What happened, and what was lost where the test compares that."""
    if row["failed"]:
        return f"{row['failed']} tests FAILED", "?"
    return row["outcome"], "none" if row["kept"] else "not compared"


def pages(records: dict[str, dict]) -> list[str]:
    """What stands in the page, of the records that there are."""
    found = []
    if "faults" in records:
        found.append(
            table(
                "fault | times injected | what came of it | data lost",
                [
                    (
                        what,
                        row["times"],
                        *came_of(row),
                    )
                    for what, row in records["faults"]["faults"].items()
                    if row["times"]
                ],
            )
        )
    if "fuzz" in records:
        found.append(
            table(
                "fuzzed | executions | CPU minutes | peak MB | findings",
                [
                    (
                        target,
                        f"{row['executions']:,}",
                        f"{row['cpu_minutes']:.1f}",
                        f"{row['peak_mb']:,}",
                        len(row["findings"]),
                    )
                    for target, row in records["fuzz"]["targets"].items()
                ],
            )
        )
    if "versions" in records:
        rows = records["versions"]["rows"]
        names = list(rows[0]["versions"])
        found.append(
            table(
                " | ".join(["system", *names, "passed", "failed", "skipped"]),
                [
                    (
                        row["system"],
                        *row["versions"].values(),
                        row["passed"],
                        row["failed"],
                        row["skipped"],
                    )
                    for row in rows
                ],
            )
        )
    if "load" in records:
        own = records["load"]
        found.append(
            table(
                "request | median | 95 % | 99 %",
                [
                    (kind, *(f"{value:.2f} s" for value in row.values()))
                    for kind, row in own["seconds"].items()
                ],
            )
            + f"\n\n{own['requests']:,} requests in {own['minutes']:.0f} "
            f"minutes, {own['failed']} failed; memory "
            f"{own['mb_per_hour']:+.1f} MB an hour "
            f"(± {own['mb_per_hour_error']:.1f}), open files "
            f"{own['open_files'][0]} at the begin and {own['open_files'][1]} "
            "at the end"
        )
    return found


def write_page(text: str) -> None:
    """Put the tables in the place of those in the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, behind = rest.partition(END)
    with whole_file(PAGE) as partial:
        partial.write_text(f"{before}{BEGIN}\n{text}\n{END}{behind}")


def main() -> None:
    """Print the tables; make a record first where one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--source")
    parser.add_argument("--data")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.only and not options.quick:
        made = PARTS[options.only](options)
        RESULTS.mkdir(parents=True, exist_ok=True)
        with whole_file(RESULTS / f"{options.only}.json") as partial:
            partial.write_text(json.dumps(made, indent=1) + "\n")
    records = {
        name: json.loads((RESULTS / f"{name}.json").read_text())
        for name in PARTS
        if (RESULTS / f"{name}.json").is_file()
    }
    text = "\n\n".join(pages(records))
    print(text)
    if options.only and not options.quick:
        write_page(text)
    rows = records.get("faults", {}).get("faults", {}).values()
    targets = records.get("fuzz", {}).get("targets", {}).values()
    print(
        json.dumps(
            {
                "faults": sum(row["times"] for row in rows),
                "failed": sum(row["failed"] for row in rows),
                "fuzz_executions": sum(row["executions"] for row in targets),
                "fuzz_findings": sum(len(row["findings"]) for row in targets),
                "mb_per_hour": records.get("load", {}).get("mb_per_hour"),
            }
        )
    )


if __name__ == "__main__":
    main()
