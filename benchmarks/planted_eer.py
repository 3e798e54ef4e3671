"""What mistakes in a corpus cost, and what is left once they are excluded.

> python benchmarks/planted_eer.py --data=<folder> [--minutes=6]

``--data`` as for designs.py. The main job is trained on ``raw/`` three times,
for the same time: with the mistakes of planted.py's first seed in it; without
those of them that stand in the first ten rows of ``siamese audit``, asked with
the export of that first training; without all of them. What is found is
excluded by ``exclude.csv``, and two names for one person become one folder, as
a user does. Prints the EER, with 95 % intervals over speakers, of each job's
own test (what it holds out of each recording, mistakes included) and of people
whom none has heard. Each finished run is recorded in
``benchmarks/results/planted/`` with the score of every trial; ``--quick``
trains nothing: it recomputes the table from the records. The last line is JSON:
of each run the EER of its own test, and on Malayalam and LibriSpeech.
"""

from __future__ import annotations

import argparse
import functools
import json
import shutil
from pathlib import Path

from designs import HELD_OUT, figures, held_out_trials
from planted import (
    FIRST,
    GUEST_SECONDS,
    SEEDS,
    Planted,
    export_encoder,
    plant,
)
from runs import ROOT, command, recorded, told_command, train

from speechbrain_siamese.inference.audit import (
    RECORDING,
    STRETCH,
    TWO_NAMES,
    Suspect,
    audit,
    write_suspects,
)
from speechbrain_siamese.inference.speaker import SiameseRecognition

RESULTS = ROOT / "benchmarks" / "results" / "planted"

#: With the mistakes; without what the audit finds; without all.
WITH, FOUND, NONE = "with", "without_found", "without_all"


def corpus(name: str, data: Path, folder: Path) -> tuple[Path, Planted]:
    """A copy of the corpus with this run's mistakes, made anew each time."""
    own = folder / f"{name}_corpus"
    shutil.rmtree(own, ignore_errors=True)
    planted = plant(data / "raw", own / "raw", 1.0, SEEDS[0])
    if name == FOUND:
        first = folder / WITH
        found = audit(export_encoder(str(first / "export")), first / "prepared")
        hits = [row for row in found.suspects[:FIRST] if planted.hit(row)]
        exclude(planted, hits, own / "raw")
    elif name == NONE:
        exclude(planted, all_rows(planted), own / "raw")
    return own, planted


def all_rows(planted: Planted) -> list[Suspect]:
    """The rows of an audit that misses nothing and is never wrong."""
    swaps = [
        Suspect(1.0, RECORDING, place.split("/")[0], name, place)
        for place, name in planted.swapped.items()
    ]
    visits = [
        Suspect(
            1.0, STRETCH, place.split("/")[0], "", place, at, at + GUEST_SECONDS
        )
        for place, at in planted.visited.items()
    ]
    return [*swaps, *visits, Suspect(1.0, TWO_NAMES, *planted.two_names)]


def exclude(planted: Planted, rows: list[Suspect], raw: Path) -> None:
    """Do what a user does who has listened to these rows."""
    first, other = (raw / name for name in planted.two_names)
    for row in rows:
        if row.kind == TWO_NAMES:
            for path in other.iterdir():
                path.rename(first / path.name)
            other.rmdir()
    told = [row for row in rows if row.kind != TWO_NAMES]
    write_suspects(told, raw / "exclude.csv")


def do(name: str, data: Path, folder: Path, minutes: float) -> dict:
    """Train, if that is not done, and score."""
    output = folder / name
    own, planted = corpus(name, data, folder)
    arguments = command(
        "siamese.yaml",
        own,
        output,
        minutes,
        HELD_OUT,
        clips=False,
        left_out=data / "protocol" / "unseen_speakers.txt",
    )
    usage = train(arguments, output)
    report = json.loads((output / "metrics.json").read_text())
    model = SiameseRecognition.from_hparams(source=str(output / "export"))
    rows = audit(
        export_encoder(str(output / "export")), output / "prepared"
    ).suspects
    return {
        "command": told_command(arguments, own, folder).replace(f"{data}/", ""),
        **usage,
        "minutes": report["training_minutes"],
        "steps": report["training_steps"],
        "data": report["data"]["train"],
        "found": planted.found(rows[:FIRST]),
        "decision": report["decision"],
        "measure": model.hparams.measure,
        "trials": held_out_trials(model, output, data),
    }


def main() -> None:
    """Train what is not recorded yet, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("results/planted"))
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.data is None and not options.quick:
        parser.error("--data is needed to train")
    print(
        "run              found    steps  EER, own test          "
        "EER, Malayalam         EER, LibriSpeech"
    )
    table = {}
    for name in (WITH, FOUND, NONE):
        make = None
        if not options.quick:
            make = functools.partial(
                do,
                name,
                options.data.resolve(),
                options.work.resolve(),
                options.minutes,
            )
        record = recorded(RESULTS / f"{name}.json", make, options.minutes)
        if record is None:
            continue
        found = figures(record)
        shown = [found[key] for key in ("time", "unseen ml", "unseen ls")]
        cells = [
            f"{100 * one['eer']:.1f} % ({100 * one['interval'][0]:.1f} to "
            f"{100 * one['interval'][1]:.1f})"
            for one in shown
        ]
        print(
            f"{name:<17}{sum(record['found'].values())} of 7"
            f"{record['steps']:>9}  "
            + "".join(cell.ljust(23) for cell in cells),
            flush=True,
        )
        table[name] = {
            key: one["eer"]
            for key, one in zip(("own", "ml", "ls"), shown, strict=True)
        }
    print(json.dumps(table))


if __name__ == "__main__":
    main()
