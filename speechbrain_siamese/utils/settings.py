"""Settings of a training that are refused before any work is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from speechbrain_siamese.utils.ranges import check_range

#: Key, least and greatest value, unit, whether it must be whole.
_RANGES = (
    ("number_of_epochs", 1, 100_000, "", True),
    ("n_jobs", -1, 1024, "", True),
    ("num_workers", 0, 1024, "", True),
    ("eval_batch_size", 1, 10_000, "", True),
    ("window_len", 0.4, 60, "s", False),
    ("pair_weight", 0, 1000, "", False),
    ("classifier_weight", 0, 1000, "", False),
    ("lr", 1e-8, 10, "", False),
)

#: A design with pairs that are fixed before has these in place of those.
_BATCHES = (
    ("speakers_per_batch", 2),
    ("clips_per_speaker", 2),
    ("pairs_per_batch", 1),
    ("similar_per_speaker", 1),
    ("dissimilar_per_pair", 1),
)


def check_ranges(hparams: Mapping[str, object]) -> None:
    """Refuse numbers out of their range.

    Arguments
    ---------
    hparams : Mapping[str, object]
        The training's hyperparameters.

    Raises
    ------
    ValueError
        If one is out of its range.

    Example
    -------
    >>> check_ranges({"number_of_epochs": 0})
    Traceback (most recent call last):
        ...
    ValueError: number_of_epochs is 0, expected a whole number from 1 to 100000
    """
    for key, low, high, unit, whole in _RANGES:
        check_range(key, hparams[key], low, high, unit, whole)
    for key, low in _BATCHES:
        if key in hparams:
            check_range(key, hparams[key], low, 10_000, whole=True)
    if not hparams["n_jobs"]:
        raise ValueError("n_jobs is 0, expected 1 or more, or -1 for all cores")


def check_limits(steps: object, minutes: object) -> None:
    """Refuse limits of a training out of their range.

    Arguments
    ---------
    steps : object
        ``steps_per_epoch``; None for no limit.
    minutes : object
        ``max_minutes``; None for no limit.

    Raises
    ------
    ValueError
        If one is out of its range.
    """
    if steps is not None:
        check_range("steps_per_epoch", steps, 1, 1e6, whole=True)
    if minutes is not None:
        check_range("max_minutes", minutes, 0.01, 1e6, "minutes")


def check_weights(pairs: float, classifier: float) -> None:
    """Refuse a training without a loss.

    Arguments
    ---------
    pairs, classifier : float
        ``pair_weight`` and ``classifier_weight``.

    Raises
    ------
    ValueError
        If both are 0.
    """
    if not pairs and not classifier:
        raise ValueError(
            "pair_weight and classifier_weight are both 0, expected one above "
            "0: there is nothing to learn from"
        )


def check_speeds(speeds: Sequence[float]) -> None:
    """Refuse speeds that would make another voice of it, or none.

    Arguments
    ---------
    speeds : Sequence[float]
        Percent.

    Raises
    ------
    ValueError
        If there is none, or one is out of its range.
    """
    if not speeds:
        raise ValueError("speeds is empty, expected percents: [100] for none")
    for speed in speeds:
        check_range("speeds", speed, 50, 200, "percent")
