"""Where the speaker changes: ours beside BIC, neighbours and chance.

> python benchmarks/changes.py --source=<export> --data=<folder>

``<folder>`` holds ``clips/``, ``protocol/unseen_speakers.txt`` and
``changes/*.flac`` with ``*.rttm``. 30 minutes of turns are joined from clips
of the unseen speakers: of one clip each, 2 to 10 s of it, without overlap,
seed 1986; silence at the clips' ends is cut off, as a recording's editor
would, which leaves 0.1 s. Thresholds of the other rows are chosen on as many
turns of the other speakers in ``clips/``. ``--quick`` joins 3 minutes.

``ours`` is ``detect_changes``; ``distance`` that of adjacent windows of 2 s
alone, ``BIC`` likewise. ``neighbours`` asks the 5 borders of those other turns
that are most alike in all features (kNN); ``random`` places as many changes as
there are. Precision, recall and F1 within 0.5 s, F1 within 0.25 s; purity and
coverage of the segments. The last line is JSON: F1 at 0.5 s of each row.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from speechbrain_siamese.dataio.cleaning import (
    CleaningSettings,
    StepSums,
    voiced_stretches,
)
from speechbrain_siamese.dataio.decoding import decode
from speechbrain_siamese.dataio.turns import joined_turns
from speechbrain_siamese.inference.changes import border_times, find_borders
from speechbrain_siamese.inference.long_files import SpeechFrames
from speechbrain_siamese.inference.speaker import SiameseRecognition
from speechbrain_siamese.processing.changes import (
    GRID,
    change_peaks,
    threshold_for,
)
from speechbrain_siamese.utils.change_metrics import (
    between_changes,
    change_figures,
    purity,
)

SEED = 1986

#: Of ``border_features``: distance and BIC of the long windows, smoothed.
DISTANCE, BIC = 5, 7


def trimmed(path: Path, rate: int) -> np.ndarray:
    """A clip without the silence at its ends."""
    sound = decode(path, rate)
    settings = CleaningSettings(sample_rate=rate)
    sums = StepSums(settings.seek_samples)
    sums.add(sound)
    found = voiced_stretches(sums.whole(), len(sound), settings)
    return sound[found[0][0] : found[-1][1]] if found else sound[:0]


class Recording:
    """Sound with known changes, and what our encoder hears at its borders."""

    def __init__(self, model, sound, turns):
        self.turns = turns
        self.truth = [start for start, _, _ in turns[1:]]
        self.seconds = len(sound) / model.audio_normalizer.sample_rate
        encoder = model.mods.embedding_model
        started = time.perf_counter()
        with model.inference_ctx:
            speech = SpeechFrames(
                lambda: [sound],
                model.mods.compute_features,
                encoder,
                model.device,
            )
            borders, self.features = find_borders(speech, encoder, model.hop)
        self.cost = time.perf_counter() - started
        self.times = border_times(speech.keep, borders, model.hop)

    def peaks(self, values):
        """Seconds and heights of the peaks of what borders got."""
        positions, heights = change_peaks(values, GRID)
        return self.times[positions], heights


def joined(model, speakers, data, seconds):
    """Turns of the speakers' clips."""
    rate = model.audio_normalizer.sample_rate
    clips = {
        name: [
            trimmed(path, rate)
            for path in sorted((data / "clips" / name).iterdir())
        ]
        for name in speakers
    }
    sound, turns = joined_turns(
        {name: [len(clip) for clip in own] for name, own in clips.items()},
        lambda name, number, start, stop: clips[name][number][start:stop],
        seconds,
        rate,
        SEED,
    )
    return Recording(model, sound, turns)


def given(model, data):
    """The recordings of two voices that overlap at the change."""
    found = []
    for path in sorted((data / "changes").glob("*.rttm")):
        lines = [line.split() for line in path.read_text().splitlines()]
        turns = sorted(
            (float(line[3]), float(line[3]) + float(line[4]), line[7])
            for line in lines
        )
        sound = decode(
            path.with_suffix(".flac"), model.audio_normalizer.sample_rate
        )
        found.append(Recording(model, sound, turns))
        # Both speak there: the change is in the middle of it.
        found[-1].truth = [
            (end + start) / 2
            for (_, end, _), (start, _, _) in itertools.pairwise(turns)
        ]
    return found


def rows(model, others):
    """Each way as a function from a recording to its changes."""

    def tuned(value):
        limit = threshold_for(
            *others.peaks(value(others)), np.array(others.truth)
        )

        def detect(recording):
            times, heights = recording.peaks(value(recording))
            return times[heights > limit]

        return detect

    own = model.change_model

    def ours(recall):
        def detect(recording):
            times, heights = recording.peaks(own.logits(recording.features))
            return times[heights > own.threshold_at(recall)]

        return detect

    scaler = StandardScaler().fit(others.features)
    near = np.abs(others.times[:, None] - np.array(others.truth)[None])
    neighbours = KNeighborsClassifier(5).fit(
        scaler.transform(others.features), near.min(axis=1) < 0.25
    )

    def by_neighbours(recording):
        return neighbours.predict_proba(scaler.transform(recording.features))[
            :, 1
        ]

    def chance(recording):
        rng = np.random.default_rng(SEED)
        return np.sort(rng.uniform(0, recording.seconds, len(recording.truth)))

    return {
        "ours": ours(None),
        "ours, recall 0.95": ours(0.95),
        "distance": tuned(lambda one: one.features[:, DISTANCE]),
        "BIC": tuned(lambda one: one.features[:, BIC]),
        "neighbours": tuned(by_neighbours),
        "random": chance,
    }


def segments_of(found, recording):
    """Purity and coverage, as seconds and the whole."""
    ours = between_changes(found, 0.0, recording.seconds)
    truth = between_changes(recording.truth, 0.0, recording.seconds)
    return np.array([*purity(ours, truth), *purity(truth, ours)])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    model = SiameseRecognition.from_hparams(
        source=options.source, run_opts={"precision": options.precision}
    )
    unseen = (options.data / "protocol/unseen_speakers.txt").read_text().split()
    everybody = [
        p.name for p in (options.data / "clips").iterdir() if p.is_dir()
    ]
    heard = sorted(set(everybody) - set(unseen))
    seconds = 180 if options.quick else 1800
    joined_unseen = joined(model, unseen, options.data, seconds)
    others = joined(model, heard, options.data, seconds)
    sets = {
        "joined": [joined_unseen],
        "changes/": given(model, options.data),
    }
    print(
        f"{len(joined_unseen.truth)} changes in "
        f"{joined_unseen.seconds / 60:.1f} minutes, looked at "
        f"{joined_unseen.seconds / joined_unseen.cost:.0f} times as fast as "
        f"they last; {len(sets['changes/'])} recordings in changes/\n"
        "recordings  way                 precision  recall     F1  F1, 0.25 s"
        "  purity  coverage"
    )
    figures = defaultdict(dict)
    for title, recordings in sets.items():
        for name, detect in rows(model, others).items():
            found = [(detect(one), one.truth) for one in recordings]
            wide, narrow = (change_figures(found, own) for own in (0.5, 0.25))
            pure, of_ours, covered, of_truth = sum(
                segments_of(own, one)
                for (own, _), one in zip(found, recordings, strict=True)
            )
            figures[title][name] = wide.f1
            print(
                f"{title:<12}{name:<20}{wide.precision:9.2f}{wide.recall:8.2f}"
                f"{wide.f1:7.3f}{narrow.f1:12.3f}{pure / of_ours:8.2f}"
                f"{covered / of_truth:10.2f}"
            )
    print(json.dumps(figures))


if __name__ == "__main__":
    torch.manual_seed(SEED)
    main()
