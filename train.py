"""Train from the repository's root: python train.py hparams/siamese.yaml.

Runs the recipe, without needing links to work.
"""

import runpy
import sys
from pathlib import Path

RECIPE = Path(__file__).resolve().parent / "recipes" / "YouTubeSpeakers"
sys.path[:0] = [str(RECIPE / "SpeakerRec"), str(RECIPE)]
runpy.run_path(str(RECIPE / "SpeakerRec" / "train.py"), run_name="__main__")
