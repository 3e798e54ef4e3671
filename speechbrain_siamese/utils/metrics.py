"""Verification metrics from scores and labels of trials.

A score is a cosine similarity (higher is more alike), a label is 1 for the
same speaker and 0 for different ones. A trial is accepted if
``score > threshold``, as in SpeechBrain's ``verify_batch``. Every figure
comes from one sorted list of scores, so that long trial lists stay cheap.
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    auc,
    precision_recall_fscore_support,
    roc_curve,
)

# Half-precision rounding lifts a cosine above 1 by up to 2**-7 (bfloat16).
COSINE_ROUNDING = 0.01

# The target prior of every detection cost that is reported.
DCF_PRIORS = {"min_dcf_0.01": 0.01, "min_dcf_0.05": 0.05}


def eer(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Equal error rate, and the threshold that comes closest to it.

    The operating points lie between neighbouring distinct scores; equal
    scores are accepted or rejected together. The rate is where the straight
    line between the two points around the crossing has FAR = FRR, so it is
    0 for perfect separation, 1 if every score is on the wrong side and 0.5
    if all scores are equal. A threshold can't be interpolated through equal
    scores: it belongs to the nearer of the two points (the higher threshold
    if both are as near) and is the midpoint of the two scores beside it, so
    that ``>`` and ``>=`` decide alike. If all scores are equal it is the
    next float above them: nothing is accepted.

    Arguments
    ---------
    scores : np.ndarray
        Scores, higher is more alike, (trials,).
    labels : np.ndarray
        1 same speaker, 0 different, (trials,).

    Returns
    -------
    rate : float
        Equal error rate, from 0 to 1.
    threshold : float
        Accept a trial if its score is above this.

    Raises
    ------
    ValueError
        If the trials are unusable, see ``checked_trials``.

    Example
    -------
    >>> rate, threshold = eer([0.9, 0.6, 0.4, 0.1], [1, 1, 0, 0])
    >>> rate, threshold
    (0.0, 0.5)
    """
    return _eer_at(*operating_points(*checked_trials(scores, labels)))


def _eer_at(
    far: np.ndarray, frr: np.ndarray, distinct: np.ndarray
) -> tuple[float, float]:
    """As ``eer``, of operating points."""
    rate, after = crossing(far, frr)
    gap_before, gap_after = np.abs(far - frr)[after - 1 : after + 1]
    # The margin keeps rounding from deciding between two equal gaps.
    point = after if gap_after < gap_before - 1e-12 else after - 1
    return rate, threshold_at(point, distinct)


def min_dcf(
    scores: np.ndarray,
    labels: np.ndarray,
    p_target: float = 0.01,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
) -> float:
    """Minimum detection cost, normalised as in NIST's evaluations.

    The least ``c_miss * FRR * p_target + c_fa * FAR * (1 - p_target)`` over
    all thresholds (accepting all and rejecting all among them), divided by
    what the better of those two costs: ``min(c_miss * p_target, c_fa * (1 -
    p_target))``. So it is at most 1. SpeechBrain's ``minDCF`` is not
    normalised: with equal costs it is ``p_target`` times this value.

    Arguments
    ---------
    scores : np.ndarray
        Scores, higher is more alike, (trials,).
    labels : np.ndarray
        1 same speaker, 0 different, (trials,).
    p_target : float
        Prior probability of the same speaker, between 0 and 1.
    c_miss : float
        Cost of rejecting the same speaker, above 0.
    c_fa : float
        Cost of accepting a different speaker, above 0.

    Returns
    -------
    cost : float
        From 0 (perfect) to 1 (no better than a constant answer).

    Raises
    ------
    ValueError
        If the trials are unusable, or the prior or a cost is out of range.

    Example
    -------
    >>> min_dcf([0.9, 0.6, 0.4, 0.1], [1, 0, 1, 0])
    0.5
    """
    scores, labels = checked_trials(scores, labels)
    if not 0 < p_target < 1:
        raise ValueError(
            f"p_target is {p_target}, expected a probability between 0 and "
            "1: give the prior of the same speaker, such as 0.01"
        )
    if not (0 < c_miss < np.inf and 0 < c_fa < np.inf):
        raise ValueError(
            f"c_miss is {c_miss} and c_fa is {c_fa}, expected finite costs "
            "above 0: give 1.0 for both unless one error is the worse"
        )
    far, frr, _ = operating_points(scores, labels)
    return least_cost(far, frr, p_target, c_miss, c_fa)


def verification_metrics(
    scores: np.ndarray,
    labels: np.ndarray,
    threshold: float | None = None,
    kind: str | None = "cosine",
) -> dict[str, float | None]:
    """All figures of one trial list, ready for JSON.

    ``eer``, ``min_dcf_0.01``, ``min_dcf_0.05`` and ``auc`` look at all
    thresholds; ``accuracy``, ``precision``, ``recall`` and ``f1`` at the one
    under ``threshold``. Precision is 0 if nothing is accepted, and F1 is 0
    if no accepted trial is right.

    Arguments
    ---------
    scores : np.ndarray
        Higher is more alike, (trials,).
    labels : np.ndarray
        1 same speaker, 0 different, (trials,).
    threshold : float
        Accept above this score. ``None`` takes the EER threshold of these
        very trials, which flatters them: give one chosen on validation
        trials to judge test trials.
    kind : str or None
        ``cosine`` similarities of embeddings, ``euclidean`` distances with
        the sign turned round, or None for scores without distances.

    Returns
    -------
    metrics : dict
        The figures above, ``distance_similar`` and ``distance_dissimilar``
        (mean Euclidean distance; of the unit-length embeddings, 0 to 2, for
        cosines), ``trials_similar`` and ``trials_dissimilar``
        (counts, int).

    Raises
    ------
    ValueError
        If the trials are unusable, a score is no cosine where they are said
        to be, or the threshold is not finite.

    Example
    -------
    >>> metrics = verification_metrics([0.9, 0.5, 0.2], [1, 0, 0])
    >>> metrics["eer"], metrics["threshold"], metrics["trials_dissimilar"]
    (0.0, 0.7, 2)
    """
    scores, labels = checked_trials(scores, labels)
    distances = score_distances(scores, kind)
    far, frr, distinct = operating_points(scores, labels)
    rate, eer_threshold = _eer_at(far, frr, distinct)
    if threshold is None:
        threshold = eer_threshold
    elif not np.isfinite(threshold):
        raise ValueError(
            f"threshold is {threshold}, expected a finite score: leave it "
            "out to use the EER threshold of these trials"
        )
    accepted = (scores > threshold).astype(int)
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, accepted, average="binary", zero_division=0.0
    )
    return {
        "eer": rate,
        **{
            name: least_cost(far, frr, p_target)
            for name, p_target in DCF_PRIORS.items()
        },
        "threshold": float(threshold),
        "accuracy": float(accuracy_score(labels, accepted)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "auc": float(auc(far, 1 - frr)),
        **{
            name: None
            if distances is None
            else float(distances[labels == label].mean())
            for label, name in (
                (1, "distance_similar"),
                (0, "distance_dissimilar"),
            )
        },
        "trials_similar": int((labels == 1).sum()),
        "trials_dissimilar": int((labels == 0).sum()),
    }


def checked_trials(
    scores: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels as arrays, or an error that says what is wrong.

    Arguments
    ---------
    scores : np.ndarray
        Scores, (trials,).
    labels : np.ndarray
        1 same speaker, 0 different, (trials,).

    Returns
    -------
    scores : np.ndarray
        float64, (trials,).
    labels : np.ndarray
        int64 of 0 and 1, (trials,).

    Raises
    ------
    ValueError
        If shapes differ or are not (trials,), there is no trial, a score
        is NaN or infinite, a label isn't 0 or 1, or one class is missing.
    """
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise ValueError(
            f"scores have shape {scores.shape} and labels {labels.shape}, "
            "expected (trials,) twice: flatten them and give one label per "
            "score"
        )
    if not len(scores):
        raise ValueError(
            "found no trials, expected at least one of the same and one of "
            "different speakers: check that the trial list isn't empty"
        )
    broken = np.flatnonzero(~np.isfinite(scores))
    if len(broken):
        raise ValueError(
            f"{len(broken)} of {len(scores)} scores are NaN or infinite, the "
            f"first is trial {broken[0]} ({scores[broken[0]]}), expected "
            "finite scores: look for silent files or a diverged model"
        )
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(
            f"found the labels {np.unique(labels)[:5].tolist()}, expected 0 "
            "(different) and 1 (same speaker) only: map yours to these"
        )
    labels = labels.astype(np.int64)
    if labels.min() == labels.max():
        raise ValueError(
            f"all {len(labels)} trials have label {labels[0]}, expected both "
            "0 and 1: add trials of the missing kind to the list"
        )
    return scores, labels


def score_distances(scores: np.ndarray, kind: str | None) -> np.ndarray | None:
    """Euclidean distances of embeddings from their scores.

    Arguments
    ---------
    scores : np.ndarray
        (trials,)
    kind : str or None
        As for ``verification_metrics``.

    Returns
    -------
    np.ndarray or None
        (trials,); of unit-length embeddings for cosines. None without a kind.

    Raises
    ------
    ValueError
        If the scores are not of that kind.

    Example
    -------
    >>> score_distances(np.array([1.0, 0.5, -1.0]), "cosine")
    array([0., 1., 2.])
    >>> score_distances(np.array([-3.0]), "euclidean")
    array([3.])
    """
    if kind is None:
        return None
    if kind not in ("cosine", "euclidean"):
        raise ValueError(
            f"kind is {kind!r}, expected cosine, euclidean or None"
        )
    if kind == "euclidean":
        if scores.max() > 0:
            raise ValueError(
                f"scores reach up to {scores.max():.4g}, expected distances "
                "with the sign turned round, which are never above 0"
            )
        return -scores
    if np.abs(scores).max() > 1 + COSINE_ROUNDING:
        raise ValueError(
            f"scores reach from {scores.min():.4g} to {scores.max():.4g}, "
            "expected cosine similarities from -1 to 1: give the raw "
            "cosines, or say that they are none (kind=None)"
        )
    # Rounding may lift a cosine just above 1; a distance is never below 0.
    return np.sqrt(np.maximum(2 - 2 * scores, 0))


def operating_points(
    scores: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both error rates at every decision, from accepting nothing to all.

    Arguments
    ---------
    scores, labels : np.ndarray
        As ``checked_trials`` returns them.

    Returns
    -------
    far : np.ndarray
        False acceptance rate, (points,). Point k accepts the k highest
        distinct scores.
    frr : np.ndarray
        False rejection rate, (points,).
    distinct : np.ndarray
        Distinct scores, highest first, (points - 1,).
    """
    far, hit_rate, distinct = roc_curve(labels, scores, drop_intermediate=False)
    return far, 1 - hit_rate, distinct[1:]


def crossing(far: np.ndarray, frr: np.ndarray) -> tuple[float, int]:
    """Find where the false acceptances meet the false rejections.

    Arguments
    ---------
    far : np.ndarray
        False acceptance rate from accepting nothing to all, (points,).
    frr : np.ndarray
        False rejection rate at the same points, (points,).

    Returns
    -------
    rate : float
        Where the straight line between two points has FAR = FRR.
    after : int
        The first point at or past it.
    """
    gap = far - frr
    after = int(np.searchsorted(gap, 0.0))
    share = -gap[after - 1] / (gap[after] - gap[after - 1])
    rate = far[after - 1] + share * (far[after] - far[after - 1])
    return float(rate), after


def threshold_at(point: int, distinct: np.ndarray) -> float:
    """Threshold that accepts the ``point`` highest of the distinct scores.

    Arguments
    ---------
    point : int
        0 for none, ``len(distinct)`` for all.
    distinct : np.ndarray
        Distinct scores, highest first.

    Returns
    -------
    float
        The midpoint of the two scores beside it.
    """
    if point == 0:
        return float(np.nextafter(distinct[0], np.inf))
    if point == len(distinct):
        return float(np.nextafter(distinct[-1], -np.inf))
    above, below = distinct[point - 1], distinct[point]
    middle = above / 2 + below / 2
    # Between neighbouring floats the midpoint is one of them: the lower one
    # decides rightly under ``>``.
    return float(middle if below < middle < above else below)


def least_cost(
    far: np.ndarray,
    frr: np.ndarray,
    p_target: float,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
) -> float:
    """Minimum detection cost over operating points, normalised.

    Arguments
    ---------
    far : np.ndarray
        False acceptance rate of each point, (points,).
    frr : np.ndarray
        False rejection rate of each point, (points,).
    p_target : float
        Prior probability of the same speaker.
    c_miss : float
        Cost of rejecting the same speaker.
    c_fa : float
        Cost of accepting a different speaker.

    Returns
    -------
    float
    """
    miss, false_alarm = c_miss * p_target, c_fa * (1 - p_target)
    costs = miss * frr + false_alarm * far
    return float(costs.min() / min(miss, false_alarm))
