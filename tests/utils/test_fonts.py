"""Names in scripts that matplotlib's own font does not have."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font

from speechbrain_siamese.utils.fonts import fonts_for
from speechbrain_siamese.utils.plots import save_figure


def letters(name):
    """Code points of a font."""
    return set(FT2Font(findfont(name)).get_charmap())


#: matplotlib carries both fonts.
ONLY_STIX = chr(min(letters("STIXGeneral") - letters("DejaVu Sans")))


def test_a_font_is_found_for_letters_that_the_default_lacks():
    names = fonts_for(f"Sita {ONLY_STIX}")
    assert names[0] == "DejaVu Sans"
    assert len(names) == 2
    assert ord(ONLY_STIX) in letters(names[1])


def test_letters_that_no_font_has_are_no_error():
    assert fonts_for("Sita \U0010fffd") == ["DejaVu Sans"]
    assert fonts_for("") == ["DejaVu Sans"]


def test_pictures_draw_such_letters(tmp_path, recwarn):
    figure = Figure()
    figure.subplots().set_yticks([0, 1], ["Sita", f"Devi {ONLY_STIX}"])
    save_figure(figure, tmp_path / "names.png")
    assert not [w for w in recwarn if "missing from" in str(w.message)]
