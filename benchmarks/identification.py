"""Who of the enrolled speaks, or nobody of them.

> python benchmarks/identification.py --source=<export> --data=<folder>

``<folder>`` holds ``clips/`` and ``protocol/unseen_speakers.txt``. Each draw
(10 of them, seeds from 1986 on; ``--quick``: 2) leaves 10 unseen speakers out
of the gallery and enrols the others from their first clips in random order
that hold 5, 10 or 30 s together, one at least being left to ask about; beside
them ``--others`` (200) other speakers of ``clips/`` with a clip each. All other
clips of the unseen speakers are asked about. A name is given with the export's
threshold of pairs (``pairs``), where the best is more probable than all others
and nobody together (``likely``), and with the threshold at which as many are
accepted falsely as are rejected falsely (``equal``).

``first``: the right person has the highest score, of those enrolled. ``named``:
and passes the threshold. ``false reject``: enrolled, and called unknown;
``wrong name``: enrolled, and called another. ``false accept``: not enrolled,
and given a name. Means over all clips of all draws. The last line is JSON:
these figures by seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from joined import clip_paths, heard_people, unseen_people

from speechbrain_siamese.inference.gallery import Gallery
from speechbrain_siamese.inference.speaker import SiameseRecognition
from speechbrain_siamese.utils.metrics import eer

SEED, UNKNOWN = 1986, 10


@dataclass
class Answers:
    """Of the clips that were asked about."""

    seconds: list[float] = field(default_factory=list)
    enrolled: list[bool] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    worth: list[float] = field(default_factory=list)
    likely: list[float] = field(default_factory=list)

    def figures(self, named: np.ndarray) -> dict[str, float]:
        """Shares, with these clips given a name."""
        enrolled, right = np.array(self.enrolled), np.array(self.right)
        return {
            "first": right[enrolled].mean(),
            "named": (right & named)[enrolled].mean(),
            "wrong name": (~right & named)[enrolled].mean(),
            "false reject": (~named)[enrolled].mean(),
            "false accept": named[~enrolled].mean(),
        }


def enrol(gallery: Gallery, name: str, paths: list[Path], wanted: float):
    """Enrol from as many clips as it takes; gives those that are left."""
    seconds, used = 0.0, 0
    while used < len(paths) - 1 and seconds < wanted:
        # Some of the clips are silent.
        with contextlib.suppress(ValueError):
            seconds += gallery.enroll(name, paths[used]).seconds
        used += 1
    return seconds, paths[used:]


def ask(gallery, embeddings, paths, name, enrolled, answers):
    """Ask about clips of one person."""
    for path in paths:
        if str(path) not in embeddings:
            continue
        found = gallery.identify_embedding(embeddings[str(path)], top=1)
        best = found.candidates[0]
        answers.enrolled.append(enrolled)
        answers.right.append(best.name == name)
        answers.worth.append(best.worth)
        answers.likely.append(best.probability)


def draw(model, data, embeddings, folder, seed, beside, all_answers):
    """One choice of who is enrolled, and from which clips."""
    generator = np.random.default_rng(seed)
    people = generator.permutation(unseen_people(data)).tolist()
    members = people[UNKNOWN:]
    clips = {
        name: [
            clip_paths(data, name)[number]
            for number in generator.permutation(len(clip_paths(data, name)))
        ]
        for name in people
    }
    gallery = model.gallery(folder / f"{seed}.sqlite")
    others = generator.permutation(heard_people(data))[:beside].tolist()
    for name in others:
        gallery.enroll(name, clip_paths(data, name)[0])
    for wanted, answers in all_answers.items():
        left = {}
        for name in members:
            seconds, rest = enrol(gallery, name, clips[name], wanted)
            if seconds:  # who has a single clip is asked about only
                left[name] = rest
                answers.seconds.append(seconds)
        for name in people:
            own = left.get(name, clips[name])
            enrolled = name in left
            ask(gallery, embeddings, own, name, enrolled, answers)
        for name in left:
            gallery.remove(name)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--others", type=int, default=200)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    model = SiameseRecognition.from_hparams(source=options.source)
    unseen = unseen_people(options.data)
    embeddings, unusable = model.voices_of_files(
        [path for name in unseen for path in clip_paths(options.data, name)]
    )
    for path, reason in unusable.items():
        print(f"left out: {path}: {reason}")
    all_answers = {wanted: Answers() for wanted in (5, 10, 30)}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(2 if options.quick else 10):
            draw(
                model,
                options.data,
                embeddings,
                Path(folder),
                SEED + number,
                options.others,
                all_answers,
            )
    decision = model.normalised_decision or model.decision
    print(
        f"enrolment  seconds  threshold   {'first':>7}{'named':>7}"
        f"{'wrong name':>12}{'false reject':>14}{'false accept':>14}"
    )
    found = defaultdict(dict)
    for wanted, answers in all_answers.items():
        worth = np.array(answers.worth)
        labels = np.array(answers.enrolled, dtype=int)
        _, equal = eer(worth, labels)
        likely = np.array(answers.likely)
        for title, values, limit in (
            ("pairs", worth, decision.threshold),
            ("likely", likely, 0.5),
            ("equal", worth, equal),
        ):
            own = answers.figures(values > limit)
            found[wanted][title] = {"threshold": float(limit), **own}
            print(
                f"{wanted:7} s {np.mean(answers.seconds):8.1f}  "
                f"{title:<6}{limit:5.2f}"
                f"{100 * own['first']:8.1f}{100 * own['named']:7.1f}"
                f"{100 * own['wrong name']:12.1f}"
                f"{100 * own['false reject']:14.1f}"
                f"{100 * own['false accept']:14.1f}"
            )
    print(json.dumps(found))


if __name__ == "__main__":
    torch.manual_seed(SEED)
    main()
