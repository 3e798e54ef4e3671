"""How Sphinx builds these pages: make docs."""

from speechbrain_siamese import __version__

project = "speechbrain-siamese"
copyright = "The speechbrain-siamese contributors, Apache-2.0"
release = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
templates_path = ["templates"]
html_theme = "furo"
html_title = project

# Docstrings are SpeechBrain's: NumPy's form, with "Arguments".
napoleon_google_docstring = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = True
# Two classes may have one name in two modules.
suppress_warnings = ["ref.python"]
myst_heading_anchors = 3
