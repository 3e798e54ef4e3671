"""Hours of requests to one model from several threads: does anything grow?

> python benchmarks/load.py --source=<export> --data=<folder>

``<folder>`` holds ``clips/`` and ``protocol/unseen_speakers.txt``. The unseen
people are enrolled from two clips each. Then four threads, with one model
object and one gallery between them, ask for two hours (``--minutes``;
``--quick``: half a minute, in which memory is still being filled, so that its
slope is not told): nine in ten requests identify one of their other clips, the
tenth labels a minute of joined turns. Every answer is compared with
what one thread got before; another one, or an error, is told.

Resident memory and open files are noted ten times a minute (of Linux's /proc);
the first tenth is left out, in which caches fill. The slope is that of a
straight line through the rest, with twice its standard error. The last line is
JSON: the slope, open files at both ends, percentiles of the seconds that a
request took, requests, and how many of them failed.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from joined import clip_a_turn, clip_paths, trimmed, unseen_people
from scipy.stats import linregress

from speechbrain_siamese.inference.speaker import SiameseRecognition

SEED, THREADS, CLIPS, TALKS = 1986, 4, 40, 3
PERCENTILES = (50, 95, 99)


@dataclass
class Watched:
    """What was noted, by all threads."""

    started: float = field(default_factory=time.monotonic)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    #: Seconds since the start, MB, open files.
    samples: list[tuple[float, float, int]] = field(default_factory=list)

    def sample(self) -> None:
        """Note memory and files."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.samples.append(
            (
                time.monotonic() - self.started,
                pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
                len(os.listdir("/proc/self/fd")),
            )
        )


def answers(model, gallery, clips: list[Path], talks: list[Path]) -> dict:
    """Every request by its name, and what one thread gets."""

    def named(path: Path) -> Callable:
        return lambda: gallery.identify(path).name

    def labelled(path: Path) -> Callable:
        return lambda: [
            (round(one.start, 2), round(one.end, 2), one.speaker)
            for one in model.label(path, gallery)
        ]

    asked = {f"identify {path}": named(path) for path in clips}
    asked |= {f"label {path}": labelled(path) for path in talks}
    return {name: (ask, ask()) for name, ask in asked.items()}


def ask_on(seed: int, requests: dict, end: float, watched: Watched) -> None:
    """What one thread does until the time is over."""
    generator = np.random.default_rng([SEED, seed])
    by_kind = {
        kind: [name for name in requests if name.startswith(kind)]
        for kind in ("identify", "label")
    }
    while time.monotonic() < end:
        kind = "label" if generator.random() < 0.1 else "identify"
        name = by_kind[kind][generator.integers(len(by_kind[kind]))]
        ask, expected = requests[name]
        begun = time.perf_counter()
        try:
            found = ask()
        except Exception as error:
            watched.failed.append(f"{name}: {type(error).__name__}: {error}")
            continue
        watched.seconds.setdefault(kind, []).append(time.perf_counter() - begun)
        if found != expected:
            watched.failed.append(f"{name}: {found}, alone it was {expected}")


def prepare(model, data: Path, folder: Path) -> tuple:
    """A gallery of all unseen people, their other clips, joined turns."""
    rate = int(model.hparams.sample_rate)
    gallery = model.gallery(folder / "people.sqlite")
    people, left = unseen_people(data), []
    for name in people:
        clips = clip_paths(data, name)
        gallery.enroll(name, clips[:2])
        left += clips[2:]
    sounds = {
        name: [
            sound
            for path in clip_paths(data, name)
            if len(sound := trimmed(path, rate)) > 2 * rate
        ]
        for name in people
    }
    sounds = {name: own for name, own in sounds.items() if own}
    talks = []
    for number in range(TALKS):
        talk, _ = clip_a_turn(sounds, 60, rate, SEED + number)
        talks.append(folder / f"talk{number}.flac")
        soundfile.write(talks[-1], talk, rate)
    order = np.random.default_rng(SEED).permutation(len(left))
    asked = [left[place] for place in order[:CLIPS]]
    # Some clips are silent.
    usable, _ = model.embed_files(asked)
    return gallery, [path for path in asked if str(path) in usable], talks


def main() -> None:
    """Ask, watch, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    minutes = 0.5 if options.quick else options.minutes
    model = SiameseRecognition.from_hparams(source=options.source)
    with tempfile.TemporaryDirectory() as folder:
        gallery, clips, talks = prepare(model, options.data, Path(folder))
        requests = answers(model, gallery, clips, talks)
        watched = Watched()
        end = watched.started + 60 * minutes
        threads = [
            threading.Thread(target=ask_on, args=(n, requests, end, watched))
            for n in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            watched.sample()
            time.sleep(min(6.0, 2 * minutes))
    print_table(watched, minutes, options.quick)


def print_table(watched: Watched, minutes: float, quick: bool) -> None:
    """A row a kind of request, memory and files; then JSON."""
    settled = [one for one in watched.samples if one[0] > 6 * minutes]
    at, megabytes, files = np.array(settled).T
    line = linregress(at / 3600, megabytes)
    slope, error = float(line.slope), 2 * float(line.stderr)
    print(f"{THREADS} threads, {minutes:g} minutes")
    print("request    count" + "".join(f"{p:7} %" for p in PERCENTILES))
    latencies = {}
    for kind, seconds in sorted(watched.seconds.items()):
        own = np.percentile(seconds, PERCENTILES).tolist()
        latencies[kind] = dict(zip(map(str, PERCENTILES), own, strict=True))
        print(
            f"{kind:<9}{len(seconds):7}"
            + "".join(f"{one:7.2f} s" for one in own)
        )
    grown = f"resident memory {megabytes[0]:.0f} to {megabytes[-1]:.0f} MB"
    if not quick:
        grown += f", {slope:+.1f} MB an hour (+- {error:.1f})"
    print(grown)
    print(f"open files {files[0]:.0f} to {files[-1]:.0f}")
    for told in watched.failed[:10]:
        print(f"failed: {told}")
    print(
        json.dumps(
            {
                "mb_per_hour": None if quick else slope,
                "mb_per_hour_error": None if quick else error,
                "open_files": [int(files[0]), int(files[-1])],
                "seconds": latencies,
                "requests": sum(map(len, watched.seconds.values())),
                "failed": len(watched.failed),
            }
        )
    )


if __name__ == "__main__":
    main()
