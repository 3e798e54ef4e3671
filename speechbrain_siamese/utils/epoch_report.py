"""The figures of an epoch: counted, kept, logged and drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from speechbrain_siamese.utils.metrics import (
    score_distances,
    verification_metrics,
)
from speechbrain_siamese.utils.plots import (
    plot_distances,
    plot_scores,
    save_figure,
)


def add_distances(
    sums: dict[str, float], distances: torch.Tensor, same: torch.Tensor
) -> None:
    """Add the pairs of a batch to the running sums of an epoch.

    Pairs whose distance is not finite are left out, as their step is.

    Arguments
    ---------
    sums : dict of str : float
        Of the epoch; changed in place.
    distances : torch.Tensor
        Of the pairs, (pairs,).
    same : torch.Tensor
        True where both clips are one speaker's, (pairs,), bool.
    """
    finite = distances.isfinite()
    for side, chosen in (
        ("similar", same & finite),
        ("dissimilar", ~same & finite),
    ):
        for key, value in (
            (f"{side}_sum", float(distances[chosen].double().sum())),
            (f"{side}_pairs", int(chosen.sum())),
        ):
            sums[key] = sums.get(key, 0) + value


def mean_distances(sums: Mapping[str, float]) -> dict[str, float]:
    """Mean distance of an epoch's similar and dissimilar pairs.

    Arguments
    ---------
    sums : Mapping[str, float]
        As ``add_distances`` fills them.

    Returns
    -------
    dict of str : float
        NaN before the first pair.

    Example
    -------
    >>> sums = {}
    >>> add_distances(sums, torch.tensor([1.0, 3.0]), torch.tensor([True] * 2))
    >>> add_distances(sums, torch.tensor([5.0]), torch.tensor([False]))
    >>> mean_distances(sums)
    {'distance_similar': 2.0, 'distance_dissimilar': 5.0}
    """
    return {
        f"distance_{side}": sums.get(f"{side}_sum", float("nan"))
        / max(1, sums.get(f"{side}_pairs", 0))
        for side in ("similar", "dissimilar")
    }


def validation_figures(
    scores: np.ndarray, labels: np.ndarray, loss: Callable, kind: str
) -> dict[str, float]:
    """All figures of the validation trials, and the loss over them.

    Arguments
    ---------
    scores : np.ndarray
        Higher is more alike, (trials,).
    labels : np.ndarray
        1 same speaker, 0 different, (trials,).
    loss : Callable
        Of the training; its ``over_pairs`` is called where it has that.
    kind : str
        As for ``metrics.verification_metrics``.

    Returns
    -------
    dict of str : float
        ``spread`` is the standard deviation of all scores.
    """
    figures = verification_metrics(scores, labels, kind=kind)
    figures["spread"] = float(np.std(scores, dtype=np.float64))
    if hasattr(loss, "over_pairs"):
        distances = torch.from_numpy(score_distances(scores, kind))
        same = torch.from_numpy(labels == 1)
        figures = {"loss": float(loss.over_pairs(distances, same)), **figures}
    return figures


def epoch_figures(epoch: int, lr: float, train: Mapping, valid: Mapping):
    """One epoch's entry in the history.

    Arguments
    ---------
    epoch : int
    lr : float
        Learning rate of the last step.
    train, valid : Mapping of str : float
        Figures of each side.

    Returns
    -------
    dict of str : float
        With ``train_`` and ``valid_`` before the names.
    """
    return {
        "epoch": epoch,
        "lr": lr,
        **{f"train_{name}": value for name, value in train.items()},
        **{f"valid_{name}": value for name, value in valid.items()},
    }


def figures_of(side: str, figures: Mapping[str, float]) -> dict[str, float]:
    """Figures of one side of an epoch, without its prefix.

    Arguments
    ---------
    side : str
        ``train`` or ``valid``.
    figures : Mapping[str, float]
        As ``epoch_figures`` gives them.

    Returns
    -------
    dict of str : float

    Example
    -------
    >>> figures_of("valid", epoch_figures(1, 0.1, {"loss": 3}, {"loss": 2}))
    {'loss': 2}
    """
    return {
        name.removeprefix(f"{side}_"): value
        for name, value in figures.items()
        if name.startswith(f"{side}_")
    }


def log_epoch(figures: Mapping[str, float], train_loggers: Sequence) -> None:
    """Pass an epoch's figures to SpeechBrain's loggers.

    Arguments
    ---------
    figures : Mapping[str, float]
        As ``epoch_figures`` gives them.
    train_loggers : Sequence of TrainLogger
    """
    for train_logger in train_loggers:
        train_logger.log_stats(
            stats_meta={key: figures[key] for key in ("epoch", "lr")},
            train_stats=figures_of("train", figures),
            valid_stats=figures_of("valid", figures),
        )


def draw_epoch(
    epochs: Sequence[dict],
    scores: np.ndarray,
    labels: np.ndarray,
    kind: str,
    folder: str | Path,
) -> None:
    """Draw distances over epochs, and the last one's validation scores.

    Arguments
    ---------
    epochs : Sequence of dict
        Figures of each epoch, as ``epoch_figures`` gives them.
    scores, labels, kind
        As for ``validation_figures``.
    folder : str or Path
        For ``distances.png`` and ``scores_valid.png``.
    """
    save_figure(plot_distances(epochs), Path(folder) / "distances.png")
    histogram = plot_scores(
        scores,
        labels,
        epochs[-1]["valid_threshold"],
        title="validation trials",
        kind=kind,
    )
    save_figure(histogram, Path(folder) / "scores_valid.png")


def open_tensorboard(build: Callable):
    """Open the TensorBoard logger, or name the extra that it needs.

    Arguments
    ---------
    build : Callable
        Builds SpeechBrain's ``TensorboardLogger``.

    Returns
    -------
    TensorboardLogger

    Raises
    ------
    ImportError
        If TensorBoard is not installed.
    """
    try:
        return build()
    except ImportError as error:
        raise ImportError(
            "use_tensorboard is True, but TensorBoard is not installed: "
            'pip install "speechbrain-siamese[tensorboard]"'
        ) from error
