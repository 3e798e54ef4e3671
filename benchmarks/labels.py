"""Who speaks when: diarization error rate of ``label``.

> python benchmarks/labels.py --source=<export> --data=<folder>

``<folder>`` holds ``clips/`` and ``protocol/unseen_speakers.txt``. Of each
unseen speaker the first clips, 10 s together, are enrolled, and turns of 2 to
10 s are joined from the others, without overlap, seed 1986; silence at the
clips' ends is cut off. In ``joined`` a turn is a part of one clip, in
``several`` as many clips of one person as it takes. 30 minutes are one
recording of everybody (``joined`` only), or six of 5 minutes with four people
each.
``--quick`` joins 3 minutes of everybody, and labels one of the six.

``unknown``: nobody is enrolled, voices are matched to speakers as they fit
best. ``known``: everybody is, and a wrong name is an error. ``half``: every
other person is; the rest have to be told apart, and be given no name. Errors
are those of pyannote.metrics, without a collar: missed speech, false alarm,
and speech of the wrong speaker, in per cent of the speech. Turns follow each
other without a gap and count as speech from end to end: a pause in one that is
left out is missed, and nothing can be a false alarm. ``one voice`` calls
everything the same. The last line is JSON: the error rates.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from joined import (
    clip_a_turn,
    clip_paths,
    clips_a_turn,
    trimmed,
    unseen_people,
)
from pyannote.core import Annotation, Timeline
from pyannote.core import Segment as Span
from pyannote.metrics.diarization import DiarizationErrorRate
from pyannote.metrics.identification import IdentificationErrorRate

from speechbrain_siamese.inference.label import Segment
from speechbrain_siamese.inference.speaker import SiameseRecognition

SEED = 1986
ENROLLED = 10.0  # seconds
JOINS = {"joined": clip_a_turn, "several": clips_a_turn}


def split_clips(data, speakers, rate):
    """Clips to enrol from and to join, of those who have enough of both."""
    enrolled, others = {}, {}
    for name in speakers:
        paths, seconds = clip_paths(data, name), 0.0
        clips = [trimmed(path, rate) for path in paths]
        count = 0
        while count < len(clips) and seconds < ENROLLED:
            seconds += len(clips[count]) / rate
            count += 1
        rest = [clip for clip in clips[count:] if len(clip) >= 2 * rate]
        if rest:
            enrolled[name], others[name] = paths[:count], rest
    return enrolled, others


def annotation(turns):
    """For pyannote."""
    return Annotation.from_records(
        (Span(start, end), number, name)
        for number, (start, end, name) in enumerate(turns)
    )


def said(segments):
    """Names of the enrolled people stay, others cannot be mistaken for them."""
    return annotation(
        (
            one.start,
            one.end,
            one.speaker if one.enrolled else f"? {one.speaker}",
        )
        for one in segments
    )


class Totals:
    """Errors over recordings."""

    def __init__(self, metric):
        self.metric = metric(collar=0.0, skip_overlap=False)
        self.voices = []

    def add(self, truth, found, seconds):
        self.metric(truth, found, uem=Timeline([Span(0, seconds)]))
        self.voices.append((len(found.labels()), len(truth.labels())))

    def shares(self):
        """Missed, false alarm, wrong speaker, and all of it."""
        sums = self.metric.accumulated_
        return [
            sums[key] / sums["total"]
            for key in ("missed detection", "false alarm", "confusion")
        ] + [abs(self.metric)]


def recordings_of(others, rate, quick):
    """Title, sound and turns of what is joined."""
    generator = np.random.default_rng(SEED)
    people = sorted(others)
    fours = [generator.choice(people, 4, replace=False) for _ in range(6)]
    for title, join in JOINS.items():
        seconds = 180 if quick else 1800
        if title == "joined":
            yield f"{title}, all", *join(others, seconds, rate, SEED)
        for number, four in enumerate(fours[:1] if quick else fours):
            own = {name: others[name] for name in four}
            seed = SEED + number
            yield f"{title}, four", *join(own, 300, rate, seed)


def labels_of(model, path, galleries, seconds, spent):
    """What each way says of a recording."""
    found = {"one voice": [Segment(0.0, seconds, "one")]}
    for way, online in (("", False), (", online", True)):
        for kind, gallery in galleries.items():
            if online and kind == "half":
                continue
            started = time.perf_counter()
            found[kind + way] = model.label(path, gallery, online=online)
            spent.setdefault(way, []).append(
                seconds / (time.perf_counter() - started)
            )
    return found


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
    rate = model.audio_normalizer.sample_rate
    enrolled, others = split_clips(
        options.data, unseen_people(options.data), rate
    )
    totals, spent = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        galleries = {"unknown": None}
        for kind, names in (
            ("half", sorted(enrolled)[::2]),
            ("known", sorted(enrolled)),
        ):
            galleries[kind] = model.gallery(Path(folder) / f"{kind}.sqlite")
            for name in names:
                galleries[kind].enroll(name, enrolled[name])
        for title, sound, turns in recordings_of(others, rate, options.quick):
            path, seconds = Path(folder) / "talk.wav", len(sound) / rate
            soundfile.write(path, sound, rate, subtype="FLOAT")
            found = labels_of(model, path, galleries, seconds, spent)
            for way, segments in found.items():
                kind = way.split(",")[0]
                truth = turns
                if kind == "half":
                    known = {one.name for one in galleries["half"].list()}
                    truth = [
                        (start, end, name if name in known else f"? {name}")
                        for start, end, name in turns
                    ]
                add(totals, title, way, truth, segments, seconds)
    print(
        f"{len(others)} people; labelled "
        f"{np.median(spent['']):.0f} times as fast as it lasts, online "
        f"{np.median(spent[', online']):.0f} times\n"
        "recordings     people            missed  false  wrong    all  "
        "voices found of those there are"
    )
    figures = {}
    for (title, way), own in totals.items():
        missed, false, wrong, everything = own.shares()
        voices = ", ".join(f"{ours} of {true}" for ours, true in own.voices)
        print(
            f"{title:<15}{way:<18}{100 * missed:6.1f}{100 * false:7.1f}"
            f"{100 * wrong:7.1f}{100 * everything:7.1f}  {voices}"
        )
        figures.setdefault(title, {})[way] = everything
    print(json.dumps(figures))


def add(totals, title, way, turns, segments, seconds):
    """Count a recording's errors; unknown voices are matched first."""
    key = title, way
    named = way.startswith(("known", "half"))
    if key not in totals:
        metric = IdentificationErrorRate if named else DiarizationErrorRate
        totals[key] = Totals(metric)
    truth, found = annotation(turns), said(segments)
    if named:
        # Those who are not enrolled have no name that could be right: theirs
        # are matched as they fit best.
        unknown = [name for name in truth.labels() if name.startswith("? ")]
        ours = [name for name in found.labels() if name.startswith("? ")]
        matched = DiarizationErrorRate().optimal_mapping(
            truth.subset(unknown), found.subset(ours)
        )
        found = found.rename_labels(
            {one: matched.get(one, f"{one} of nobody") for one in ours}
        )
    totals[key].add(truth, found, seconds)


if __name__ == "__main__":
    torch.manual_seed(SEED)
    main()
