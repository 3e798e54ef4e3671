"""Thresholds and calibration come from the trials that are given."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from speechbrain_siamese.dataio.manifests import Trial
from speechbrain_siamese.processing.score_norm import Cohort
from speechbrain_siamese.utils.decision import choose_decision


@pytest.fixture(scope="module")
def validation():
    """Trials between six people's clips, and their embeddings."""
    torch.manual_seed(0)
    voices = torch.randn(6, 16)
    embeddings = {
        f"{speaker}/{clip}.wav": voices[speaker] + 0.8 * torch.randn(16)
        for speaker in range(6)
        for clip in range(5)
    }
    trials = [
        Trial(int(a[0] == b[0]), a, b) for a, b in combinations(embeddings, 2)
    ]
    return trials, embeddings


def cohort(speakers: int) -> Cohort:
    made = Cohort(speakers, 16)
    torch.manual_seed(1)
    made.fill(torch.randn(speakers, 16))
    return made


def false_accepts(scores, trials, threshold):
    labels = np.array([trial.label for trial in trials])
    return (scores[labels == 0] > threshold).mean()


def test_both_thresholds_meet_the_target(validation):
    trials, embeddings = validation
    strangers = cohort(50)
    found = choose_decision(trials, embeddings, strangers, "fpr 0.02")
    enrol = torch.stack([embeddings[trial.enrol] for trial in trials])
    test = torch.stack([embeddings[trial.test] for trial in trials])
    scores = torch.cosine_similarity(enrol, test)
    normalised = strangers.normalised(scores, enrol, test)
    for values, threshold in (
        (scores, found.threshold),
        (normalised, found.normalised_threshold),
    ):
        assert 0 < false_accepts(values.numpy(), trials, threshold) <= 0.02
    assert found.calibration.slope > 0
    assert found.target == "fpr=0.02"


def test_few_strangers_normalise_nothing(validation):
    found = choose_decision(*validation, cohort(9), "eer")
    assert found.normalised_threshold is None
