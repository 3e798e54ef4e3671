"""Trials with what evaluation has to know of them, from any source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from speechbrain_siamese.dataio.manifests import ROOT, check_inside, read_rows
from speechbrain_siamese.dataio.recordings import (
    ascii_id,
    find_recordings,
    read_speakers,
)
from speechbrain_siamese.dataio.trial_table import (
    MOST_PAIRS,
    TrialTable,
    every_pair,
    read_trial_table,
)
from speechbrain_siamese.dataio.user_tables import nfc


@dataclass(frozen=True)
class TrialSet:
    """A trial list, its audio and its speakers.

    Arguments
    ---------
    key : str
        Short name, fit for a file.
    title : str
        What it asks, in words.
    table : TrialTable
    paths : list of Path
        Audio of each of the table's utterances.
    speakers : list of str or None
        Who speaks in each; None where that cannot be told.
    genders : list of str
        Of each utterance's speaker, as the user gave it; empty if unknown.
    """

    key: str
    title: str
    table: TrialTable
    paths: list[Path]
    speakers: list[str] | None
    genders: list[str]

    def without(self, unusable: Mapping[str, object]) -> TrialSet:
        """The trials that name none of some utterances.

        Arguments
        ---------
        unusable : Mapping or set of str
            Names of utterances.

        Returns
        -------
        TrialSet
        """
        kept = [name not in unusable for name in self.table.names]

        def usable(values):
            return [v for v, keep in zip(values, kept, strict=True) if keep]

        return replace(
            self,
            table=self.table.without(unusable),
            paths=usable(self.paths),
            speakers=None if self.speakers is None else usable(self.speakers),
            genders=usable(self.genders),
        )


def listed_trials(path: str | Path, audio_folder: str | Path) -> TrialSet:
    """The trials of a list in VoxCeleb's format.

    Arguments
    ---------
    path : str or Path
        The list.
    audio_folder : str or Path
        Where the utterances' paths begin; ``speakers.csv`` in it, if there is
        one, tells the genders.

    Returns
    -------
    TrialSet
        The speakers are the folders of that level at which they agree with
        the labels.

    Raises
    ------
    ValueError
        If the list is unusable or a path in it leads out of the folder, or
        the folder is missing.
    """
    path, root = Path(path), Path(audio_folder)
    if not root.is_dir():
        raise ValueError(
            f"{root}, which is no folder, is given for the audio: name the one "
            f"where the paths in {path} begin"
        )
    table = read_trial_table(path)
    for name in table.names:
        check_inside(name, path)
    speakers = speakers_by_folder(table)
    people = read_speakers(root / "speakers.csv")
    genders = [people.get(nfc(name), ("", ""))[1] for name in speakers or ()]
    if speakers is not None:
        speakers = [ascii_id(name) for name in speakers]
    return TrialSet(
        key=f"list_{path.stem}",
        title=f"trials of {path.name}",
        table=table,
        paths=[root / name for name in table.names],
        speakers=speakers,
        genders=genders or [""] * len(table.names),
    )


def folder_trials(audio_folder: str | Path, seed: int) -> TrialSet:
    """Each recording of a folder against each other one.

    Arguments
    ---------
    audio_folder : str or Path
        ``<speaker>/<recording>``, as for preparation.
    seed : int
        Decides which trials are taken where there are too many.

    Returns
    -------
    TrialSet

    Raises
    ------
    ValueError
        If the folder holds no recordings.
    """
    root = Path(audio_folder)
    recordings = find_recordings(root)
    return TrialSet(
        key=f"folder_{root.resolve().name}",
        title=f"every pair of {root.resolve().name}",
        table=every_pair(
            [str(found.path.relative_to(root)) for found in recordings],
            [found.speaker for found in recordings],
            seed,
        ),
        paths=[found.path for found in recordings],
        speakers=[found.speaker for found in recordings],
        genders=[found.gender for found in recordings],
    )


def prepared_trials(folder: str | Path, question: str, title: str) -> TrialSet:
    """The trials of one question of a preparation.

    Arguments
    ---------
    folder : str or Path
        ``prepared_folder`` of the training.
    question : str
        ``valid, time, session`` or ``speaker``.
    title : str
        What it asks, in words.

    Returns
    -------
    TrialSet

    Raises
    ------
    ValueError
        If the folder does not hold them.
    """
    folder = Path(folder)
    table = read_trial_table(folder / f"trials_{question}.txt")
    manifest = "valid.csv" if question == "valid" else "test.csv"
    rows = {
        row["wav"].removeprefix(ROOT): row
        for row in read_rows(folder / manifest, ("wav", "spk_id", "gender"))
    }
    missing = [name for name in table.names if name not in rows]
    if missing:
        raise ValueError(
            f"{folder / manifest} lacks {missing[0]}, which "
            f"trials_{question}.txt names: prepare the recordings again"
        )
    return TrialSet(
        key=question,
        title=title,
        table=table,
        paths=[folder / name for name in table.names],
        speakers=[rows[name]["spk_id"] for name in table.names],
        genders=[rows[name]["gender"] for name in table.names],
    )


def speakers_by_folder(table: TrialTable) -> list[str] | None:
    """Who speaks, from the utterances' paths and the labels.

    VoxCeleb has ``speaker/video/utterance``, others ``speaker/utterance`` or
    folders above: the first level is taken at which equal names are exactly
    the trials of one speaker.

    Arguments
    ---------
    table : TrialTable

    Returns
    -------
    list of str or None
        For each of ``table.names``; None if no level agrees.

    Example
    -------
    >>> table = TrialTable(
    ...     ["x/a/1.wav", "x/a/2.wav", "x/b/1.wav"],
    ...     np.array([1, 0]), np.array([0, 0]), np.array([1, 2]),
    ... )
    >>> speakers_by_folder(table)
    ['a', 'a', 'b']
    """
    folders = [Path(name).parts[:-1] for name in table.names]
    for level in range(min(map(len, folders), default=0)):
        speakers = [parts[level] for parts in folders]
        _, own = np.unique(speakers, return_inverse=True)
        if np.array_equal(own[table.enrol] == own[table.test], table.labels):
            return speakers
    return None


def enrolment_trials(
    names: Sequence[str], speakers: Sequence[str], most: int
) -> tuple[dict[str, list[int]], TrialTable]:
    """Tests that are the same for any number of enrolment clips.

    The first ``most`` clips of a speaker who has more are for enrolment; what
    is left, and the clips of all others, is tested against each.

    Arguments
    ---------
    names : Sequence[str]
        Utterances.
    speakers : Sequence[str]
        Who speaks in each.
    most : int
        Enrolment clips of a speaker.

    Returns
    -------
    dict of str : list of int
        Positions of the clips that enrol each speaker.
    TrialTable
        Its names are those speakers, and behind them the utterances.

    Example
    -------
    >>> enrolled, table = enrolment_trials(
    ...     ["a1", "a2", "a3", "b1"], ["a", "a", "a", "b"], most=2
    ... )
    >>> enrolled, table.names
    ({'a': [0, 1]}, ['a', 'a1', 'a2', 'a3', 'b1'])
    >>> table.enrol.tolist(), table.test.tolist(), table.labels.tolist()
    ([0, 0], [3, 4], [1, 0])
    """
    positions: dict[str, list[int]] = {}
    for position, speaker in enumerate(speakers):
        positions.setdefault(speaker, []).append(position)
    enrolled = {
        speaker: own[:most]
        for speaker, own in positions.items()
        if len(own) > most
    }
    # In bounded memory: each person is tested against every clip.
    fitting = max(1, MOST_PAIRS // max(1, len(names)))
    enrolled = dict(list(enrolled.items())[:fitting])
    taken = set().union(*enrolled.values())
    tests = np.array(
        [p for p in range(len(names)) if p not in taken], dtype=np.int32
    )
    number = {speaker: position for position, speaker in enumerate(enrolled)}
    # -1: tested, not enrolled.
    own = np.array([number.get(speakers[p], -1) for p in tests])
    enrol = np.repeat(np.arange(len(enrolled), dtype=np.int32), len(tests))
    return enrolled, TrialTable(
        names=[*enrolled, *names],
        labels=(np.tile(own, len(enrolled)) == enrol).astype(np.int8),
        enrol=enrol,
        test=np.tile(tests + len(enrolled), len(enrolled)).astype(np.int32),
    )
