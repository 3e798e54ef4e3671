"""Fonts for names in any script."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font


def fonts_for(text: str) -> list[str]:
    """Choose fonts that together have the letters of a text.

    matplotlib's own font has no Devanagari, Malayalam, Chinese and others, and
    draws boxes in their place.

    Arguments
    ---------
    text : str

    Returns
    -------
    list of str
        Names for matplotlib's ``fontfamily``: its default, and of the fonts
        that are installed those that are needed beside it. Letters that no
        font has stay boxes.

    Example
    -------
    >>> fonts_for("Sita Devi")
    ['DejaVu Sans']
    """
    missing = {ord(letter) for letter in text if not letter.isspace()}
    chosen = []
    for name, path in _fonts():
        if chosen and not missing:
            break
        has = missing & _letters(path)
        # The first is the default, which the others stand beside.
        if has or not chosen:
            chosen.append(name)
            missing -= has
    return chosen


def _fonts() -> Iterator[tuple[str, str]]:
    """Name and file of the default, then of all upright others."""
    path = font_manager.findfont("DejaVu Sans")
    yield "DejaVu Sans", path
    others = {
        (font.name, font.fname)
        for font in font_manager.fontManager.ttflist
        if font.style == "normal"
        and font.weight in (400, "normal", "regular")
        # It has a box for every letter there is.
        and not font.name.startswith("Last Resort")
    }
    # In a fixed order, so that a picture does not depend on chance.
    yield from sorted(others - {("DejaVu Sans", path)})


@functools.cache
def _letters(path: str) -> frozenset[int]:
    """Code points that a font's file has."""
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (RuntimeError, OSError):  # broken, strange, or gone since
        return frozenset()
