"""From scores to log-likelihood ratios that mean what they say.

A score says only "more alike" or "less alike". A log-likelihood ratio (LLR,
natural logarithm) says how much more probable the score is if both voices are
one person's than if they are two: with any prior it becomes a probability.
Brummer and du Preez 2006, "Application-independent evaluation of speaker
detection", for Cllr and its minimum; the logistic regression is the usual one
of the field (Brummer's FoCal, BOSARIS).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from speechbrain_siamese.utils.metrics import checked_trials


@dataclass(frozen=True)
class Calibration:
    """A straight line from scores to log-likelihood ratios.

    Arguments
    ---------
    slope : float
        LLR per unit of score; 0 where the scores say nothing, never below, or
        more alike would mean less probable.
    intercept : float
        LLR of the score 0.

    Raises
    ------
    ValueError
        If the slope is below 0 or a value is not finite.

    Example
    -------
    >>> calibration = Calibration(slope=10.0, intercept=-4.0)
    >>> float(calibration.llr(0.6))
    2.0
    >>> round(float(calibration.probability(0.6, prior=0.5)), 3)
    0.881
    """

    slope: float
    intercept: float

    def __post_init__(self):
        if not (0 <= self.slope < np.inf and np.isfinite(self.intercept)):
            raise ValueError(
                f"the calibration has slope {self.slope} and intercept "
                f"{self.intercept}, expected finite values and a slope of at "
                "least 0: fit it with fit_calibration"
            )

    def llr(self, scores: np.ndarray | float) -> np.ndarray:
        """Log-likelihood ratio of scores.

        Arguments
        ---------
        scores : np.ndarray or float
            Of any shape.

        Returns
        -------
        np.ndarray
            The same shape; above 0 speaks for one voice.
        """
        return self.slope * np.asarray(scores, np.float64) + self.intercept

    def probability(
        self, scores: np.ndarray | float, prior: float = 0.5
    ) -> np.ndarray:
        """Probability of one voice.

        Arguments
        ---------
        scores : np.ndarray or float
            Of any shape.
        prior : float
            Probability of one voice before anything was heard.

        Returns
        -------
        np.ndarray
            The same shape, 0 to 1.
        """
        return expit(self.llr(scores) + logit(_checked_prior(prior)))


def fit_calibration(
    scores: np.ndarray, labels: np.ndarray, prior: float = 0.5
) -> Calibration:
    """Fit the line by logistic regression, both classes weighted to a prior.

    Arguments
    ---------
    scores : np.ndarray
        Scores, higher is more alike, (trials,). Validation trials: people who
        neither trained nor test.
    labels : np.ndarray
        1 same speaker, 0 different, (trials,).
    prior : float
        Around which of the two errors the line fits best; 0.5 treats both
        alike.

    Returns
    -------
    Calibration
        The line with LLR 0 everywhere if the scores do not tell voices apart
        or have them the wrong way round.

    Raises
    ------
    ValueError
        If the trials are unusable, see ``checked_trials``.

    Example
    -------
    >>> calibration = fit_calibration([0.9, 0.5, 0.6, 0.1], [1, 1, 0, 0])
    >>> bool(calibration.llr(0.9) > 0 > calibration.llr(0.1))
    True
    """
    scores, labels = checked_trials(scores, labels)
    weights = _weights(labels, prior) * len(labels)
    # Standardised, so that the faint penalty, which keeps separable trials
    # from an endless slope, is the same for any score.
    centre, scale = float(scores.mean()), float(scores.std()) or 1.0
    fitted = LogisticRegression(C=1.0).fit(
        ((scores - centre) / scale)[:, None], labels, sample_weight=weights
    )
    slope = float(fitted.coef_[0, 0]) / scale
    if slope <= 0:
        return Calibration(0.0, 0.0)
    log_odds = float(fitted.intercept_[0]) - slope * centre
    return Calibration(slope, log_odds - float(logit(prior)))


def cllr(llrs: np.ndarray, labels: np.ndarray) -> float:
    """Cost of log-likelihood ratios over all priors and costs.

    Arguments
    ---------
    llrs : np.ndarray
        Log-likelihood ratios, natural logarithm, (trials,).
    labels : np.ndarray
        1 same speaker, 0 different, (trials,).

    Returns
    -------
    float
        Bits; 0 is perfect, 1 is what it costs to know nothing (LLR 0), more
        is worse than nothing.

    Raises
    ------
    ValueError
        If the trials are unusable, see ``checked_trials``.

    Example
    -------
    >>> cllr([0.0, 0.0], [1, 0])
    1.0
    """
    llrs, labels = checked_trials(llrs, labels)
    # Of log(1 + exp(x)) without overflow.
    same = np.logaddexp(0, -llrs[labels == 1]).mean()
    different = np.logaddexp(0, llrs[labels == 0]).mean()
    return float((same + different) / 2 / np.log(2))


def min_cllr(scores: np.ndarray, labels: np.ndarray) -> float:
    """What Cllr would be if the scores were calibrated perfectly.

    The best monotonous map is found on the trials themselves (pool adjacent
    violators): ``cllr`` minus this is the loss by poor calibration alone.

    Arguments
    ---------
    scores : np.ndarray
        Scores, higher is more alike, (trials,).
    labels : np.ndarray
        1 same speaker, 0 different, (trials,).

    Returns
    -------
    float
        Bits, 0 to 1.

    Raises
    ------
    ValueError
        If the trials are unusable, see ``checked_trials``.

    Example
    -------
    >>> min_cllr([0.9, 0.8, 0.1], [1, 1, 0])
    0.0
    """
    scores, labels = checked_trials(scores, labels)
    weights = _weights(labels, 0.5)
    # Posterior of the same speaker at prior 0.5; ties are pooled.
    posterior = IsotonicRegression().fit_transform(
        scores, labels, sample_weight=weights
    )
    own = np.where(labels == 1, posterior, 1 - posterior)
    # Pooling never gives a trial's own class the probability 0.
    return float(-(weights * np.log2(own)).sum()) + 0.0


def reliability(
    probabilities: np.ndarray,
    labels: np.ndarray,
    prior: float = 0.5,
    bins: int = 10,
) -> list[dict[str, float]]:
    """What was promised, and what came true, in bins of equal width.

    Trials are weighted so that the share of same speakers is the prior for
    which the probabilities were given.

    Arguments
    ---------
    probabilities : np.ndarray
        Of the same speaker, 0 to 1, (trials,).
    labels : np.ndarray
        1 same speaker, 0 different, (trials,).
    prior : float
        As for ``Calibration.probability``.
    bins : int
        How many there are from 0 to 1.

    Returns
    -------
    list of dict
        ``promised`` and ``found`` (means), ``weight`` (share of all, sums to
        1) and ``trials`` of each bin that is not empty.

    Raises
    ------
    ValueError
        If the trials are unusable or a probability is out of 0 to 1.

    Example
    -------
    >>> reliability([0.75, 0.75, 0.25], [1, 0, 0], bins=2)[0]["found"]
    0.0
    """
    probabilities, labels = checked_trials(probabilities, labels)
    if probabilities.min() < 0 or probabilities.max() > 1:
        raise ValueError(
            f"probabilities reach from {probabilities.min():.4g} to "
            f"{probabilities.max():.4g}, expected 0 to 1: give what "
            "Calibration.probability returns"
        )
    weights = _weights(labels, prior)
    own = np.minimum((probabilities * bins).astype(int), bins - 1)
    weight = np.bincount(own, weights, bins)
    promised = np.bincount(own, weights * probabilities, bins)
    found = np.bincount(own, weights * labels, bins)
    trials = np.bincount(own, minlength=bins)
    return [
        {
            "promised": float(promised[k] / weight[k]),
            "found": float(found[k] / weight[k]),
            "weight": float(weight[k]),
            "trials": int(trials[k]),
        }
        for k in np.flatnonzero(trials)
    ]


def expected_calibration_error(
    probabilities: np.ndarray,
    labels: np.ndarray,
    prior: float = 0.5,
    bins: int = 10,
) -> float:
    """Mean gap between what was promised and what came true.

    Arguments
    ---------
    probabilities, labels, prior, bins
        As for ``reliability``.

    Returns
    -------
    float
        0 to 1 (Guo et al. 2017, "On calibration of modern neural networks").

    Raises
    ------
    ValueError
        If the trials are unusable or a probability is out of 0 to 1.

    Example
    -------
    >>> expected_calibration_error([1.0, 0.5, 0.5], [1, 1, 0])
    0.125
    """
    rows = reliability(probabilities, labels, prior, bins)
    return sum(
        row["weight"] * abs(row["promised"] - row["found"]) for row in rows
    )


def _checked_prior(prior: float) -> float:
    if not 0 < prior < 1:
        raise ValueError(
            f"prior is {prior}, expected a probability between 0 and 1: 0.5 "
            "where nothing is known"
        )
    return prior


def _weights(labels: np.ndarray, prior: float) -> np.ndarray:
    """Weights that sum to 1, those of the same speaker to the prior."""
    _checked_prior(prior)
    same = labels == 1
    return np.where(same, prior / same.sum(), (1 - prior) / (~same).sum())
