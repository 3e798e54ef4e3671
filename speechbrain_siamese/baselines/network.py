"""The network of the 2019 design, trained as its author did."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import nn

from speechbrain_siamese.baselines.matrices import finite_matrix

HIDDEN = (256, 128, 64)
LEARNING_RATE = 1e-4
BATCH = 16
EPOCHS = 75

#: Share of the training vectors that is watched and not learnt from.
WATCHED = 0.25


class NetworkClassifier:
    """Three ReLU layers of 256, 128 and 64 units and a sigmoid output.

    It learns two classes from standardised feature vectors by binary
    cross-entropy: one voice or two, its first task, or, from the differences
    of pairs, same speaker or not. A quarter of the training vectors is set
    aside, as its author did; it is for watching only: it neither stops the
    training nor chooses anything.

    Arguments
    ---------
    seed : int
        Of the split, the initial weights and the order of the batches.

    Example
    -------
    >>> x = np.linspace(-1, 1, 80)[:, None]
    >>> y = (x[:, 0] > 0).astype(int)
    >>> model = NetworkClassifier(seed=0).fit(x, y)
    >>> model.probability(np.array([[-1.0], [1.0]])).round().tolist()
    [0.0, 1.0]
    >>> len(model.watched_losses)
    75
    """

    def __init__(self, seed: int = 0):
        self.seed = seed

    def fit(self, x: np.ndarray, y: np.ndarray) -> NetworkClassifier:
        """Train from scratch.

        ``train_losses`` and ``watched_losses`` hold the mean cross-entropy
        in nats per epoch: of the batches as they were learnt, and of the
        quarter set aside.

        Arguments
        ---------
        x : np.ndarray
            (n, dim)
        y : np.ndarray
            (n,), 0 or 1.

        Returns
        -------
        NetworkClassifier
            Itself.

        Raises
        ------
        ValueError
            If ``x`` is no finite matrix, or ``y`` does not hold a 0 or 1
            for each of its rows, both of them, and at least 4 in all.
        """
        x = finite_matrix(x, "features", "(clips, dim)")
        y = _checked_labels(y, len(x))
        chance = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(len(x), generator=chance).numpy()
        watched, learnt = np.split(order, [round(WATCHED * len(x))])
        self._scaler = StandardScaler().fit(x[learnt])
        self._width = x.shape[1]
        x, y = self._inputs(x), torch.from_numpy(y)
        self._network = _network(self._width, self.seed)
        optimizer = torch.optim.RMSprop(
            self._network.parameters(), lr=LEARNING_RATE
        )
        self.train_losses: list[float] = []
        self.watched_losses: list[float] = []
        for _ in range(EPOCHS):
            shuffled = learnt[torch.randperm(len(learnt), generator=chance)]
            self.train_losses.append(
                self._epoch(x[shuffled], y[shuffled], optimizer)
            )
            with torch.no_grad():
                loss = self._loss(x[watched], y[watched])
            self.watched_losses.append(loss.item())
        return self

    def probability(self, x: np.ndarray) -> np.ndarray:
        """Probability of class 1.

        Arguments
        ---------
        x : np.ndarray
            (n, dim)

        Returns
        -------
        np.ndarray
            float32, (n,).

        Raises
        ------
        ValueError
            If ``x`` is no finite matrix of the trained width.
        """
        x = finite_matrix(x, "features", "(clips, dim)", self._width)
        with torch.no_grad():
            return self._network(self._inputs(x))[:, 0].sigmoid().numpy()

    def _inputs(self, x: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(self._scaler.transform(x)).float()

    def _loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        # The sigmoid is inside, where it can't saturate.
        return nn.functional.binary_cross_entropy_with_logits(
            self._network(x)[:, 0], y
        )

    def _epoch(
        self, x: torch.Tensor, y: torch.Tensor, optimizer: torch.optim.Optimizer
    ) -> float:
        total = torch.zeros(())
        for own_x, own_y in zip(x.split(BATCH), y.split(BATCH), strict=True):
            optimizer.zero_grad()
            loss = self._loss(own_x, own_y)
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(own_x)
        return total.item() / len(x)


def _checked_labels(y: np.ndarray, count: int) -> np.ndarray:
    y = np.asarray(y)
    found = np.unique(y).tolist()
    if y.shape != (count,) or found != [0, 1] or count < 4:
        raise ValueError(
            f"{count} feature vectors have labels of shape {y.shape} with "
            f"values {found[:5]}, expected a 0 or 1 for each, both of them, "
            "and at least 4 vectors: give more training clips"
        )
    return y.astype(np.float32)


def _network(inputs: int, seed: int) -> nn.Sequential:
    """With fresh weights; the program's own random numbers stay as they are."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for units in HIDDEN:
            layers += [nn.Linear(inputs, units), nn.ReLU()]
            inputs = units
        return nn.Sequential(*layers, nn.Linear(inputs, 1))
