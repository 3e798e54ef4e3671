"""Systems that score trials: each turns a trial set into scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from speechbrain.inference.speaker import SpeakerRecognition
from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.trial_sets import TrialSet
from speechbrain_siamese.inference.embeddings import (
    EmbeddingCache,
    embed_files,
)
from speechbrain_siamese.processing.scoring import MEASURES, cosine_scores
from speechbrain_siamese.utils.decision import Decision, choose_decision

logger = get_logger(__name__)


class System(Protocol):
    """What evaluation asks of a system.

    ``name`` is shown; ``kind`` is that of ``verification_metrics``.
    """

    name: str
    kind: str | None

    def prepare(self, paths: Sequence[Path]) -> dict[Path, str]:
        """Read files once; returns those that cannot be used, with reasons."""

    def scores(self, trials: TrialSet) -> np.ndarray:
        """Scores of the trials, (trials,), higher is more alike."""


class EmbeddingSystem:
    """An encoder whose scores compare embeddings.

    As the model decides: by normalised scores, where it has them, or else by
    the cosine, unless its hyperparameters name another ``measure``.

    Arguments
    ---------
    name : str
    model : SpeakerRecognition
        Of SpeechBrain or ours.
    cache : EmbeddingCache
    """

    def __init__(
        self,
        name: str,
        model: SpeakerRecognition,
        cache: EmbeddingCache,
    ):
        self.name, self.model, self.cache = name, model, cache
        self.kind: str | None = getattr(model.hparams, "measure", "cosine")
        self.compare = MEASURES[self.kind]
        # SpeechBrain's own classes know of none.
        if getattr(model, "normalised_decision", None):
            self.kind, self.compare = None, model.normalised_scores
        self._row: dict[Path, int] = {}
        self._embeddings = torch.zeros(0, 0)

    def prepare(self, paths: Sequence[Path]) -> dict[Path, str]:
        """Embed files, each once.

        Arguments
        ---------
        paths : Sequence[Path]

        Returns
        -------
        dict of Path : str
            Files that cannot be embedded, with the reason.
        """
        found, unusable = embed_files(
            self.model, paths, (None,), self.cache, f"Embedding, {self.name}"
        )
        self._embeddings = found[None]
        self._row = {path: row for row, path in enumerate(paths)}
        return {paths[row]: reason for row, reason in unusable.items()}

    def embeddings(self, paths: Sequence[Path]) -> torch.Tensor:
        """Embeddings of files that were prepared.

        Arguments
        ---------
        paths : Sequence[Path]

        Returns
        -------
        torch.Tensor
            (files, dim)
        """
        return self._embeddings[[self._row[path] for path in paths]]

    def scores(self, trials: TrialSet) -> np.ndarray:
        """Scores by which the model decides.

        Arguments
        ---------
        trials : TrialSet

        Returns
        -------
        np.ndarray
            (trials,)
        """
        table = trials.table
        embeddings = self.embeddings(trials.paths)
        return self.compare(embeddings, table.enrol, table.test)


class CosineSystem:
    """The same by the cosine, as SpeechBrain's stock class decides.

    Arguments
    ---------
    base : EmbeddingSystem
        Has to be prepared; this needs no preparation of its own.
    """

    kind = "cosine"

    def __init__(self, base: EmbeddingSystem):
        self.name, self.base = f"{base.name}, cosine", base

    def prepare(self, paths: Sequence[Path]) -> dict[Path, str]:
        """Nothing to do.

        Arguments
        ---------
        paths : Sequence[Path]

        Returns
        -------
        dict of Path : str
            Empty.
        """
        return {}

    def scores(self, trials: TrialSet) -> np.ndarray:
        """Cosines of the embeddings.

        Arguments
        ---------
        trials : TrialSet

        Returns
        -------
        np.ndarray
            (trials,)
        """
        return cosine_scores(
            self.base.embeddings(trials.paths),
            trials.table.enrol,
            trials.table.test,
        )


def prepare_all(
    systems: Sequence[System], sets: Sequence[TrialSet]
) -> tuple[list[TrialSet], dict[str, str]]:
    """Let all systems read all files, and keep the trials that all can score.

    Arguments
    ---------
    systems : Sequence[System]
    sets : Sequence[TrialSet]
        The first one is what is asked for; of the others those are left out,
        with a warning, that are left without trials of both labels.

    Returns
    -------
    list of TrialSet
        Without the trials of files that any system cannot use.
    dict of str : str
        Those files, with the reason.

    Raises
    ------
    ValueError
        If the first set is left without trials of both labels.
    """
    paths = list(dict.fromkeys(path for found in sets for path in found.paths))
    unusable: dict[Path, str] = {}
    for system in systems:
        unusable = system.prepare(paths) | unusable
    kept = []
    for found in sets:
        names = {
            name
            for name, path in zip(found.table.names, found.paths, strict=True)
            if path in unusable
        }
        left = found.without(names) if names else found
        if left.table.both_labels:
            kept.append(left)
            continue
        reason = next((unusable[p] for p in found.paths if p in unusable), "")
        told = (
            f"{found.title}: there are not trials of both labels left, since "
            f"{len(names)} of {len(found.paths)} files cannot be used; the "
            f"first: {reason}"
        )
        if found is sets[0]:
            raise ValueError(told)
        logger.warning("left out: %s", told)
    return kept, {str(path): reason for path, reason in unusable.items()}


def fitted_decision(
    system: System, valid: TrialSet | None, target: str
) -> Decision | None:
    """Threshold and calibration of a system, chosen on validation trials.

    Arguments
    ---------
    system : System
    valid : TrialSet or None
    target : str
        As for ``working_threshold``.

    Returns
    -------
    Decision or None
        None without validation trials.
    """
    if valid is None:
        return None
    return choose_decision(system.scores(valid), valid.table.labels, target)


@dataclass(frozen=True)
class Scored:
    """What a system says of every trial set.

    Arguments
    ---------
    name : str
        Of the system.
    kind : str or None
        As for ``verification_metrics``.
    decision : Decision or None
        What its scores mean; None if there was nothing to choose it on.
    scores : Mapping[str, np.ndarray]
        (trials,) each, by the key of the trial set.
    """

    name: str
    kind: str | None
    decision: Decision | None
    scores: Mapping[str, np.ndarray]


def score_all(
    systems: Sequence[System],
    sets: Sequence[TrialSet],
    decisions: Mapping[str, Decision | None],
) -> list[Scored]:
    """Score every trial set with every system, once.

    Arguments
    ---------
    systems : Sequence[System]
        Prepared.
    sets : Sequence[TrialSet]
    decisions : Mapping
        By the system's name.

    Returns
    -------
    list of Scored
        In the order of the systems.
    """
    return [
        Scored(
            system.name,
            system.kind,
            decisions[system.name],
            {trials.key: system.scores(trials) for trials in sets},
        )
        for system in systems
    ]
