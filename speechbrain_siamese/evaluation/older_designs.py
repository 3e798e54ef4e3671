"""The baselines as systems that score the same trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from speechbrain_siamese.baselines.features import (
    average_features,
    cepstra_with_slopes,
    without_silence,
)
from speechbrain_siamese.baselines.gmm_ubm import (
    log_ratios,
    map_means,
    train_ubm,
)
from speechbrain_siamese.baselines.network import NetworkClassifier
from speechbrain_siamese.baselines.pairs import (
    NearestNeighbours,
    PairClassifier,
    random_scores,
)
from speechbrain_siamese.dataio.datasets import read_samples
from speechbrain_siamese.dataio.decoding import decode
from speechbrain_siamese.dataio.manifests import read_rows
from speechbrain_siamese.dataio.trial_sets import TrialSet

#: Seconds of a training clip, and how many clips there are at most.
SECONDS, MOST_CLIPS = 4.0, 2000

#: Pairs that the pair classifiers learn from.
PAIRS = 4_000

#: Frames that the universal background model is made of.
FRAMES = 200_000


@dataclass(frozen=True)
class TrainingSpeech:
    """Clips that the baselines learn from.

    Arguments
    ---------
    clips : list of np.ndarray
        (samples,) each.
    speakers : list of str
        Who speaks in each.
    sample_rate : int
        Hz.
    """

    clips: list[np.ndarray]
    speakers: list[str]
    sample_rate: int


def training_speech(prepared_folder: str | Path, seed: int) -> TrainingSpeech:
    """Clips of the training manifest, as many of each speaker as of others.

    Arguments
    ---------
    prepared_folder : str or Path
    seed : int
        Decides which clips are taken.

    Returns
    -------
    TrainingSpeech

    Raises
    ------
    ValueError
        If nothing is prepared there.
    """
    folder = Path(prepared_folder)
    manifest = folder / "train.csv"
    if not manifest.is_file():
        raise ValueError(
            f"there is no {manifest}: baselines learn from the prepared "
            "training speech; name its folder with --prepared_folder="
        )
    rows = read_rows(manifest)
    first = rows[0]["wav"].replace("$data_root", str(folder))
    rate = soundfile.info(first).samplerate
    length = round(SECONDS * rate)
    clips: dict[str, list[tuple[str, int]]] = {}
    for row in rows:
        wav = row["wav"].replace("$data_root", str(folder))
        starts = range(int(row["start"]), int(row["stop"]) - length + 1, length)
        own = clips.setdefault(row["spk_id"], [])
        own += [(wav, start) for start in starts]
    clips = {speaker: own for speaker, own in clips.items() if own}
    if len(clips) < 2:
        raise ValueError(
            f"{manifest} holds stretches of {SECONDS:g} s of {len(clips)} "
            "speakers, expected at least two: the baselines need more speech"
        )
    generator = np.random.default_rng(seed)
    share = max(2, MOST_CLIPS // max(1, len(clips)))
    drawn = [
        (speaker, *own[number])
        for speaker, own in clips.items()
        for number in sorted(generator.permutation(len(own))[:share])
    ]
    return TrainingSpeech(
        clips=[
            read_samples(wav, start, start + length).numpy()
            for _, wav, start in drawn
        ],
        speakers=[speaker for speaker, _, _ in drawn],
        sample_rate=rate,
    )


class ClipFeatures:
    """Features of files, each read once for all baselines.

    Arguments
    ---------
    sample_rate : int
        Hz.
    """

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        self.average: dict[Path, np.ndarray] = {}
        self.frames: dict[Path, np.ndarray] = {}
        self.unusable: dict[Path, str] = {}

    def prepare(self, paths: Sequence[Path]) -> dict[Path, str]:
        """Read files that were not read before.

        Arguments
        ---------
        paths : Sequence[Path]

        Returns
        -------
        dict of Path : str
            Files that cannot be used, with the reason.
        """
        new = [p for p in paths if p not in self.average | self.unusable]
        for path in tqdm(
            new, desc="Features of the baselines", unit="file", disable=None
        ):
            try:
                samples = decode(path, self.sample_rate)
                voiced = without_silence(samples, self.sample_rate)
                self.average[path], self.frames[path] = self.of(voiced)
            except (ValueError, OSError) as error:
                self.unusable[path] = str(error)
        return {p: self.unusable[p] for p in paths if p in self.unusable}

    def of(self, voiced: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features of a clip without silence.

        Arguments
        ---------
        voiced : np.ndarray
            (samples,)

        Returns
        -------
        average : np.ndarray
            (43,)
        frames : np.ndarray
            (frames, 40)
        """
        return (
            average_features(voiced, self.sample_rate),
            cepstra_with_slopes(voiced, self.sample_rate),
        )


class RandomSystem:
    """Scores that know nothing.

    Arguments
    ---------
    seed : int
    """

    name, kind = "random", None

    def __init__(self, seed: int):
        self.seed = seed

    def prepare(self, paths: Sequence[Path]) -> dict[Path, str]:
        """Nothing to do; as ``System.prepare``."""
        return {}

    def scores(self, trials: TrialSet) -> np.ndarray:
        """As ``System.scores``."""
        return random_scores(len(trials.table), self.seed)


class PairSystem:
    """A classifier of pairs of averaged features.

    Arguments
    ---------
    name : str
    classifier : PairClassifier
        Fitted.
    features : ClipFeatures
    """

    kind = None

    def __init__(
        self, name: str, classifier: PairClassifier, features: ClipFeatures
    ):
        self.name, self.classifier, self.features = name, classifier, features
        self.prepare = features.prepare

    def scores(self, trials: TrialSet) -> np.ndarray:
        """As ``System.scores``."""
        average = [self.features.average[path] for path in trials.paths]
        table = trials.table
        return self.classifier.scores(
            np.stack(average), table.enrol, table.test
        )


class GmmUbmSystem:
    """GMM-UBM: the enrolment clip adapts the means, the test clip is scored.

    Arguments
    ---------
    frames : np.ndarray
        Of the training clips, (frames, 40).
    features : ClipFeatures
    seed : int
    """

    name, kind = "GMM-UBM", None

    def __init__(self, frames: np.ndarray, features: ClipFeatures, seed: int):
        self.features = features
        self.prepare = features.prepare
        self.ubm = train_ubm(frames, seed)

    def scores(self, trials: TrialSet) -> np.ndarray:
        """As ``System.scores``."""
        frames = [self.features.frames[path] for path in trials.paths]
        table = trials.table
        enrolled, enrol = np.unique(table.enrol, return_inverse=True)
        means = np.stack([map_means(self.ubm, frames[k]) for k in enrolled])
        scores = np.empty(len(table))
        order = np.argsort(table.test, kind="stable")
        tests, starts = np.unique(table.test[order], return_index=True)
        groups = np.split(order, starts[1:])
        for test, own in zip(
            tqdm(tests, desc="GMM-UBM", unit="clip", disable=None),
            groups,
            strict=True,
        ):
            scores[own] = log_ratios(self.ubm, means[enrol[own]], frames[test])
        return scores


def older_designs(speech: TrainingSpeech, seed: int) -> list:
    """Train the baselines of same/different.

    Arguments
    ---------
    speech : TrainingSpeech
    seed : int

    Returns
    -------
    list of System
        Random, nearest neighbours, the network of 2019, GMM-UBM.
    """
    features = ClipFeatures(speech.sample_rate)
    averages, frames = zip(
        *(
            features.of(clip)
            for clip in tqdm(
                speech.clips,
                desc="Features of the training clips",
                unit="clip",
                disable=None,
            )
        ),
        strict=True,
    )
    averages, frames = np.stack(averages), np.concatenate(frames)
    generator = np.random.default_rng(seed)
    chosen = generator.permutation(len(frames))[:FRAMES]
    pairs = [
        PairSystem(
            name,
            PairClassifier(classifier).fit(
                averages, speech.speakers, PAIRS, seed
            ),
            features,
        )
        for name, classifier in (
            ("nearest neighbours", NearestNeighbours()),
            ("network of 2019", NetworkClassifier(seed)),
        )
    ]
    return [
        RandomSystem(seed),
        *pairs,
        GmmUbmSystem(frames[chosen], features, seed),
    ]
