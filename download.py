"""Fetch from the repository's root: see recipes/*/download.py.

Runs the recipe's script, without needing links to work.
"""

import runpy
from pathlib import Path

RECIPE = Path(__file__).resolve().parent / "recipes" / "YouTubeSpeakers"
runpy.run_path(str(RECIPE / "download.py"), run_name="__main__")
