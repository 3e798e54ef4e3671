"""Normalised scores against plain loops, and what they are for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from speechbrain_siamese.processing.score_norm import (
    Cohort,
    evened,
    noise_of,
    voices_of,
)
from speechbrain_siamese.processing.scoring import (
    cosine_scores,
    product_scores,
)
from speechbrain_siamese.utils.calibration import fit_calibration
from speechbrain_siamese.utils.metrics import eer


def cohort(speakers=40, dim=8, top=12, seed=0) -> Cohort:
    made = Cohort(speakers, dim, top)
    torch.manual_seed(seed)
    made.fill(torch.randn(speakers, dim))
    return made


def recordings(people, windows, dim=64, noise=0.8, seed=0):
    """Windows of length 1 of two recordings of each person; whose they are."""
    generator = torch.Generator().manual_seed(seed)
    voices = normalize(torch.randn(people, 1, dim, generator=generator), dim=-1)
    voices = voices.repeat_interleave(2, dim=0)
    varied = torch.randn(2 * people, windows, dim, generator=generator)
    said = voices + noise * varied / dim**0.5 * 3
    return normalize(said, dim=-1), np.arange(2 * people) // 2


def loop(enrol, test, cohort, top, likeness):
    """Windows of two recordings, pair by pair and stranger by stranger."""
    voices, strangers = [], []
    for windows in (enrol, test):
        pairs = [
            float(x @ y)
            for i, x in enumerate(windows)
            for j, y in enumerate(windows)
            if i != j
        ]
        # Each window has that many others, and two usual ones.
        alike = (sum(pairs) / len(windows) + 2 * likeness) / (
            len(windows) - 1 + 2
        )
        mean = np.mean(windows, axis=0)
        alike = min(max(alike, likeness / 2), mean @ mean)
        voices.append(mean / alike**0.5)
        products = sorted((float(voices[-1] @ v) for v in cohort), reverse=True)
        strangers.append(np.mean(products[:top]))
    return float(voices[0] @ voices[1]) - np.mean(strangers)


@pytest.mark.parametrize("top", [10, 12, 40, 1000])
def test_formula_is_that_of_a_plain_loop(top):
    made = cohort(top=top, dim=64)
    windows, _ = recordings(people=3, windows=5)
    enrol, test = np.array([0, 1, 1, 4, 5]), np.array([3, 2, 0, 4, 1])
    voices = voices_of(windows.mean(dim=1), torch.full((6,), 5.0), 0.3)
    found = made.normalised(voices, enrol, test)
    for trial in range(5):
        expected = loop(
            windows[enrol[trial]].double().numpy(),
            windows[test[trial]].double().numpy(),
            made.voices.double().numpy(),
            top,
            0.3,
        )
        assert float(found[trial]) == pytest.approx(expected, abs=1e-5)


def test_windows_that_are_not_alike_do_not_make_a_voice_endless():
    windows = torch.eye(50)
    mean, count = windows.mean(dim=0)[None], torch.tensor([50.0])
    assert voices_of(mean, count, 0.2).norm() < 2


def test_a_recording_is_like_itself():
    """However unlike its windows are, and however alike others' are."""
    for noise in (0.1, 0.5, 2.0):
        for windows in (1, 2, 10):
            said, _ = recordings(people=5, windows=windows, noise=noise)
            counts = torch.full((10,), float(windows))
            voices = voices_of(said.mean(dim=1), counts, 0.5)
            assert (voices.norm(dim=1) > 1 - 1e-5).all()


def test_sides_may_be_swapped():
    made = cohort()
    means = torch.randn(6, 8) / 4
    enrol, test = np.array([0, 1, 5]), np.array([3, 2, 4])
    there = made.normalised(means, enrol, test)
    assert np.allclose(there, made.normalised(means, test, enrol))


def test_with_few_strangers_nothing_is_taken_off():
    made, voices = cohort(speakers=9), torch.randn(4, 8)
    trials = np.array([0, 1]), np.array([2, 3])
    found = made.normalised(voices, *trials)
    assert np.array_equal(found, product_scores(voices, *trials))


def test_a_threshold_of_short_recordings_fits_long_ones():
    """That of the cosine takes strangers for one person."""
    made = Cohort(100, 64, 50)
    strangers, _ = recordings(people=100, windows=8, seed=1)
    made.fill(strangers[::2].mean(dim=1))
    found, likeness = {}, None
    for windows in (2, 64):
        said, whose = recordings(people=40, windows=windows)
        trials = np.triu_indices(len(said), 1)
        labels = (whose[trials[0]] == whose[trials[1]]).astype(int)
        means, counts = said.mean(dim=1), torch.full((80,), float(windows))
        if likeness is None:
            likeness = product_scores(means, *trials)[labels == 1].mean()
        voices = voices_of(means, counts, float(likeness))
        found[windows] = {
            "cosine": (cosine_scores(means, *trials), labels),
            "normalised": (made.normalised(voices, *trials), labels),
        }
    errors = {}
    for name, (scores, labels) in found[2].items():
        threshold = eer(scores, labels)[1]
        longer, labels = found[64][name]
        errors[name] = np.mean((longer > threshold) != labels)
    assert errors["normalised"] < 0.05 < 0.1 < errors["cosine"]


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
    clips = normalize(clips, dim=-1)
    first, second = np.triu_indices(120, 1)
    same_channel = first % 2 == second % 2
    labels = (first // 4 == second // 4).astype(int)
    kept = same_channel | (labels == 0)
    first, second, labels = first[kept], second[kept], labels[kept]
    scores = cosine_scores(clips, first, second)
    better = made.normalised(clips, first, second)
    assert eer(better, labels)[0] < 0.8 * eer(scores, labels)[0]


def test_identical_voices_give_finite_scores():
    made = Cohort(12, 8)
    made.fill(torch.ones(12, 8))
    pair = np.array([0]), np.array([1])
    found = made.normalised(torch.ones(2, 8), *pair)
    assert np.isfinite(found).all()


def test_unusable_cohorts_are_refused():
    with pytest.raises(ValueError, match="have 4 values, the cohort's 8"):
        cohort().likeness(torch.randn(1, 4))
    with pytest.raises(ValueError, match="top is 3"):
        Cohort(40, 8, top=3)


def test_voices_are_kept_with_the_weights():
    made, other = cohort(), Cohort(40, 8, 12)
    other.load_state_dict(made.state_dict())
    assert torch.equal(made.voices, other.voices)


def test_scores_of_short_and_long_recordings_are_as_much_evidence():
    """By one line from scores to log-likelihood ratios."""
    spread = {}
    for windows in (1, 2, 16):
        said, whose = recordings(people=40, windows=windows)
        trials = np.triu_indices(len(said), 1)
        labels = (whose[trials[0]] == whose[trials[1]]).astype(int)
        counts = torch.full((80,), float(windows))
        voices = voices_of(said.mean(dim=1), counts, 0.15)
        noise = noise_of(voices)[trials[0]] + noise_of(voices)[trials[1]]
        scores = product_scores(voices, *trials)
        for name, own in (
            ("plain", scores),
            ("evened", evened(scores, noise, middle=0.5, usual=5.5)),
        ):
            spread.setdefault(name, []).append(
                fit_calibration(own, labels).slope
            )
    plain, even = (max(own) / min(own) for own in spread.values())
    assert even < 0.7 * plain
