"""Settings of a training that are refused before any work is done."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence

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
    if "full_share_seconds" in hparams:
        seconds = hparams["full_share_seconds"]
        check_range("full_share_seconds", seconds, 1, 1e6, "s")
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


def check_losses(
    cost: Callable,
    miner: Callable | None,
    classifier_cost: Callable | None,
    weights: tuple[float, float, float],
) -> None:
    """Refuse a training without a loss, or with losses that do not fit.

    Arguments
    ---------
    cost : Callable
        ``compute_cost``.
    miner : Callable or None
        Picks the pairs that ``cost`` gets as its third argument.
    classifier_cost : Callable or None
    weights : tuple of float
        ``pair_weight``, ``classifier_weight``, and that of a teacher; 0
        without one.

    Raises
    ------
    ValueError
        If all weights are 0, ``cost`` takes no pairs from a miner, or the
        classifier's weight has no loss to weigh.
    """
    if not any(weights):
        raise ValueError(
            "pair_weight and classifier_weight are 0, and there is no teacher: "
            "there is nothing to learn from"
        )
    if weights[1] and classifier_cost is None:
        raise ValueError(
            f"classifier_weight is {weights[1]}, but classifier_cost is null: "
            "give a loss, or 0 as its weight"
        )
    call = getattr(cost, "forward", cost)
    if miner is not None and len(inspect.signature(call).parameters) < 3:
        raise ValueError(
            f"miner is a {type(miner).__name__}, but compute_cost, a "
            f"{type(cost).__name__}, takes every pair: leave the miner out, or "
            "name a loss of pytorch_metric_learning"
        )


def check_teacher(weight: float, window: float, hop: float) -> None:
    """Refuse settings of a teacher out of their range.

    Arguments
    ---------
    weight : float
        ``teacher_weight``.
    window, hop : float
        ``teacher_window`` and ``teacher_hop``, in seconds.

    Raises
    ------
    ValueError
        If one is out of its range.
    """
    # The teacher listens long; what is not weighed need not be heard.
    check_range("teacher_weight", weight, 1e-6, 1000)
    check_range("teacher_window", window, 0.5, 60, "s")
    check_range("teacher_hop", hop, 0.1, window, "s")


def check_unlabelled(per_batch: object, teacher: object, shards: bool) -> None:
    """Refuse unlabelled speech that no loss would hear.

    Arguments
    ---------
    per_batch : object
        ``unlabelled_per_batch``.
    teacher : object
        Who speaks of it.
    shards : bool
        Whether training reads from shards.

    Raises
    ------
    ValueError
        If there is no teacher, the number is out of its range, or training
        reads from shards, which hold the speakers' recordings alone.
    """
    check_range("unlabelled_per_batch", per_batch, 1, 10_000, whole=True)
    if not teacher:
        raise ValueError(
            "unlabelled_folder is set, but teacher is null: nobody says what "
            "is to be learnt from it; name a teacher"
        )
    if shards:
        raise ValueError(
            "unlabelled_folder and shards are set, but shards hold the "
            "speakers' recordings alone: leave one of them out"
        )


def check_speeds(
    speeds: Sequence[float],
    speed_perturb: object | None = None,
    voices: bool = False,
    statistics: Sequence[float] = (100,),
) -> None:
    """Refuse speeds that would make another voice of it, or none.

    Arguments
    ---------
    speeds : Sequence[float]
        Percent; windows are drawn long enough for the greatest.
    speed_perturb : object or None
        SpeechBrain's ``SpeedPerturb``.
    voices : bool
        Whether each speed makes other speakers of all.
    statistics : Sequence[float]
        Percent, at which statistics are computed.

    Raises
    ------
    ValueError
        If there is none, one is out of its range, or the perturbation has a
        greater one; with ``voices``, if it has others or none is 100.
    """
    for key, values in (("speeds", speeds), ("statistics_speeds", statistics)):
        if not values:
            raise ValueError(
                f"{key} is empty, expected percents: [100] for none"
            )
        for speed in values:
            check_range(key, speed, 50, 200, "percent")
    own = getattr(speed_perturb, "speeds", [100] if voices else speeds)
    if max(own) > max(speeds):
        raise ValueError(
            f"speed_perturb has a speed of {max(own)} %, more than any of "
            f"speeds ({list(speeds)}), for which windows are drawn long enough"
        )
    if voices and (100 not in speeds or list(own) != list(speeds)):
        raise ValueError(
            f"speed_voices is set; speeds is {list(speeds)} and those of "
            f"speed_perturb {list(own)}: expected the same, and 100 (the "
            "speakers themselves) among them"
        )


def check_augmenters(augmenters: Mapping[str, object | None]) -> None:
    """Refuse augmenters that change how many clips a batch has.

    Arguments
    ---------
    augmenters : Mapping[str, object or None]
        SpeechBrain's ``Augmenter``, or another callable, by its key.

    Raises
    ------
    ValueError
        If one adds clips, whose speakers nobody would tell the losses.
    """
    for key, augmenter in augmenters.items():
        for setting, expected in (
            ("concat_original", False),
            ("parallel_augment", False),
            ("repeat_augment", 1),
        ):
            found = getattr(augmenter, setting, expected)
            if found != expected:
                raise ValueError(
                    f"{key} has {setting}: {found}, expected {expected}: a "
                    "batch's clips keep their number, so that labels fit"
                )
