"""Where the speaker changes: ours beside BIC, other encoders, and chance.

> python benchmarks/changes.py --source=<export> --data=<folder>

``<folder>`` holds ``clips/``, ``protocol/unseen_speakers.txt`` and
``changes/*.flac`` with ``*.rttm``. 30 minutes of turns are joined from clips
of the unseen speakers, 2 to 10 s each, without overlap, seed 1986; silence at
the clips' ends is cut off, as a recording's editor would, which leaves 0.1 s.
In ``joined`` a turn is a part of one clip, in ``several`` as many clips of one
person as it takes. ``--quick`` joins 3 minutes.

``ours`` is what ``detect_changes`` does; ``distance`` that of adjacent windows
of 2 s alone, by our encoder and by those of ``benchmarks/teachers.py``, if they
are there; ``BIC`` the criterion alone; ``neighbours`` asks the 5 borders that
are most alike in all features (kNN); ``random`` places as many changes as there
are. Thresholds other than ours are chosen on as many turns of the other
speakers in ``clips/``.

Precision, recall and F1 within 0.5 and 0.25 s; purity and coverage of the
segments, and the best coverage of all thresholds whose segments are 91 % pure
(``never``: none are).
The last line is JSON: all of it.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from joined import (
    clip_a_turn,
    clip_paths,
    clips_a_turn,
    heard_people,
    trimmed,
    unseen_people,
)
from scipy.ndimage import gaussian_filter1d
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from teachers import PACKAGES, RATE, TEACHERS

from speechbrain_siamese.dataio.decoding import decode
from speechbrain_siamese.inference.changes import border_times, find_borders
from speechbrain_siamese.inference.long_files import SpeechFrames
from speechbrain_siamese.inference.speaker import SiameseRecognition
from speechbrain_siamese.processing.changes import (
    GRID,
    SMOOTH,
    adjacent_distances,
    change_peaks,
    threshold_for,
)
from speechbrain_siamese.utils.change_metrics import (
    between_changes,
    change_figures,
    purity,
)

SEED = 1986

#: Seconds by which a change may be missed.
TOLERANCES = 0.5, 0.25

#: Of ``border_features``: distance and BIC of the long windows, smoothed.
DISTANCE, BIC = 5, 7


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
        self.sound, self.hop, self.borders = sound, model.hop, borders
        self.places = speech.keep.nonzero()[:, 0].cpu().numpy()

    def peaks(self, values):
        """Seconds and heights of the peaks of what borders got."""
        positions, heights = change_peaks(values, GRID)
        return self.times[positions], heights


def joined(model, speakers, data, seconds, join=clip_a_turn):
    """Turns of the speakers' clips."""
    rate = model.audio_normalizer.sample_rate
    clips = {
        name: [trimmed(path, rate) for path in clip_paths(data, name)]
        for name in speakers
    }
    return Recording(model, *join(clips, seconds, rate, SEED))


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


class Way:
    """A way to find changes: peaks of some value, above a threshold."""

    def __init__(self, value, limit=None, others=None):
        self.value = value
        if limit is None:
            limit = threshold_for(*self.peaks(others), np.array(others.truth))
        self.limit = limit

    def peaks(self, recording):
        """Seconds and heights of what may be a change."""
        return recording.peaks(self.value(recording))

    def __call__(self, recording, limit=None):
        """Seconds of the changes."""
        times, heights = self.peaks(recording)
        return times[heights > (self.limit if limit is None else limit)]


class Chance(Way):
    """As many changes as there are, anywhere."""

    def __init__(self):
        self.limit = 0.0

    def peaks(self, recording):
        rng = np.random.default_rng(SEED)
        count = 20 * len(recording.truth)
        times = np.sort(rng.uniform(0, recording.seconds, count))
        # A twentieth of the heights is above 0.
        return times, rng.permutation(count) - (19 * count // 20 - 0.5)


def teacher_distance(encoder):
    """Distance of adjacent windows of 2 s by another encoder."""

    @functools.cache
    def value(recording):
        hop = round(recording.hop * RATE)
        starts = recording.places[:, None] * hop + np.arange(hop)
        speech = np.pad(recording.sound, (0, hop))[starts].reshape(-1)
        windows = torch.from_numpy(speech).unfold(0, 2 * RATE, 20 * hop)
        embeddings = torch.cat([encoder(lot) for lot in windows.split(64)])
        unit = torch.nn.functional.normalize(embeddings, dim=-1).numpy()
        step = 20 * recording.hop
        lag = round(2 / step)
        if len(unit) <= lag:
            # Too short for two windows: nothing is known.
            return np.zeros(len(recording.borders))
        distances = adjacent_distances(unit, lag)
        smooth = gaussian_filter1d(distances, SMOOTH / step)
        at = 2 / recording.hop + 20 * np.arange(len(smooth))
        return np.interp(recording.borders, at, smooth)

    return value


def ways(model, others, packages):
    """Each way by its name; thresholds of most are chosen on the others."""
    own = model.change_model
    scaler = StandardScaler().fit(others.features)
    near = np.abs(others.times[:, None] - np.array(others.truth)[None])
    neighbours = KNeighborsClassifier(5).fit(
        scaler.transform(others.features), near.min(axis=1) < 0.25
    )

    def ours(one):
        return own.logits(one.features)

    def by_neighbours(one):
        return neighbours.predict_proba(scaler.transform(one.features))[:, 1]

    found = {
        "ours": Way(ours, own.threshold),
        "ours, recall 0.95": Way(ours, own.threshold_at(0.95)),
        "distance": Way(lambda one: one.features[:, DISTANCE], others=others),
        "BIC": Way(lambda one: one.features[:, BIC], others=others),
        "neighbours": Way(by_neighbours, others=others),
        "random": Chance(),
    }
    for name, teacher in TEACHERS.items():
        try:
            encoder = teacher(packages)
        except ValueError as error:
            print(f"no row for {name}: {error}")
            continue
        value = teacher_distance(encoder)
        found[f"distance, {name}"] = Way(value, others=others)
    return found


def segments_of(way, recordings, limit=None):
    """Purity and coverage of all recordings."""
    sums = np.zeros(4)
    for one in recordings:
        ours = between_changes(way(one, limit), 0.0, one.seconds)
        truth = between_changes(one.truth, 0.0, one.seconds)
        sums += [*purity(ours, truth), *purity(truth, ours)]
    return sums[0] / sums[1], sums[2] / sums[3]


def coverage_at(way, recordings, wanted=0.91):
    """Best coverage of a threshold whose segments are that pure, if any."""
    heights = np.concatenate([way.peaks(one)[1] for one in recordings])
    limits = np.quantile(heights, np.linspace(0, 1, 60))
    pairs = [segments_of(way, recordings, limit) for limit in limits]
    return max((own for pure, own in pairs if pure >= wanted), default=None)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--packages", default=PACKAGES)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    model = SiameseRecognition.from_hparams(
        source=options.source, run_opts={"precision": options.precision}
    )
    unseen = unseen_people(options.data)
    seconds = 180 if options.quick else 1800
    others = joined(model, heard_people(options.data), options.data, seconds)
    sets = {
        "joined": [joined(model, unseen, options.data, seconds)],
        "several": [joined(model, unseen, options.data, seconds, clips_a_turn)],
        "changes/": given(model, options.data),
    }
    one = sets["joined"][0]
    print(
        f"{len(one.truth)} changes in {one.seconds / 60:.1f} minutes, looked "
        f"at {one.seconds / one.cost:.0f} times as fast as they last; "
        f"{len(sets['changes/'])} recordings in changes/\n"
        f"{'':35}  within 0.5 s             within 0.25 s\n"
        f"{'recordings':<12}{'way':<23}"
        f"{2 * '  precision  recall     F1'}  purity  coverage"
        "  coverage at 91 % purity"
    )
    figures = defaultdict(dict)
    found = ways(model, others, options.packages)
    for title, recordings in sets.items():
        for name, way in found.items():
            pairs = [(way(one), one.truth) for one in recordings]
            row = figures[title][name] = {}
            told = ""
            for tolerance in TOLERANCES:
                within = change_figures(pairs, tolerance)
                values = within.precision, within.recall, within.f1
                row[f"within_{tolerance}"] = dict(
                    zip(("precision", "recall", "f1"), values, strict=True)
                )
                told += "{:11.2f}{:8.2f}{:7.3f}".format(*values)
            pure, covered = segments_of(way, recordings)
            best = coverage_at(way, recordings)
            row |= {
                "purity": pure,
                "coverage": covered,
                "coverage_at_91_purity": best,
            }
            print(
                f"{title:<12}{name:<23}{told}{pure:8.2f}{covered:10.2f}"
                + ("never" if best is None else f"{best:.2f}").rjust(25)
            )
    print(json.dumps(figures))


if __name__ == "__main__":
    torch.manual_seed(SEED)
    main()
