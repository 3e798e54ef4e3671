"""Trial lists of any length, as arrays."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.manifests import parse_trials

logger = get_logger(__name__)

#: Dissimilar pairs of a folder: beyond it they say no more, and take memory.
MOST_PAIRS = 2_000_000


@dataclass(frozen=True)
class TrialTable:
    """Trials that name their utterances by number.

    Arguments
    ---------
    names : list of str
        Utterances, each once.
    labels : np.ndarray
        1 same speaker, 0 different, int8, (trials,).
    enrol, test : np.ndarray
        Positions in ``names``, int32, (trials,).
    """

    names: list[str]
    labels: np.ndarray
    enrol: np.ndarray
    test: np.ndarray

    def __len__(self) -> int:
        """Number of trials."""
        return len(self.labels)

    @property
    def both_labels(self) -> bool:
        """Whether there are trials of the same and of different speakers."""
        return len(np.unique(self.labels)) == 2

    def without(self, unusable: Mapping[str, object]) -> TrialTable:
        """The trials that name none of some utterances.

        Arguments
        ---------
        unusable : Mapping or set of str
            Names of utterances.

        Returns
        -------
        TrialTable
            With the names that are left.
        """
        usable = np.array([name not in unusable for name in self.names])
        kept = usable[self.enrol] & usable[self.test]
        number = np.cumsum(usable) - 1
        return TrialTable(
            [name for name in self.names if name not in unusable],
            self.labels[kept],
            number[self.enrol[kept]].astype(np.int32),
            number[self.test[kept]].astype(np.int32),
        )


def read_trial_table(path: str | Path) -> TrialTable:
    """Read a trial list in VoxCeleb's format.

    Arguments
    ---------
    path : str or Path

    Returns
    -------
    TrialTable
        In the order of the file. Trials that are there twice stay, as the
        field counts them, with a warning.

    Raises
    ------
    ValueError
        If the file is missing or empty, or a line is not of the format.

    Example
    -------
    >>> path = getfixture("tmp_path") / "trials.txt"
    >>> _ = path.write_text("1 a/1.wav a/2.wav\\n0 a/1.wav b/1.wav\\n")
    >>> table = read_trial_table(path)
    >>> table.names, table.enrol.tolist(), table.test.tolist()
    (['a/1.wav', 'a/2.wav', 'b/1.wav'], [0, 0], [1, 2])
    """
    number: dict[str, int] = {}
    labels, enrol, test = array("b"), array("i"), array("i")
    for label, first, second in parse_trials(path):
        labels.append(label)
        enrol.append(number.setdefault(first, len(number)))
        test.append(number.setdefault(second, len(number)))
    table = TrialTable(
        list(number),
        np.asarray(labels, np.int8),
        np.asarray(enrol, np.int32),
        np.asarray(test, np.int32),
    )
    # a against b is b against a.
    low = np.minimum(table.enrol, table.test).astype(np.int64)
    pairs = low * len(number) + np.maximum(table.enrol, table.test)
    twice = len(pairs) - len(np.unique(pairs))
    if twice:
        logger.warning("%s: %d trials are there more than once", path, twice)
    return table


def every_pair(
    names: Sequence[str],
    speakers: Sequence[str],
    seed: int = 0,
    most: int = MOST_PAIRS,
) -> TrialTable:
    """Each utterance against each other one.

    Arguments
    ---------
    names : Sequence[str]
        Utterances.
    speakers : Sequence[str]
        Who speaks in each.
    seed : int
        Decides which dissimilar trials are drawn where there are too many.
    most : int
        Dissimilar trials; where there are more, so many are drawn.

    Returns
    -------
    TrialTable

    Example
    -------
    >>> every_pair(["1", "2", "3"], ["a", "a", "b"]).labels.tolist()
    [1, 0, 0]
    """
    count = len(names)
    _, own = np.unique(np.asarray(speakers), return_inverse=True)
    if count * (count - 1) // 2 <= most:
        enrol, test = np.triu_indices(count, 1)
    else:
        enrol, test = np.concatenate(
            [similar_pairs(own), dissimilar_pairs(own, seed, most)], axis=1
        )
    return TrialTable(
        list(names),
        (own[enrol] == own[test]).astype(np.int8),
        enrol.astype(np.int32),
        test.astype(np.int32),
    )


def similar_pairs(
    speakers: np.ndarray, others: np.ndarray | None = None
) -> np.ndarray:
    """All pairs of one speaker's utterances.

    Arguments
    ---------
    speakers : np.ndarray
        Number of the speaker of each utterance, (utterances,).
    others : np.ndarray or None
        The same of the utterances that stand on the other side; None where
        all are paired with each other.

    Returns
    -------
    np.ndarray
        Positions on both sides, (2, pairs).

    Example
    -------
    >>> similar_pairs(np.array([0, 1, 0])).tolist()
    [[0], [2]]
    >>> similar_pairs(np.array([0, 1]), np.array([1, 1])).tolist()
    [[1, 1], [0, 1]]
    """
    pairs = [np.zeros((2, 0), np.int64)]
    for speaker in np.unique(speakers):
        own = np.flatnonzero(speakers == speaker)
        if others is None:
            first, second = np.triu_indices(len(own), 1)
            pairs.append(np.stack([own[first], own[second]]))
        else:
            there = np.flatnonzero(others == speaker)
            sides = np.meshgrid(own, there, indexing="ij")
            pairs.append(np.stack(sides).reshape(2, -1))
    return np.concatenate(pairs, axis=1)


def dissimilar_pairs(
    speakers: np.ndarray,
    seed: int,
    most: int,
    others: np.ndarray | None = None,
) -> np.ndarray:
    """Some pairs of different speakers, each once, drawn without a list of all.

    Arguments
    ---------
    speakers : np.ndarray
        Number of the speaker of each utterance, (utterances,).
    seed : int
        Decides which are drawn.
    most : int
        So many at most; fewer where that is not far from all there are.
    others : np.ndarray or None
        As for ``similar_pairs``.

    Returns
    -------
    np.ndarray
        Positions on both sides, (2, pairs).
    """
    generator = np.random.default_rng(seed)
    if others is None:
        drawn = generator.integers(len(speakers), size=(2, 2 * most))
        # a against b is b against a.
        drawn.sort(axis=0)
        others = speakers
    else:
        drawn = np.stack(
            [
                generator.integers(len(side), size=2 * most)
                for side in (speakers, others)
            ]
        )
    drawn = drawn[:, speakers[drawn[0]] != others[drawn[1]]]
    _, first_time = np.unique(
        drawn[0] * len(others) + drawn[1], return_index=True
    )
    return drawn[:, np.sort(first_time)[:most]]
