"""Two tasks beside verification: one voice or two, and clusterings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soxr
import torch
from sklearn.preprocessing import StandardScaler
from speechbrain.utils.logger import get_logger
from tqdm import tqdm

from speechbrain_siamese.baselines.clusterings import (
    METHODS,
    cluster,
    clustering_figures,
)
from speechbrain_siamese.baselines.features import (
    average_features,
    without_silence,
)
from speechbrain_siamese.baselines.network import NetworkClassifier
from speechbrain_siamese.baselines.one_or_two import (
    LEVEL,
    JoinedClip,
    embedding_score,
    make_clips,
)
from speechbrain_siamese.baselines.pairs import NearestNeighbours
from speechbrain_siamese.dataio.decoding import decode
from speechbrain_siamese.dataio.trial_sets import TrialSet
from speechbrain_siamese.evaluation.older_designs import TrainingSpeech
from speechbrain_siamese.evaluation.systems import EmbeddingSystem
from speechbrain_siamese.evaluation.tables import FigureTable, ScoreFiles
from speechbrain_siamese.utils.metrics import verification_metrics
from speechbrain_siamese.utils.working_points import working_threshold

logger = get_logger(__name__)

TASK_COLUMNS = (
    "accuracy",
    "precision",
    "recall",
    "f1",
    "auc",
    "threshold",
    "clips",
)
CLUSTERING_COLUMNS = (
    "rand",
    "adjusted_rand",
    "mutual_information",
    "adjusted_mutual_information",
    "clusters",
    "utterances",
)

#: Joined clips to learn from, to choose a threshold on, and to test on.
LEARN, VALIDATE, TEST = 2000, 200, 400

#: Seconds of a speaker from which the clips of the task are cut.
ENOUGH = 120

#: Trainings of the network: its author told the range over random seeds.
TRAININGS = 5

#: Utterances that are clustered at most; spectral clustering squares them.
MOST_CLUSTERED = 3000


def one_or_two(
    files: ScoreFiles,
    speech: TrainingSpeech,
    valid: TrialSet | None,
    test: TrialSet,
    systems: Sequence[EmbeddingSystem],
    seed: int,
) -> FigureTable:
    """Does a clip hold one voice or two: the network of 2019, and embeddings.

    Arguments
    ---------
    files : ScoreFiles
    speech : TrainingSpeech
        What the classifiers learn from.
    valid : TrialSet or None
        Whose utterances choose the threshold of the embeddings; None takes
        that of the test clips, which flatters.
    test : TrialSet
        Whose utterances make the test clips, of other speakers.
    systems : Sequence[EmbeddingSystem]
    seed : int

    Returns
    -------
    FigureTable
        Without rows, and a warning, if fewer than two speakers have enough
        speech.
    """
    table = FigureTable(
        files,
        "one-or-two",
        "Does a clip hold one voice or two",
        "Two stretches joined to 4 s. The task of the 2019 design.",
        TASK_COLUMNS,
        "one_or_two",
    )
    try:
        _one_or_two(table, speech, valid, test, systems, seed)
    except ValueError as error:
        logger.warning("one voice or two is left out: %s", error)
    return table


def _one_or_two(table, speech, valid, test, systems, seed):
    """Fill the table."""
    rate = speech.sample_rate
    waves: dict[str, list[np.ndarray]] = {}
    for speaker, clip in zip(speech.speakers, speech.clips, strict=True):
        waves.setdefault(speaker, []).append(clip)
    learn = make_clips(waves, rate, LEARN, seed)
    clips = make_clips(_spoken(test, rate), rate, TEST, seed)
    chosen = valid and make_clips(_spoken(valid, rate), rate, VALIDATE, seed)

    def features(joined: Sequence[JoinedClip]) -> np.ndarray:
        return np.stack(
            [
                average_features(clip.samples, rate)
                for clip in tqdm(
                    joined, desc="One voice or two", unit="clip", disable=None
                )
            ]
        )

    learn_x = features(learn)
    scaler = StandardScaler().fit(learn_x)
    learn_x, test_x = map(scaler.transform, (learn_x, features(clips)))
    learn_y = np.array([clip.label for clip in learn])
    generator = np.random.default_rng(seed)
    _add(table, "random", generator.random(len(clips)), clips, 0.5)
    for name, classifier in [
        ("nearest neighbours", NearestNeighbours()),
        *(
            (f"network of 2019, seed {seed + k}", NetworkClassifier(seed + k))
            for k in range(TRAININGS)
        ),
    ]:
        classifier.fit(learn_x, learn_y)
        _add(table, name, classifier.probability(test_x), clips, 0.5)
    for system in systems:
        scores = _embedding_scores(system, clips, rate)
        note, fitted, fitted_scores = "threshold of these clips", clips, scores
        if chosen:
            note, fitted = "threshold of validation speakers' clips", chosen
            fitted_scores = _embedding_scores(system, chosen, rate)
        threshold = working_threshold(
            fitted_scores, np.array([clip.label for clip in fitted])
        )
        name = f"embeddings, {system.name}"
        _add(table, name, scores, clips, threshold, note)


def clusterings(
    files: ScoreFiles,
    test: TrialSet,
    systems: Sequence[EmbeddingSystem],
    seed: int,
) -> FigureTable:
    """Do utterances fall into speakers by themselves.

    Arguments
    ---------
    files : ScoreFiles
    test : TrialSet
        With known speakers.
    systems : Sequence[EmbeddingSystem]
    seed : int

    Returns
    -------
    FigureTable
        A row of each system and method.
    """
    table = FigureTable(
        files,
        "clusterings",
        "Do the utterances fall into speakers by themselves",
        "Clustered into the true number of speakers. The Rand index and "
        "mutual information favour many clusters: 'random' and the adjusted "
        "forms, which are 0 by chance, tell by how much.",
        CLUSTERING_COLUMNS,
        "clusterings",
    )
    kept = np.random.default_rng(seed).permutation(len(test.paths))
    kept = np.sort(kept[:MOST_CLUSTERED])
    speakers = [test.speakers[k] for k in kept]
    for system in systems:
        embeddings = system.embeddings([test.paths[k] for k in kept]).numpy()
        for method in METHODS:
            found = cluster(embeddings, len(set(speakers)), method, seed)
            table.add(
                f"{method}, {system.name}",
                {
                    **clustering_figures(speakers, found),
                    "clusters": len(set(speakers)),
                    "utterances": len(speakers),
                },
                [
                    f"{test.table.names[k]}\t{speaker}\t{own}"
                    for k, speaker, own in zip(
                        kept, speakers, found.tolist(), strict=True
                    )
                ],
            )
    return table


def _spoken(trials: TrialSet, rate: int) -> dict[str, list[np.ndarray]]:
    """Speech of each speaker in two long waves, of different utterances."""
    halves: dict[str, tuple[list, list]] = {}
    for path, speaker in zip(trials.paths, trials.speakers, strict=True):
        own = halves.get(speaker, ())
        if sum(len(wave) for half in own for wave in half) > ENOUGH * rate:
            continue
        voiced = without_silence(decode(path, rate), rate)
        level = np.sqrt(np.mean(voiced**2))
        lists = halves.setdefault(speaker, ([], []))
        # Equally loud, or the seams between utterances would be heard.
        lists[len(lists[0]) > len(lists[1])].append(voiced * (LEVEL / level))
    return {
        speaker: [np.concatenate(half) for half in lists if half]
        for speaker, lists in halves.items()
    }


def _embedding_scores(system, clips, rate) -> np.ndarray:
    """Scores of joined clips by a system's embeddings."""
    own_rate = system.model.audio_normalizer.sample_rate

    def encode(windows: torch.Tensor) -> torch.Tensor:
        embeddings = system.model.encode_batch(windows.to(system.model.device))
        return embeddings[:, 0].cpu()

    scores = []
    for clip in tqdm(
        clips, desc=f"One or two, {system.name}", unit="clip", disable=None
    ):
        samples = clip.samples
        if own_rate != rate:
            samples = soxr.resample(samples, rate, own_rate)
        scores.append(embedding_score(encode, samples, own_rate))
    return np.array(scores)


def _add(table, name, scores, clips, threshold, note=""):
    """A row of the one-or-two task."""
    labels = np.array([clip.label for clip in clips])
    found = verification_metrics(scores, labels, threshold, kind=None)
    found["clips"] = len(clips)
    table.add(
        name,
        {key: found[key] for key in TASK_COLUMNS},
        [
            f"{clip.label}\t{'+'.join(clip.speakers)}\t{score!r}"
            for clip, score in zip(clips, scores.tolist(), strict=True)
        ],
        note,
    )
