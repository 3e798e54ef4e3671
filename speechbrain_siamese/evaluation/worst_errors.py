"""The trials that went most wrong, and their sound for a web page."""

from __future__ import annotations

import base64

import numpy as np
import soxr

from speechbrain_siamese.dataio.decoding import decode
from speechbrain_siamese.dataio.trial_sets import TrialSet
from speechbrain_siamese.evaluation.systems import Scored
from speechbrain_siamese.utils.metrics import checked_trials
from speechbrain_siamese.utils.sound_bytes import sound_bytes

#: Worst errors of each kind that the page lets one hear.
HEARD = 5

#: What MPEG layer III can hold, in Hz.
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

#: -3 dBFS: equal for all players, with room for what coding adds.
PEAK = 0.7


def worst_errors(
    scores: np.ndarray,
    labels: np.ndarray,
    threshold: float,
    count: int = 5,
    pairs: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[list[int], list[int]]:
    """Find the wrong decisions that are furthest from the threshold.

    Arguments
    ---------
    scores : np.ndarray
        Scores, higher is more alike, (trials,).
    labels : np.ndarray
        1 same speaker, 0 different, (trials,).
    threshold : float
        A trial is accepted above it.
    count : int
        At most so many of each kind.
    pairs : tuple of two np.ndarray
        Utterances of both sides, numbers or names, (trials,) each. A pair
        that the list holds again, in whichever order, is given once.
        Without it all trials count as different pairs.

    Returns
    -------
    false_accepts : list of int
        Positions of trials of different speakers, the highest score first.
    false_rejects : list of int
        Positions of trials of the same speaker, the lowest score first.

    Raises
    ------
    ValueError
        If the trials are unusable, see ``checked_trials``, the threshold is
        not finite, or pairs and scores differ in number.

    Example
    -------
    >>> worst_errors([0.9, 0.2, 0.7, 0.6, 0.8], [1, 1, 0, 0, 0], 0.65)
    ([4, 2], [1])
    """
    scores, labels = checked_trials(scores, labels)
    if not np.isfinite(threshold):
        raise ValueError(
            f"threshold is {threshold}, expected a finite score: give the "
            "one that decided these trials"
        )
    if pairs is None:
        pairs = (np.arange(len(scores)),) * 2
    if {len(side) for side in pairs} != {len(scores)}:
        raise ValueError(
            f"pairs have {[len(side) for side in pairs]} utterances for "
            f"{len(scores)} scores, expected as many: give both sides of "
            "these very trials"
        )
    accepted = scores > threshold
    return (
        _first(-scores, accepted & (labels == 0), pairs, count),
        _first(scores, ~accepted & (labels == 1), pairs, count),
    )


def _first(order, wrong, pairs, count):
    """Take the lowest in order among the wrong ones, each pair once."""
    positions = np.flatnonzero(wrong)
    seen, chosen = set(), []
    # Stable: equal scores in the order of the list.
    for position in positions[np.argsort(order[positions], kind="stable")]:
        if len(chosen) == count:
            break
        pair = frozenset(side[position] for side in pairs)
        if pair not in seen:
            seen.add(pair)
            chosen.append(int(position))
    return chosen


def audio_player_data(
    samples: np.ndarray, sample_rate: int, seconds: float = 6.0
) -> str:
    """Sound as the address of a player, which needs no file beside the page.

    Arguments
    ---------
    samples : np.ndarray
        Mono, (samples,).
    sample_rate : int
        Hz. A rate that MP3 does not know is raised to the next one.
    seconds : float
        At most so much, from the middle.

    Returns
    -------
    str
        ``data:audio/mpeg;base64,...``: mono MP3, which every browser plays,
        levelled to a peak of -3 dBFS.

    Raises
    ------
    ValueError
        If there are no samples, more than one channel, or values which are
        not finite.

    Example
    -------
    >>> audio_player_data(np.sin(np.arange(16000) / 9), 16000)[:25]
    'data:audio/mpeg;base64,//'
    """
    samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim != 1 or not len(samples):
        raise ValueError(
            f"samples have shape {samples.shape}, expected (samples,) with "
            "one at least: give mono sound that is not empty"
        )
    if not np.isfinite(samples).all():
        raise ValueError(
            "samples hold NaN or infinite values, expected finite ones: "
            "decode the file again"
        )
    length = round(seconds * sample_rate)
    start = max(0, (len(samples) - length) // 2)
    samples = samples[start : start + length]
    rate = min(
        (rate for rate in MP3_RATES if rate >= sample_rate),
        default=MP3_RATES[-1],
    )
    if rate != sample_rate:
        samples = soxr.resample(samples, sample_rate, rate)
    peak = np.abs(samples).max(initial=0)
    if peak > 0:
        samples = samples * (PEAK / peak)
    code = base64.b64encode(sound_bytes(samples, rate, "MP3")).decode("ascii")
    return f"data:audio/mpeg;base64,{code}"


def hear_errors(
    trials: TrialSet, scored: Scored
) -> tuple[list[dict], dict[str, str]]:
    """The worst errors of a system, and players of their utterances.

    Arguments
    ---------
    trials : TrialSet
    scored : Scored

    Returns
    -------
    errors : list of dict
        ``kind, set, enrol, test, score, threshold, probability``.
    players : dict of str : str
        What ``audio_player_data`` gives, by the utterance's name.
    """
    table, decision = trials.table, scored.decision
    scores = scored.scores[trials.key]
    wrong = worst_errors(
        scores,
        table.labels,
        decision.threshold,
        HEARD,
        (table.enrol, table.test),
    )
    errors, players = [], {}
    for kind, positions in zip(
        ("false accept", "false reject"), wrong, strict=True
    ):
        for position in positions:
            sides = int(table.enrol[position]), int(table.test[position])
            score = float(scores[position])
            errors.append(
                {
                    "kind": kind,
                    "set": trials.title,
                    "enrol": table.names[sides[0]],
                    "test": table.names[sides[1]],
                    "score": score,
                    "threshold": decision.threshold,
                    "probability": float(
                        decision.calibration.probability(score)
                    ),
                }
            )
            for side in sides:
                players[table.names[side]] = audio_player_data(
                    decode(trials.paths[side], 16000), 16000
                )
    return errors, players
