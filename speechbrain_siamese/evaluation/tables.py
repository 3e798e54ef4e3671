"""Tables of figures whose raw scores lie beside them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from speechbrain_siamese.dataio.trial_table import TrialTable
from speechbrain_siamese.utils.decision import Decision
from speechbrain_siamese.utils.report import measure
from speechbrain_siamese.utils.whole_file import whole_text

#: What is shown of a trial list, in this order.
TRIAL_COLUMNS = (
    "eer",
    "eer_interval",
    "min_dcf_0.01",
    "min_dcf_0.05",
    "cllr",
    "min_cllr",
    "auc",
    "accuracy",
    "precision",
    "recall",
    "f1",
    "threshold",
    "threshold_from",
    "distance_similar",
    "distance_dissimilar",
    "trials_similar",
    "trials_dissimilar",
    "speakers",
)


class ScoreFiles:
    """The raw scores of one evaluation, each list written once.

    Arguments
    ---------
    folder : str or Path
        Of the evaluation; the scores go into ``scores/`` below it.

    Example
    -------
    >>> files = ScoreFiles(getfixture("tmp_path"))
    >>> files.write("new voices, model", ["1 a b 0.9\\n"])
    'scores/new-voices-model-d12855.txt'
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.written: set[str] = set()
        #: Figures of a list by file and decision: intervals take seconds.
        self.figures: dict[tuple, dict] = {}

    def write(self, name: str, lines: Iterable[str]) -> str:
        """Write a list, unless it was written under this name.

        Arguments
        ---------
        name : str
            Tells it from all others of the evaluation.
        lines : Iterable[str]

        Returns
        -------
        str
            The file, below the folder.
        """
        # ASCII and short, whatever the speakers are called.
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[:60]
        raw = name.encode("utf-8", "surrogateescape")
        digest = hashlib.blake2b(raw, digest_size=3).hexdigest()
        file = f"scores/{slug}-{digest}.txt"
        if file not in self.written:
            with whole_text(self.folder / file) as out:
                out.writelines(lines)
            self.written.add(file)
        return file

    def remove_others(self) -> None:
        """Remove the scores of an earlier evaluation in this folder."""
        for path in (self.folder / "scores").glob("*.txt"):
            if f"scores/{path.name}" not in self.written:
                path.unlink()


class FigureTable:
    """One table of an evaluation, filled row by row.

    Arguments
    ---------
    files : ScoreFiles
        Where the raw scores go.
    key : str
        Short name.
    title : str
        What the table shows.
    note : str
        How to read it.
    columns : Sequence[str]
        Keys of the figures that are shown.
    kind : str
        ``trials, one_or_two`` or ``clusterings``.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> table = FigureTable(
    ...     ScoreFiles(folder), "demo", "Two systems", "Made up."
    ... )
    >>> trials = TrialTable(
    ...     ["a", "b", "c"], np.array([1, 0]), np.array([0, 0]),
    ...     np.array([1, 2]),
    ... )
    >>> scores = np.array([0.9, 0.1])
    >>> row = table.add_trials(
    ...     "ours", "demo", scores, trials, None, None, "cosine"
    ... )
    >>> row["figures"]["eer"], (folder / row["scores"]).read_text()
    (0.0, '1\\ta\\tb\\t0.9\\n0\\ta\\tc\\t0.1\\n')
    """

    def __init__(
        self,
        files: ScoreFiles,
        key: str,
        title: str,
        note: str,
        columns: Sequence[str] = TRIAL_COLUMNS,
        kind: str = "trials",
    ):
        self.files = files
        self.key, self.title, self.note = key, title, note
        self.columns, self.kind = list(columns), kind
        self.rows: list[dict] = []

    def add_trials(
        self,
        name: str,
        file: str,
        scores: np.ndarray,
        table: TrialTable,
        speakers: Sequence[str] | None,
        decision: Decision | None,
        kind: str | None,
        note: str = "",
    ) -> dict:
        """Measure the scores of a trial list as a row.

        Arguments
        ---------
        name : str
            Of the row.
        file : str
            Name of the scores, see ``ScoreFiles.write``.
        scores, table, speakers, decision, kind
            As for ``report.measure``.
        note : str
            What has to be known of this row.

        Returns
        -------
        dict
            The row: ``name, scores, note, decision, figures``.
        """
        file = self.files.write(file, _score_lines(scores, table))
        known = self.files.figures
        if (file, decision) not in known:
            figures = measure(scores, table, speakers, decision, kind)
            figures["threshold_from"] = (
                f"{decision.target}, validation" if decision else "these trials"
            )
            known[file, decision] = figures
        return self._add(name, file, note, known[file, decision], decision)

    def add(
        self, name: str, figures: dict, scores: Sequence[str], note: str = ""
    ) -> dict:
        """Add a row of other figures.

        Arguments
        ---------
        name : str
        figures : dict
        scores : Sequence[str]
            Lines of the file from which the figures follow.
        note : str

        Returns
        -------
        dict
            The row.
        """
        lines = (f"{line}\n" for line in scores)
        file = self.files.write(f"{self.key}, {name}", lines)
        return self._add(name, file, note, figures, None)

    def as_dict(self) -> dict:
        """The table for ``metrics.json`` and the page.

        Returns
        -------
        dict
        """
        return {
            key: getattr(self, key)
            for key in ("key", "title", "note", "kind", "columns", "rows")
        }

    def _add(self, name, file, note, figures, decision):
        self.rows.append(
            {
                "name": name,
                "scores": file,
                "note": note,
                "decision": asdict(decision) if decision else None,
                "figures": figures,
            }
        )
        return self.rows[-1]


def _score_lines(scores, table):
    """``label enrol test score``, parted by tabs: names may hold spaces."""
    names = table.names
    for label, enrol, test, score in zip(
        table.labels.tolist(),
        table.enrol.tolist(),
        table.test.tolist(),
        scores.tolist(),
        strict=True,
    ):
        yield f"{label}\t{names[enrol]}\t{names[test]}\t{score!r}\n"
