"""A damaged matrix is refused with what is wrong with it."""

from __future__ import annotations

import numpy as np
import pytest

from speechbrain_siamese.baselines.matrices import finite_matrix


def test_numbers_of_any_type_come_back_as_float64():
    values = finite_matrix(np.ones((2, 3), dtype=np.float32), "x", "(n, dim)")
    assert values.dtype == np.float64
    assert values.shape == (2, 3)


@pytest.mark.parametrize("shape", [(3,), (0, 3), (3, 0), (1, 2, 3)])
def test_another_shape_is_named(shape):
    with pytest.raises(ValueError, match=r"frames have shape .*\(n, dim\)"):
        finite_matrix(np.ones(shape), "frames", "(n, dim)")


def test_the_first_row_that_is_not_finite_is_named():
    values = np.ones((4, 2))
    values[2, 1], values[3, 0] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"2 rows of x.* first is row 2"):
        finite_matrix(values, "x", "(n, dim)")


def test_another_width_than_in_training_is_named():
    with pytest.raises(ValueError, match="have 3 columns, expected 2"):
        finite_matrix(np.ones((4, 3)), "x", "(n, dim)", width=2)
