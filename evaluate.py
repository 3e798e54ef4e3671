"""Evaluate from the repository's root: see recipes/*/SpeakerRec/evaluate.py.

Runs the recipe, without needing links to work.
"""

import runpy
import sys
from pathlib import Path

RECIPE = Path(__file__).resolve().parent / "recipes" / "YouTubeSpeakers"
# The link in SpeakerRec, which comes later, may be a file that names its goal.
sys.path[:0] = [str(RECIPE), str(RECIPE / "SpeakerRec")]
runpy.run_path(str(RECIPE / "SpeakerRec" / "evaluate.py"), run_name="__main__")
