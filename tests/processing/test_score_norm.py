"""AS-norm against plain loops, and what it is for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speechbrain_siamese.processing.score_norm import Cohort
from speechbrain_siamese.processing.scoring import cosine_scores
from speechbrain_siamese.utils.metrics import eer


def cohort(speakers=40, dim=8, top=12, seed=0) -> Cohort:
    made = Cohort(speakers, dim, top)
    torch.manual_seed(seed)
    made.fill(torch.randn(speakers, dim))
    return made


def loop(score, enrol, test, voices, top):
    """The formula of the paper, one trial at a time."""
    sides = []
    for embedding in (enrol, test):
        unit = embedding / np.linalg.norm(embedding)
        cosines = sorted(
            (float(unit @ v / np.linalg.norm(v)) for v in voices), reverse=True
        )[:top]
        mean = sum(cosines) / len(cosines)
        variance = sum((c - mean) ** 2 for c in cosines) / (len(cosines) - 1)
        sides.append((score - mean) / variance**0.5)
    return sum(sides) / 2


@pytest.mark.parametrize("top", [10, 12, 40, 1000])
def test_formula_is_that_of_a_plain_loop(top):
    made = cohort(top=top)
    embeddings = torch.randn(6, 8)
    enrol, test = np.array([0, 1, 1, 4, 5]), np.array([3, 2, 0, 4, 1])
    scores = cosine_scores(embeddings, enrol, test)
    found = made.normalised(scores, embeddings, enrol, test)
    for trial in range(5):
        expected = loop(
            float(scores[trial]),
            embeddings[enrol[trial]].double().numpy(),
            embeddings[test[trial]].double().numpy(),
            made.voices.double().numpy(),
            top,
        )
        assert float(found[trial]) == pytest.approx(expected, abs=1e-4)


def test_sides_may_be_swapped():
    made = cohort()
    embeddings = torch.randn(6, 8)
    enrol, test = np.array([0, 1, 5]), np.array([3, 2, 4])
    scores = cosine_scores(embeddings, enrol, test)
    there = made.normalised(scores, embeddings, enrol, test)
    back = made.normalised(scores, embeddings, test, enrol)
    assert np.allclose(there, back)


def test_recordings_that_are_like_everybody_are_told_apart():
    """A channel shared by half of all recordings lifts their scores."""
    torch.manual_seed(1)
    channel = 3 * torch.randn(16)
    made = Cohort(200, 16, 50)
    noisy = (torch.rand(200, 1) < 0.5).float()
    made.fill(torch.randn(200, 16) + noisy * channel)
    voices = torch.randn(30, 16).repeat_interleave(4, dim=0)
    clips = voices + 0.5 * torch.randn(120, 16)
    clips += (torch.arange(120) % 2)[:, None] * channel
    first, second = np.triu_indices(120, 1)
    same_channel = first % 2 == second % 2
    labels = (first // 4 == second // 4).astype(int)
    kept = same_channel | (labels == 0)
    first, second, labels = first[kept], second[kept], labels[kept]
    scores = cosine_scores(clips, first, second)
    better = made.normalised(scores, clips, first, second)
    assert eer(better, labels)[0] < 0.8 * eer(scores, labels)[0]


def test_identical_voices_give_finite_scores():
    made = Cohort(12, 8)
    made.fill(torch.ones(12, 8))
    pair = np.array([0]), np.array([1])
    found = made.normalised(np.ones(1), torch.ones(2, 8), *pair)
    assert np.isfinite(found).all()


def test_unusable_cohorts_are_refused():
    made = cohort(speakers=9)
    assert not made.usable
    with pytest.raises(ValueError, match="holds 9 speakers, expected at least"):
        made.statistics(torch.randn(1, 8))
    with pytest.raises(ValueError, match="have 4 values, the cohort's 8"):
        cohort().statistics(torch.randn(1, 4))
    with pytest.raises(ValueError, match="top is 3"):
        Cohort(40, 8, top=3)


def test_voices_are_kept_with_the_weights():
    made, other = cohort(), Cohort(40, 8, 12)
    other.load_state_dict(made.state_dict())
    assert torch.equal(made.voices, other.voices)
