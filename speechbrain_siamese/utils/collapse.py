"""Recognise a training in which all voices have become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

#: Standard deviation of the validation scores below which they are all alike:
#: an untrained encoder has some thousandths.
COLLAPSED = 1e-4

#: Distance of training pairs below which they are: what is not trained of an
#: encoder keeps the scores apart. As far as scores of ``COLLAPSED``.
_NEAR = COLLAPSED**0.5

#: Such epochs one after the other that end a training.
PATIENCE = 3

ADVICE = (
    "the network says the same of every voice, so that nothing can be learnt "
    "any more. Lower lr; raise classifier_weight or margin; set "
    "--precision=fp32; see in prepared/report.html whether the recordings are "
    "what they should be"
)


def collapsed_epochs(epochs: Sequence[Mapping[str, float]]) -> list[int]:
    """Numbers of the epochs in which all scores, or training pairs, were alike.

    Arguments
    ---------
    epochs : Sequence of Mapping
        As ``epoch_figures`` gives them; those of an earlier version, which do
        not tell it, are not among them.

    Returns
    -------
    list of int

    Example
    -------
    >>> collapsed_epochs([{"epoch": 1, "valid_spread": 0.1}])
    []
    >>> collapsed_epochs([{"epoch": 1, "valid_spread": 1e-7}])
    [1]
    >>> near = dict.fromkeys(
    ...     ["train_distance_similar", "train_distance_dissimilar"], 0.001
    ... )
    >>> collapsed_epochs([{"epoch": 2, **near}])
    [2]
    """
    return [
        int(epoch["epoch"])
        for epoch in epochs
        if epoch.get("valid_spread", 1.0) < COLLAPSED
        or _distance(epoch) < _NEAR
    ]


def _distance(epoch: Mapping[str, float]) -> float:
    """The larger mean distance: without pairs of one kind theirs is 0."""
    return max(
        epoch.get(f"train_distance_{side}", 1.0)
        for side in ("similar", "dissimilar")
    )


def check_collapse(epochs: Sequence[Mapping[str, float]]) -> None:
    """Warn of an epoch in which all voices became one; end if they stay so.

    Arguments
    ---------
    epochs : Sequence of Mapping
        Those that are over.

    Raises
    ------
    ValueError
        If that was so for ``PATIENCE`` epochs.
    """
    if not collapsed_epochs(epochs[-1:]):
        return
    last = epochs[-1]
    if _distance(last) < _NEAR:
        alike = (
            f"voices of a batch are alike (mean distance {_distance(last):.1g})"
        )
    else:
        spread = last["valid_spread"]
        alike = f"validation scores are alike (standard deviation {spread:.1g})"
    found = f"epoch {last['epoch']}: all {alike}: {ADVICE}"
    if len(collapsed_epochs(epochs[-PATIENCE:])) == PATIENCE:
        raise ValueError(
            f"{found}. It was so for {PATIENCE} epochs, so the training ends; "
            "give the command again with another output_folder"
        )
    logger.warning("%s", found)
