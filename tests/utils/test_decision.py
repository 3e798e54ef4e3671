"""Thresholds and calibration come from the trials that are given."""

from __future__ import annotations

import numpy as np
import pytest

from speechbrain_siamese.utils.calibration import fit_calibration
from speechbrain_siamese.utils.decision import choose_decision


@pytest.fixture(scope="module")
def validation():
    """Scores of 300 trials, and their labels."""
    generator = np.random.default_rng(0)
    labels = np.arange(300) % 3 == 0
    return generator.normal(0.5 * labels, 0.2), labels.astype(int)


def test_threshold_meets_the_target(validation):
    scores, labels = validation
    found = choose_decision(scores, labels, "fpr 0.02")
    accepted = (scores[labels == 0] > found.threshold).mean()
    assert 0 < accepted <= 0.02
    assert found.target == "fpr=0.02"


def test_calibration_is_that_of_all_trials(validation):
    found = choose_decision(*validation, "recall=0.9")
    assert found.calibration == fit_calibration(*validation)
    assert found.calibration.slope > 0
