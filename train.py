"""Train from the repository's root: python train.py hparams/siamese.yaml.

Runs the recipe, without needing links to work.
"""

import runpy
import sys
from pathlib import Path

RECIPE = Path(__file__).resolve().parent / "recipes" / "YouTubeSpeakers"
# The link in SpeakerRec, which comes later, may be a file that names its goal.
sys.path[:0] = [str(RECIPE), str(RECIPE / "SpeakerRec")]
runpy.run_path(str(RECIPE / "SpeakerRec" / "train.py"), run_name="__main__")
