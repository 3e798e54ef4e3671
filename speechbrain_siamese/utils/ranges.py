"""Checks of settings: what was found, what was expected."""

from __future__ import annotations

from numbers import Real


def check_range(
    key: str,
    value: object,
    low: float,
    high: float,
    unit: str = "",
    whole: bool = False,
) -> None:
    """Refuse a setting that is no number or out of its range.

    Arguments
    ---------
    key : str
        Name of the setting, as users write it.
    value : object
        What was found.
    low, high : float
        Least and greatest value allowed.
    unit : str
        Of the value, for the message.
    whole : bool
        Whether it must be an integer.

    Raises
    ------
    ValueError
        If the value is not a number from ``low`` to ``high``.

    Example
    -------
    >>> check_range("margin", 3.0, 0.0, 2.0)
    Traceback (most recent call last):
        ...
    ValueError: margin is 3.0, expected a number from 0 to 2
    """
    wanted, kind = (int, "a whole number") if whole else (Real, "a number")
    is_number = isinstance(value, wanted) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        expected = f"{low:g} to {high:g} {unit}".rstrip()
        raise ValueError(f"{key} is {value!r}, expected {kind} from {expected}")
