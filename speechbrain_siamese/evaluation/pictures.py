"""Pictures of an evaluation: as files, for the page, in TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from speechbrain_siamese.dataio.trial_sets import TrialSet
from speechbrain_siamese.evaluation.error_curves import (
    error_curve,
    plot_det,
    plot_roc,
)
from speechbrain_siamese.evaluation.projection import project
from speechbrain_siamese.evaluation.slice_plots import plot_reliability
from speechbrain_siamese.evaluation.speaker_plots import plot_embeddings
from speechbrain_siamese.evaluation.systems import Scored
from speechbrain_siamese.utils.calibration import Calibration, reliability
from speechbrain_siamese.utils.plots import plot_scores, save_figure
from speechbrain_siamese.utils.report import FEWEST_SPEAKERS

#: Utterances on the map of embeddings.
MOST_MARKS = 3000

#: A cosine taken for a log-likelihood ratio: what is there without calibration.
UNCALIBRATED = Calibration(slope=1.0, intercept=0.0)


class Pictures:
    """The pictures of one evaluation, in the order in which they are shown.

    Arguments
    ---------
    folder : str or Path
        Of the evaluation; they go into ``figures/`` below it.
    tensorboard : bool
        Also write them for TensorBoard, into ``tensorboard/``.

    Raises
    ------
    ImportError
        If TensorBoard is asked for and not installed; names the extra.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> pictures = Pictures(folder, tensorboard=False)
    >>> figure = Figure()
    >>> pictures.add("empty", "Nothing", "An empty figure.", figure)
    >>> (folder / pictures.shown[0]["file"]).is_file()
    True
    """

    def __init__(self, folder: str | Path, tensorboard: bool):
        self.folder = Path(folder)
        self.shown: list[dict[str, str]] = []
        self.writer = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise ImportError(
                    "use_tensorboard is True, but TensorBoard is not "
                    'installed: pip install "speechbrain-siamese[tensorboard]"'
                ) from error
            self.writer = SummaryWriter(str(self.folder / "tensorboard"))

    def add(self, key: str, title: str, caption: str, figure: Figure) -> None:
        """Save a picture.

        Arguments
        ---------
        key : str
            Name of its file.
        title : str
        caption : str
            How to read it.
        figure : Figure
        """
        file = f"figures/{key}.png"
        save_figure(figure, self.folder / file)
        self.shown.append(
            {"key": key, "title": title, "caption": caption, "file": file}
        )
        if self.writer:
            self.writer.add_figure(key, figure)
            self.writer.flush()

    def remove_others(self) -> None:
        """Remove the pictures of an earlier evaluation in this folder."""
        shown = {picture["file"] for picture in self.shown}
        for path in (self.folder / "figures").glob("*.png"):
            if f"figures/{path.name}" not in shown:
                path.unlink()


def draw_trials(
    pictures: Pictures,
    trials: TrialSet,
    systems: Sequence[Scored],
    embeddings: np.ndarray,
    seed: int,
) -> None:
    """Score histogram, DET, ROC, reliability and the map of embeddings.

    Arguments
    ---------
    pictures : Pictures
    trials : TrialSet
    systems : Sequence[Scored]
        The first one is judged, the others stand beside it.
    embeddings : np.ndarray
        Of the first one, (utterances, dim).
    seed : int
        Of the map.
    """
    model, labels = systems[0], trials.table.labels
    scores, decision = model.scores[trials.key], model.decision
    pictures.add(
        "scores",
        "Scores",
        "The further the two hills are apart, the better; what lies on the "
        "wrong side of the threshold is decided wrongly.",
        plot_scores(scores, labels, decision.threshold, kind=model.kind),
    )
    sides = None
    if len(set(trials.speakers or ())) >= FEWEST_SPEAKERS:
        speakers = np.asarray(trials.speakers)
        sides = speakers[trials.table.enrol], speakers[trials.table.test]
    curves = [error_curve(model.name, scores, labels, sides)]
    curves += [
        error_curve(system.name, system.scores[trials.key], labels)
        for system in systems[1:]
    ]
    pictures.add(
        "det",
        "DET: both errors at every threshold",
        "Nearer to the lower left corner is better; the dot is the equal "
        "error rate, the band the 95 % interval of the first system.",
        plot_det(curves),
    )
    pictures.add(
        "roc",
        "ROC: what is found at what price",
        "Nearer to the upper left corner is better.",
        plot_roc(curves),
    )
    before, after = (
        reliability(used.probability(scores), labels)
        for used in (UNCALIBRATED, decision.calibration)
    )
    pictures.add(
        "reliability",
        "Do the probabilities mean what they say",
        "At a prior of 0.5. On the line, of those trials that were promised "
        "70 % seventy in a hundred are one voice.",
        plot_reliability(before, after),
    )
    if trials.speakers is not None:
        # More marks than that would cover each other, and take minutes.
        every = -(-len(embeddings) // MOST_MARKS)
        points = project(embeddings[::every], seed)
        pictures.add(
            "embeddings",
            "Embeddings in two dimensions",
            "Each mark is a clip (t-SNE of the embeddings); marks of one "
            "speaker should lie together. Distances between groups mean "
            "little.",
            plot_embeddings(points, trials.speakers[::every]),
        )
