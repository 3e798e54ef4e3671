"""How much of adverts and jingles goes without fixed cuts, and of the voice.

> python benchmarks/adverts.py --data=<folder>

``<data>/raw`` as for cleaning.py, 12 s of music at both ends of each recording;
``trim_start`` and ``trim_end`` are 0. Each way cleans the corpus as training
does. Shares of seconds of adverts that are gone, of voiced seconds that are
lost, and seconds of work (2 cores) for an hour of recordings. ``--quick`` takes
a third of the speakers. The last line is JSON: the figures of
``cut_recurring`` with Silero's voice activity detection.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from cleaning import figures, read_truth

from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.corpus import clean_corpus
from speechbrain_siamese.dataio.recordings import find_recordings

BOTH = "what recurs, and Silero's VAD"
WAYS = {
    "by level alone": CleaningSettings(),
    "what recurs": CleaningSettings(cut_recurring=True),
    "Silero's VAD": CleaningSettings(vad="silero"),
    BOTH: CleaningSettings(cut_recurring=True, vad="silero"),
}


def measure(raw: Path, settings: CleaningSettings, every: int) -> dict:
    """Figures of one way."""
    recordings = find_recordings(raw)
    speakers = sorted({one.speaker for one in recordings})[::every]
    chosen = [one for one in recordings if one.speaker in speakers]
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        cleaned, rejected = clean_corpus(
            chosen, folder, settings, n_jobs=2, progressbar=False
        )
    seconds = time.perf_counter() - started
    name = {one.session: "/".join(one.path.parts[-2:]) for one in recordings}
    kept = {name[one.recording.session]: one.kept for one in cleaned}
    kept |= {name[one.recording.session]: [] for one in rejected}
    found = figures(kept, read_truth(raw))
    hours = sum(one.raw_duration for one in cleaned) / 3600
    return {
        "advert_gone": found["advert_gone"],
        "voiced_lost": 1 - found["voiced_kept"],
        "seconds_per_hour": seconds / hours,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    print("way                              adverts gone  voice lost  s per h")
    found = {}
    for name, settings in WAYS.items():
        own = found[name] = measure(
            options.data / "raw", settings, 3 if options.quick else 1
        )
        print(
            f"{name:<33}{100 * own['advert_gone']:10.1f} %"
            f"{100 * own['voiced_lost']:10.1f} %"
            f"{own['seconds_per_hour']:9.1f}",
            flush=True,
        )
    print(json.dumps(found[BOTH]))


if __name__ == "__main__":
    main()
