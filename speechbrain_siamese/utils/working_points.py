"""Thresholds at the working point that a user states."""

from __future__ import annotations

import numpy as np

from speechbrain_siamese.utils.metrics import (
    checked_trials,
    eer,
    operating_points,
    threshold_at,
)


def working_threshold(
    scores: np.ndarray, labels: np.ndarray, target: str = "eer"
) -> float:
    """Threshold at which trials meet a target; fit it on validation trials.

    ``eer`` makes both errors alike; ``fpr=x`` accepts at most the share x of
    different speakers, and as many of the same as that allows; ``recall=x``
    accepts at least the share x of the same speaker, and as few different
    ones as that allows; ``dcf=x`` has the least detection cost if a share x
    of the trials are of the same speaker (both errors cost 1);
    ``mean_similar`` is the mean score of the same speaker, as the two-tower
    design of 2023 decided: some half of them are rejected.

    Arguments
    ---------
    scores : np.ndarray
        Scores, higher is more alike, (trials,).
    labels : np.ndarray
        1 same speaker, 0 different, (trials,).
    target : str
        ``eer``, ``mean_similar``, ``fpr=<share>``, ``recall=<share>`` or
        ``dcf=<prior>``.

    Returns
    -------
    float
        Accept a trial if its score is above this.

    Raises
    ------
    ValueError
        If the target is none of these or the trials are unusable.

    Example
    -------
    >>> scores, labels = [0.9, 0.7, 0.6, 0.2], [1, 0, 1, 0]
    >>> working_threshold(scores, labels, "fpr=0")
    0.8
    >>> round(working_threshold(scores, labels, "recall=1"), 6)
    0.4
    """
    kind, value = parse_target(target)
    if kind == "eer":
        return eer(scores, labels)[1]
    scores, labels = checked_trials(scores, labels)
    if kind == "mean_similar":
        return float(scores[labels == 1].mean())
    far, frr, distinct = operating_points(scores, labels)
    # From accepting nothing to accepting all; shares of trials are fractions,
    # which rounding must not push across the value that was asked for.
    if kind == "fpr":
        point = np.flatnonzero(far <= value + 1e-12)[-1]
        # As many of the same speaker, with as few of the others.
        point = np.flatnonzero(frr <= frr[point])[0]
    elif kind == "recall":
        point = np.flatnonzero(1 - frr >= value - 1e-12)[0]
    else:
        point = np.argmin(value * frr + (1 - value) * far)
    return threshold_at(int(point), distinct)


def parse_target(target: str) -> tuple[str, float]:
    """Read a target.

    Arguments
    ---------
    target : str
        As for ``working_threshold``.

    Returns
    -------
    kind : str
        ``eer``, ``mean_similar``, ``fpr``, ``recall`` or ``dcf``.
    value : float
        NaN for the first two.

    Raises
    ------
    ValueError
        If it is none of these.

    Example
    -------
    >>> parse_target("fpr=0.01")
    ('fpr', 0.01)
    """
    # SpeechBrain's command line makes "fpr 0.01" of "--key=fpr=0.01".
    kind, _, text = str(target).replace(" ", "=").partition("=")
    if kind in ("eer", "mean_similar") and not text:
        return kind, np.nan
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    inside = 0 < value < 1 if kind == "dcf" else 0 <= value <= 1
    if kind not in ("fpr", "recall", "dcf") or not inside:
        raise ValueError(
            f"target is {target!r}, expected eer, mean_similar, fpr=0.01, "
            "recall=0.95 or dcf=0.01, or another share"
        )
    return kind, value


def written_target(target: str) -> str:
    """A target as everybody writes it.

    Arguments
    ---------
    target : str
        As for ``working_threshold``.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If it is none.

    Example
    -------
    >>> written_target("fpr 0.010")
    'fpr=0.01'
    """
    kind, value = parse_target(target)
    return kind if np.isnan(value) else f"{kind}={value:g}"
