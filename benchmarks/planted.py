"""Are planted mistakes of a corpus found?

> python benchmarks/planted.py --data=<folder> [--source=<export>]
>     [--packages=<folder>]

``--data`` as for designs.py; its ``raw/`` is copied with mistakes, once a seed:
three recordings change their folders, 20 s of somebody who has no folder are
put into three others, and one speaker gets two names. Prints how many of these
seven ``siamese audit`` lists in the first ten rows, with the encoders of
teachers.py (``--packages``) and an export (which may have been trained on
``raw/`` as it is, but not on these mistakes), and the seconds that it takes for
an hour of recordings. ``--quick`` takes 40 % of the speakers, the first seed
and the first encoder. The last line is JSON: of each encoder the share of
mistakes that are found, and seconds an hour.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from teachers import PACKAGES, TEACHERS

from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.corpus import clean_corpus
from speechbrain_siamese.dataio.decoding import decode
from speechbrain_siamese.dataio.recordings import find_recordings
from speechbrain_siamese.inference.audit import (
    RECORDING,
    TWO_NAMES,
    Suspect,
    audit,
)
from speechbrain_siamese.inference.speaker import SiameseRecognition
from speechbrain_siamese.inference.teacher import (
    Teacher,
    open_teacher,
    teacher_of,
)
from speechbrain_siamese.utils.whole_file import write_wav

SEEDS, RATE = (1986, 7, 42), 16000
SWAPPED, VISITED, GUEST_SECONDS, FIRST = 3, 3, 20.0, 10

#: Of the adverts at both ends.
SETTINGS = CleaningSettings(trim_start=12.0, trim_end=12.0)


@dataclass
class Planted:
    """What is wrong, as the audit would call it."""

    #: By its new place, whose recording it is.
    swapped: dict[str, str] = field(default_factory=dict)
    #: Seconds at which the guest begins.
    visited: dict[str, float] = field(default_factory=dict)
    two_names: tuple[str, str] = ("", "")

    def hit(self, one: Suspect) -> str | None:
        """Which kind of mistake a row of the audit tells, if it tells one."""
        if one.kind == TWO_NAMES:
            told = {one.speaker, one.like} == set(self.two_names)
            return "two_names" if told else None
        if one.kind == RECORDING:
            return "swapped" if one.recording in self.swapped else None
        begin = self.visited.get(one.recording, np.inf)
        inside = one.start < begin + GUEST_SECONDS and one.stop > begin
        return "visited" if inside else None

    def found(self, suspects: list[Suspect]) -> dict[str, int]:
        """How many mistakes of each kind stand in a list."""
        told = {(self.hit(one), one.recording) for one in suspects}
        kinds = Counter(kind for kind, _ in told)
        return {key: kinds[key] for key in ("swapped", "visited", "two_names")}


def plant(raw: Path, folder: Path, share: float, seed: int) -> Planted:
    """Copy a corpus with mistakes."""
    rng = np.random.default_rng(seed)
    recordings = find_recordings(raw)
    people: dict[str, list[Path]] = {}
    for one in recordings:
        people.setdefault(one.speaker, []).append(one.path)
    names = sorted(people)
    names = sorted(
        rng.choice(names, round(share * len(names)), replace=False).tolist()
    )
    # Guests have no folder; all others stay.
    guests = rng.choice(names, VISITED, replace=False).tolist()
    names = [name for name in names if name not in guests]
    for name in names:
        (folder / name).mkdir(parents=True)
        for path in people[name]:
            shutil.copy(path, folder / name / path.name)
    planted = Planted()
    # Who has three recordings and loses one still has two that are right.
    # Of those who have as many, others in each draw.
    rng.shuffle(names)
    several = sorted(names, key=lambda name: -min(3, len(people[name])))
    chosen = several[:SWAPPED]
    for name, place in zip(chosen, chosen[1:] + chosen[:1], strict=True):
        path = people[name][0]
        (folder / name / path.name).unlink()
        target = folder / place / f"from_elsewhere{path.suffix}"
        shutil.copy(path, target)
        planted.swapped[f"{place}/{target.name}"] = name
    split = several[SWAPPED]
    other = f"{split}b"
    (folder / other).mkdir()
    half = people[split][len(people[split]) // 2 :]
    for path in half:
        (folder / split / path.name).rename(folder / other / path.name)
    planted.two_names = (split, other)
    left = [name for name in several[SWAPPED + 1 :] if people[name]]
    for name, guest in zip(
        rng.choice(left, VISITED, replace=False).tolist(), guests, strict=True
    ):
        path = people[name][0]
        visited = folder / name / f"{path.stem}.wav"
        (folder / name / path.name).unlink()
        own, theirs = decode(path, RATE), decode(people[guest][0], RATE)
        begin = round(25 * RATE)  # behind the guest's own adverts
        stay = theirs[begin : begin + round(GUEST_SECONDS * RATE)]
        # As loud as who is visited.
        stay = stay * own.std() / stay.std()
        at = len(own) // 2
        sound = np.concatenate([own[:at], stay, own[at:]])
        whole = np.rint(32767 * sound.clip(-1, 1)).astype(np.int16)
        write_wav(visited, [whole], RATE)
        planted.visited[f"{name}/{visited.name}"] = at / RATE
    return planted


def export_encoder(source: str) -> Teacher:
    """An export as a listener."""
    return teacher_of(SiameseRecognition.from_hparams(source=source))


def main() -> None:
    """Plant, look, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--source", help="an export")
    parser.add_argument("--packages", default=PACKAGES)
    parser.add_argument("--rows", action="store_true", help="print them, too")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    encoders = {}
    if options.source:
        encoders["export"] = lambda folder: export_encoder(options.source)
    for name, kind in TEACHERS.items():
        encoders[name] = lambda folder, kind=kind: open_teacher(
            kind(options.packages), folder
        )
    seeds, share = SEEDS, 1.0
    if options.quick:
        first = next(iter(encoders))
        encoders, seeds, share = {first: encoders[first]}, SEEDS[:1], 0.4
    counts = {name: Counter() for name in encoders}
    print("seed  encoder      swapped  visited  two names  seconds an hour")
    for seed in seeds:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            planted = plant(options.data / "raw", folder / "raw", share, seed)
            prepared = folder / "prepared"
            cleaned, _ = clean_corpus(
                find_recordings(folder / "raw"),
                prepared / "clean",
                SETTINGS,
                n_jobs=2,
                progressbar=False,
            )
            hours = sum(one.raw_duration for one in cleaned) / 3600
            for name, make in encoders.items():
                started = time.perf_counter()
                rows = audit(make(folder), prepared).suspects[:FIRST]
                seconds = (time.perf_counter() - started) / hours
                found = planted.found(rows)
                counts[name].update(found, seconds=seconds)
                print(
                    f"{seed:<6}{name:<13}{found['swapped']:>2} of {SWAPPED}"
                    f"{found['visited']:>4} of {VISITED}"
                    f"{found['two_names']:>6} of 1{seconds:>17.0f}",
                    flush=True,
                )
                if options.rows:
                    print_rows(rows)
    most = len(seeds) * (SWAPPED + VISITED + 1)
    print(
        json.dumps(
            {
                name: {
                    "found": (own.total() - own["seconds"]) / most,
                    "seconds_per_hour": own["seconds"] / len(seeds),
                }
                for name, own in counts.items()
            }
        )
    )


def print_rows(rows: list[Suspect]) -> None:
    """What the audit lists first."""
    for row in rows:
        where = "" if row.start is None else f" at {row.start:.0f} s"
        print(
            f"    {row.suspicion:6.3f} {row.kind}: "
            f"{row.recording or row.speaker}{where} like {row.like}"
        )


if __name__ == "__main__":
    main()
