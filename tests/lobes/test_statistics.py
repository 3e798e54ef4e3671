"""What is told of a window, against NumPy and SciPy, window by window."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dct

from speechbrain_siamese.lobes.statistics import (
    REACH,
    StatisticsEncoder,
    correlations,
    cosine_basis,
    window_statistics,
)


@pytest.fixture
def windows():
    return torch.from_numpy(
        np.random.default_rng(0).normal(-3, 2, (3, 50, 12)).astype(np.float32)
    )


def test_cepstra_are_those_of_scipy(windows):
    expected = dct(windows.double().numpy(), norm="ortho")[:, :, 1:6]
    found = windows @ cosine_basis(12, 5)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_correlations_are_those_of_numpy(windows):
    for row, window in zip(correlations(windows), windows, strict=True):
        table = np.corrcoef(window.numpy().T)
        expected = [table[i, j] for i in range(12) for j in range(i + 1, 12)]
        np.testing.assert_allclose(row.numpy(), expected, atol=1e-4)


def test_statistics_are_those_of_a_loop(windows):
    basis = cosine_basis(12, 4)
    found = window_statistics(windows, basis).numpy()
    assert found.shape == (3, 3 * 12 + 4 * 3)
    for row, window in zip(found, windows.double().numpy(), strict=True):
        window = window - window.mean()
        changes = np.stack(
            [
                window[place + REACH] - window[place - REACH]
                for place in range(REACH, len(window) - REACH)
            ]
        )
        expected = [*window.mean(axis=0), *window.std(axis=0)]
        expected += [*changes.std(axis=0)]
        for series in (window @ basis.numpy(), changes @ basis.numpy()):
            table = np.corrcoef(series.T)
            expected += [table[i, j] for i in range(4) for j in range(i + 1, 4)]
        np.testing.assert_allclose(row, expected, atol=1e-3)


def test_loudness_does_not_matter(windows):
    basis = cosine_basis(12, 4)
    torch.testing.assert_close(
        window_statistics(windows + 5.0, basis),
        window_statistics(windows, basis),
        atol=1e-4,
        rtol=1e-4,
    )


def test_a_microphones_colour_moves_the_means_alone(windows):
    basis = cosine_basis(12, 4)
    before = window_statistics(windows, basis)
    after = window_statistics(windows + torch.linspace(-2, 2, 12), basis)
    assert (before - after)[:, :12].abs().min() > 0.1
    torch.testing.assert_close(
        before[:, 12:], after[:, 12:], atol=1e-3, rtol=1e-3
    )


def test_what_does_not_move_has_finite_statistics():
    still = torch.full((1, 40, 12), -7.0)
    found = window_statistics(still, cosine_basis(12, 4))
    assert found.isfinite().all()
    assert found[0, 36:].tolist() == pytest.approx([0.0] * 12, abs=1e-3)


def test_what_describes_a_window_is_its_statistics(windows):
    encoder = StatisticsEncoder(n_mels=12)
    torch.testing.assert_close(
        encoder.describe(windows),
        window_statistics(windows, cosine_basis(12, 11)),
    )
    assert encoder(windows).shape == (3, 3 * 12 + 11 * 10)


def test_the_basis_is_not_saved():
    assert "cosines" not in StatisticsEncoder(12).state_dict()
