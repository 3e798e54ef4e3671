"""The network is the 2019 one, and learns what is there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from speechbrain_siamese.baselines.network import NetworkClassifier


def problem(seed: int, knows: float, count: int = 240):
    """Vectors of which a ring around the middle is class 1."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((count, 5)) * [1, 100, 1, 1, 0.01] + 7
    inside = ((x[:, 1] - 7) / 100) ** 2 < 0.45
    return x, np.where(generator.random(count) < knows, inside, ~inside) * 1


@pytest.fixture(scope="module")
def model() -> NetworkClassifier:
    return NetworkClassifier(seed=0).fit(*problem(seed=0, knows=1.0))


def test_it_is_256_128_64_with_one_output(model):
    shapes = [
        (layer.in_features, layer.out_features)
        for layer in model._network
        if isinstance(layer, nn.Linear)
    ]
    assert shapes == [(5, 256), (256, 128), (128, 64), (64, 1)]
    assert sum(isinstance(layer, nn.ReLU) for layer in model._network) == 3


def test_it_learns_what_no_straight_line_parts(model):
    x, y = problem(seed=1, knows=1.0, count=500)
    probability = model.probability(x)
    assert probability.shape == (500,)
    assert probability.min() >= 0
    assert probability.max() <= 1
    assert np.mean((probability > 0.5) == y) > 0.9


def test_noise_gives_chance():
    model = NetworkClassifier(seed=0).fit(*problem(seed=0, knows=0.5))
    x, y = problem(seed=1, knows=0.5, count=2000)
    assert 0.45 < roc_auc_score(y, model.probability(x)) < 0.55
    # It learns by heart, which the quarter set aside shows.
    assert model.watched_losses[-1] > model.train_losses[-1] + 0.05


def test_both_losses_are_told_for_each_epoch_and_fall(model):
    for losses in (model.train_losses, model.watched_losses):
        assert len(losses) == 75
        assert losses[-1] < 0.5 * losses[0]


def test_a_quarter_is_not_learnt_from(monkeypatch):
    seen = []
    forward = nn.Sequential.forward

    def spy(self, x):
        if torch.is_grad_enabled():
            seen.append(x.detach().clone())
        return forward(self, x)

    monkeypatch.setattr(nn.Sequential, "forward", spy)
    NetworkClassifier(seed=0).fit(*problem(seed=0, knows=1.0, count=80))
    assert {len(x) for x in seen} == {16, 12}
    rows = {tuple(row.tolist()) for x in seen for row in x}
    assert len(rows) == 60


def test_the_same_seed_gives_the_same_network():
    x, y = problem(seed=0, knows=1.0, count=20)
    one, again, other = (
        NetworkClassifier(seed=s).fit(x, y).probability(x) for s in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_the_random_numbers_of_the_program_stay():
    x, y = problem(seed=0, knows=1.0, count=16)
    before = torch.random.get_rng_state()
    NetworkClassifier(seed=3).fit(x, y)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    "labels", [[0, 1, 0], [0, 0, 0, 0], [0, 1, 2, 1], [0, 1, np.nan, 1]]
)
def test_labels_that_cannot_be_learnt_are_refused(labels):
    with pytest.raises(ValueError, match="expected a 0 or 1 for each"):
        NetworkClassifier().fit(np.eye(4), labels)


def test_other_features_than_learnt_are_refused(model):
    with pytest.raises(ValueError, match="4 columns, expected 5"):
        model.probability(np.ones((2, 4)))
    with pytest.raises(ValueError, match="row 0"):
        model.probability(np.full((2, 5), np.nan))
