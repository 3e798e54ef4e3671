"""Checks of the matrices that baselines are fitted on."""

from __future__ import annotations

import numpy as np


def finite_matrix(
    values: np.ndarray, name: str, shape: str, width: int | None = None
) -> np.ndarray:
    """The values as float64, or a message that says what is wrong with them.

    Arguments
    ---------
    values : np.ndarray
        Two axes, at least one row.
    name : str
        What the values are, for the message.
    shape : str
        The shape that is expected, in words, for the message.
    width : int | None
        Columns that are expected; None if any number will do.

    Returns
    -------
    np.ndarray
        float64, of the same shape.

    Raises
    ------
    ValueError
        If it is no such matrix, is empty or holds NaN or infinity.

    Example
    -------
    >>> finite_matrix([1.0, 2.0], "features", "(clips, dim)")
    Traceback (most recent call last):
        ...
    ValueError: features have shape (2,), expected (clips, dim), not empty
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or not values.size:
        raise ValueError(
            f"{name} have shape {values.shape}, expected {shape}, not empty"
        )
    if width is not None and values.shape[1] != width:
        raise ValueError(
            f"{name} have {values.shape[1]} columns, expected {width} as in "
            "training: take both from the same function"
        )
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(wrong):
        raise ValueError(
            f"{len(wrong)} rows of {name} are NaN or infinite, the first is "
            f"row {wrong[0]}: look for a damaged file"
        )
    return values
