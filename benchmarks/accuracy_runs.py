"""What accuracy.py trains: systems, how long each, and on how many people."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

#: Validation people alone are held out: the unseen ones have a list.
HELD_OUT = ["--test_speakers=0", "--test_sessions=0", "--test_time=0"]

SINGLE = [*HELD_OUT, "--statistics=False"]

#: SpeechBrain's VoxCeleb recipe: random weights, AAM-softmax alone; augmented
#: as ours is.
PEER = [
    *HELD_OUT,
    "--speeds=[82,91,100,110,121]",
    "--speed_voices=True",
    "--pretrained_path=null",
    "--lr_factors={embedding_model: 1.0}",
    "--pair_weight=0",
]


class System(NamedTuple):
    """What is trained: YAML file, settings, from short clips too or not."""

    yaml: str
    settings: list[str]
    clips: bool = True


SYSTEMS = {
    "siamese": System("siamese.yaml", HELD_OUT),
    # The DenseNet without statistics beside it.
    "single": System("siamese.yaml", SINGLE),
    # It listens before the clock starts; pip has to have put it there.
    "single_teacher": System(
        "siamese.yaml",
        [
            *SINGLE,
            "--teacher=!new:benchmarks.teachers.CamPlusPlus",
            "--teacher_weight=10",
        ],
    ),
    # Its pairs grow with the square of the speakers: the long recordings.
    "two_tower": System(
        "siamese_two_tower.yaml", ["--imagenet_weights=False"], clips=False
    ),
    "ecapa_512": System(
        "siamese_ecapa.yaml", [*PEER, "--channels=[512,512,512,512,1536]"]
    ),
    "ecapa_1024": System("siamese_ecapa.yaml", PEER),
    "xvector": System(
        "siamese_ecapa.yaml",
        [
            *PEER,
            # Its own number of bins and of outputs, as SpeechBrain has them.
            "--n_mels=40",
            "--embedding_dim=512",
            "--embedding_model=!new:speechbrain.lobes.models.Xvector.Xvector",
        ],
    ),
}


class Run(NamedTuple):
    """One training."""

    system: str
    seed: int = 1986
    minutes: float = 30.0
    #: Share of the people who train; those left out follow from the seed.
    people: float = 1.0
    #: Batches, in place of the minutes.
    steps: int | None = None

    @property
    def name(self) -> str:
        """Of its record and folder."""
        share = f"_{self.people:g}" if self.people < 1 else ""
        length = f"{self.steps}steps" if self.steps else f"{self.minutes:g}min"
        return f"{self.system}_{self.seed}_{length}{share}"


RUNS = (
    *(Run(system) for system in SYSTEMS),
    *(
        Run(system, seed)
        for system in ("siamese", "single", "ecapa_512")
        for seed in (7, 42)
    ),
    *(Run("siamese", minutes=minutes) for minutes in (10, 60)),
    # Ten minutes each: half an hour gains little over them.
    *(Run("siamese", minutes=10, people=share) for share in (0.25, 0.5)),
    # As many clips as ECAPA-TDNN sees in its half hour (447 batches), and
    # ECAPA-TDNN as many as ours in ten minutes.
    Run("siamese", 7, steps=450),
    Run("ecapa_512", steps=1000),
)

#: Not trained here: the model's name, and whether pauses are cut out first.
LARGE = {
    "CAM++": ("CAM++", False),
    "CAM++ without pauses": ("CAM++", True),
    "Resemblyzer": ("Resemblyzer", False),
}

#: Recorded before what they measured was dropped: their commit has the code.
DROPPED = (
    # Twice the layers, the statistics' speeds for all, as other speakers, and
    # correlations in the place of a covariance's root.
    *(Run("earlier", seed) for seed in (1986, 7, 42)),
    *(Run("earlier", minutes=10, people=share) for share in (1, 0.25, 0.5)),
    Run("earlier", 7, steps=450),
    Run("supervectors"),
    Run("learnt_statistics"),
    Run("learnt_statistics", minutes=10),
)


def left_out(run: Run, data: Path, folder: Path) -> Path:
    """List of those who do not train: the unseen, and some of the others."""
    unseen = data / "protocol" / "unseen_speakers.txt"
    if run.people == 1:
        return unseen
    kept_out = set(unseen.read_text().split())
    generator = np.random.default_rng(run.seed)
    # Of each folder apart, or few with long recordings might be left.
    for part in ("raw", "clips"):
        people = sorted(
            path.name
            for path in (data / part).iterdir()
            if path.is_dir() and path.name not in kept_out
        )
        count = round((1 - run.people) * len(people))
        kept_out |= set(generator.choice(people, count, replace=False).tolist())
    path = folder / f"{run.name}_left_out.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(sorted(kept_out)) + "\n")
    return path
