"""What is told of a window, against NumPy and SciPy, window by window."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dct
from scipy.linalg import fractional_matrix_power

from speechbrain_siamese.lobes.statistics import (
    PAUSES,
    QUIET,
    REACH,
    ROOTS,
    StatisticsEncoder,
    correlations,
    cosine_basis,
    covariance_root,
    window_statistics,
    with_pauses,
)
from speechbrain_siamese.lobes.whitening import SpeakerVariation
from speechbrain_siamese.lobes.windows import frame_power


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


def upper_root(values):
    """Upper triangle of a covariance's root, by SciPy's Schur decomposition."""
    covariance = np.cov(values.T, bias=True)
    even = 0.01 * np.trace(covariance) / len(covariance)
    covariance = (covariance + even * np.eye(len(covariance))) / 1.01
    root = fractional_matrix_power(covariance, 0.5**ROOTS)
    return root[np.triu_indices(len(root))]


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e2])
def test_roots_are_those_of_scipy(windows, scale):
    # Voices' covariances are a thousand times as long as they are wide.
    windows = scale * windows * torch.logspace(-1.5, 0, 12)
    found = covariance_root(windows)
    for row, window in zip(found, windows.double().numpy(), strict=True):
        np.testing.assert_allclose(
            row.numpy(), upper_root(window), atol=2e-5 * scale ** (1 / 4)
        )


def test_statistics_are_those_of_a_loop(windows):
    basis = cosine_basis(12, 4)
    found = window_statistics(windows, basis).numpy()
    assert found.shape == (3, 3 * 12 + 4 * 4)
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
        expected += [*upper_root(window @ basis.numpy())]
        table = np.corrcoef((changes @ basis.numpy()).T)
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
    assert found[0, 46:].tolist() == pytest.approx([0.0] * 6, abs=1e-3)


def test_what_describes_a_window_is_its_statistics(windows):
    encoder = StatisticsEncoder(n_mels=12)
    torch.testing.assert_close(
        encoder.describe(windows),
        window_statistics(windows, cosine_basis(12, 11)),
    )
    assert encoder(windows).shape == (3, 3 * 12 + 11 * 11)


def test_the_basis_is_not_saved():
    assert "cosines" not in StatisticsEncoder(12).state_dict()


def test_pauses_are_made_of_the_quietest_frames(windows):
    windows = windows.repeat(40, 1, 1)
    frames = windows.shape[1]
    lengths = []
    for before, after in zip(windows, with_pauses(windows), strict=True):
        same = (before == after).all(dim=1)
        spoken = int(same.int().cumprod(dim=0).sum())
        order = frame_power(before).argsort()
        quiet = before[order[: round(QUIET * frames)]]
        for frame in after[spoken:]:
            assert (frame == quiet).all(dim=1).any()
        lengths.append((frames - spoken) / frames)
    assert 0.3 * PAUSES < np.mean(lengths) < 0.7 * PAUSES
    assert max(lengths) <= PAUSES
    assert len({*lengths}) > 5
    # The same windows get the same pauses.
    assert torch.equal(with_pauses(windows), with_pauses(windows))


def test_how_much_is_pause_is_learnt_to_tell_nothing():
    torch.manual_seed(0)
    voices = 1 + torch.rand(6, 1, 32)

    def spoken(count):
        labels = torch.arange(6).repeat(count)
        windows = torch.randn(len(labels), 64, 32) * voices[labels]
        # A pause in each, as preparation leaves them.
        windows[:, :6] -= 6.0
        return windows, labels

    windows, labels = spoken(40)
    likeness = {}
    for name in ("as they are", "varied"):
        encoder = StatisticsEncoder(n_mels=32)
        variation = SpeakerVariation(encoder.dim)
        shown = [windows] if name == "as they are" else encoder.varied(windows)
        for own in shown:
            variation.add(encoder.describe(own), labels)
        encoder.whiten(variation)
        new, _ = spoken(4)
        both = encoder(new), encoder(with_pauses(new))
        likeness[name] = (both[0] * both[1]).sum(dim=-1).mean()
    assert likeness["varied"] > likeness["as they are"] + 0.05
