"""How much advert, pause and voice different cleaning settings keep.

Needs recordings of which it is known what is advert, pause and voice:
``<data>/raw/<speaker>/<recording>`` with ``raw/truth.csv`` (recording, start,
stop, kind: advert, pause or speech) and ``raw/voiced.csv`` (recording, start,
stop: where a voice activity detector hears speech). ``<data>/noise`` has the
noise that is mixed in, so many dB below the voice.

Run: ``python benchmarks/cleaning.py --data <data> [--quick]``. Prints a table
and, as the last line, the recommended setting's figures as JSON, without
noise.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from speechbrain_siamese.dataio.cleaning import (
    CleaningSettings,
    between_cuts,
)
from speechbrain_siamese.dataio.decoding import decode
from speechbrain_siamese.dataio.voice_activity import voice_finder

Stretches = Sequence[tuple[float, float]]

RECOMMENDED = CleaningSettings()
SETTINGS = {
    "recommended": RECOMMENDED,
    "35 dB below own level": dataclasses.replace(
        RECOMMENDED, silence_threshold=-35.0
    ),
    "25 dB below own level": dataclasses.replace(
        RECOMMENDED, silence_threshold=-25.0
    ),
    "Silero VAD": dataclasses.replace(RECOMMENDED, vad="silero"),
    "-40 dBFS": dataclasses.replace(
        RECOMMENDED, silence_threshold=-40.0, silence_relative=False
    ),
    "-30 dBFS (2023)": dataclasses.replace(
        RECOMMENDED,
        silence_threshold=-30.0,
        silence_relative=False,
        min_silence=0.1,
    ),
}
NOISY = ("recommended", "Silero VAD")
SNRS = (10.0, 0.0)
"""dB of the voice above the noise that is mixed in."""

CUTS = (0.0, 12.0, 20.0)
ADVERT_SECONDS = 12.0
"""Seconds of music at both ends of the recordings."""


def read_truth(raw: Path) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Stretches in seconds by recording and kind.

    Arguments
    ---------
    raw : Path
        Folder with ``truth.csv`` and ``voiced.csv``.

    Returns
    -------
    dict[str, dict[str, list[tuple[float, float]]]]
        For every recording (path relative to ``raw``) the stretches of
        ``advert``, ``pause``, ``speech`` and ``voiced``.
    """
    truth: dict = defaultdict(lambda: defaultdict(list))
    for name in ("truth.csv", "voiced.csv"):
        with open(raw / name, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                truth[row["recording"]][row.get("kind", "voiced")].append(
                    (float(row["start"]), float(row["stop"]))
                )
    return truth


def overlap(kept: Stretches, wanted: Stretches) -> float:
    """Seconds of the wanted stretches that are kept.

    Arguments
    ---------
    kept, wanted : Sequence[tuple[float, float]]
        Start and stop in seconds, without overlap among themselves.

    Returns
    -------
    float
        Seconds.

    Example
    -------
    >>> overlap([(0.0, 2.0), (3.0, 5.0)], [(1.0, 4.0)])
    2.0
    """
    return float(
        sum(
            max(0.0, min(stop, b) - max(start, a))
            for a, b in wanted
            for start, stop in kept
        )
    )


def figures(
    kept: dict[str, Stretches], truth: dict[str, dict[str, Stretches]]
) -> dict[str, float]:
    """Shares of seconds over a whole corpus.

    Arguments
    ---------
    kept : dict[str, Sequence[tuple[float, float]]]
        For every recording the stretches that cleaning keeps, in seconds of
        the original.
    truth : dict[str, dict[str, Sequence[tuple[float, float]]]]
        As ``read_truth`` gives it.

    Returns
    -------
    dict[str, float]
        ``advert_gone``, ``voiced_kept``, ``pause_gone`` and ``hush_gone``
        (what lies inside speech clips without being voiced), 0 to 1.
    """
    total, left = Counter(), Counter()
    for recording, stretches in kept.items():
        for kind, wanted in truth[recording].items():
            total[kind] += sum(stop - start for start, stop in wanted)
            left[kind] += overlap(stretches, wanted)
    hush = (left["speech"] - left["voiced"]) / (
        total["speech"] - total["voiced"]
    )
    return {
        "advert_gone": 1 - left["advert"] / total["advert"],
        "voiced_kept": left["voiced"] / total["voiced"],
        "pause_gone": 1 - left["pause"] / total["pause"],
        "hush_gone": 1 - hush,
    }


def clean(
    samples: np.ndarray, settings: CleaningSettings
) -> list[tuple[float, float]]:
    """Stretches of one recording that the settings keep, in seconds."""
    rate = settings.sample_rate
    first, last = between_cuts(len(samples), settings)
    finder = voice_finder(settings)
    finder.add(samples[first:last])
    found = finder.voiced(last - first)
    return [
        ((start + first) / rate, (stop + first) / rate) for start, stop in found
    ]


def mix(
    samples: np.ndarray,
    noise: np.ndarray,
    voiced: Stretches,
    rate: int,
    snr: float,
) -> np.ndarray:
    """Add noise, repeated as often as it takes, below the voiced stretches.

    Arguments
    ---------
    samples, noise : np.ndarray
        (samples,) each, at the same rate.
    voiced : Sequence[tuple[float, float]]
        Seconds whose level counts.
    rate : int
        Hz.
    snr : float
        dB of those above the noise.

    Returns
    -------
    np.ndarray
        As long as ``samples``.
    """
    heard = np.concatenate(
        [samples[round(a * rate) : round(b * rate)] for a, b in voiced]
    )
    noise = np.resize(noise, len(samples))
    scale = heard.std() / noise.std() / 10 ** (snr / 20)
    return samples + (scale * noise).astype(np.float32)


def measure(
    data: Path,
    settings: dict[str, CleaningSettings],
    every: int = 1,
    snr: float | None = None,
) -> dict[str, dict[str, float]]:
    """Figures of several settings, each recording decoded once.

    Arguments
    ---------
    data : Path
        Folder that holds ``raw``.
    settings : dict[str, CleaningSettings]
        By name; all of one sample rate.
    every : int
        Take every n-th recording only.
    snr : float or None
        dB of the voice above noise that is mixed in; the noises of
        ``<data>/noise`` take turns.

    Returns
    -------
    dict[str, dict[str, float]]
        What ``figures`` gives, by name of the settings.
    """
    raw = Path(data) / "raw"
    truth = read_truth(raw)
    rate = next(iter(settings.values())).sample_rate
    kept: dict = {name: {} for name in settings}
    noises = []
    if snr is not None:
        files = sorted((Path(data) / "noise").glob("*.flac"))
        noises = [decode(file, rate) for file in files]
    for number, recording in enumerate(sorted(truth)[::every]):
        samples = decode(raw / recording, rate)
        if noises:
            noise = noises[number % len(noises)]
            voiced = truth[recording]["voiced"]
            samples = mix(samples, noise, voiced, rate, snr)
        for name, setting in settings.items():
            kept[name][recording] = clean(samples, setting)
    return {name: figures(kept[name], truth) for name in settings}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--quick", action="store_true", help="every eighth recording only"
    )
    arguments = parser.parse_args()
    every = 8 if arguments.quick else 1
    rows = {
        (name, cut): dataclasses.replace(setting, trim_start=cut, trim_end=cut)
        for name, setting in SETTINGS.items()
        for cut in CUTS
        # The network is slow, and the other cuts say nothing new of it.
        if setting.vad is None or cut == ADVERT_SECONDS
    }
    noisy = {
        key: row
        for key, row in rows.items()
        if key[0] in NOISY and key[1] == ADVERT_SECONDS
    }
    print(
        f"{'silence threshold':<24}{'cuts':>6}{'SNR':>6}{'advert':>9}"
        f"{'voiced':>9}{'pause':>9}{'hush':>9}\n"
        f"{'':<24}{'s':>6}{'dB':>6}{'gone %':>9}{'kept %':>9}{'gone %':>9}"
        f"{'gone %':>9}"
    )
    results = {}
    for snr in (None, *SNRS):
        chosen = rows if snr is None else noisy
        results[snr] = measure(arguments.data, chosen, every, snr)
        for (name, cut), result in results[snr].items():
            shares = "".join(f"{100 * share:9.2f}" for share in result.values())
            told = "clean" if snr is None else f"{snr:.0f}"
            print(f"{name:<24}{cut:6.0f}{told:>6}{shares}", flush=True)
    best = results[None]["recommended", ADVERT_SECONDS]
    keys = ("advert_gone", "voiced_kept", "pause_gone")
    print(json.dumps({key: round(best[key], 4) for key in keys}))


if __name__ == "__main__":
    main()
