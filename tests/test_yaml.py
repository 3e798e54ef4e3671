"""Every key of a YAML file is used: SpeechBrain's own check of recipes.

Upstream looks for each top-level key in a later ``!ref`` or, literally, in the
recipe's script; what only a module reads counts as unused.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from speechbrain.utils.run_opts import RunOptions

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "recipes" / "YouTubeSpeakers" / "SpeakerRec"
FILES = sorted((ROOT / "hparams").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_key_is_used_by_the_script_or_the_file(path):
    text = path.read_text(encoding="utf-8")
    name = "evaluate.py" if path.stem == "evaluate" else "train.py"
    script = (RECIPE / name).read_text(encoding="utf-8")
    keys = set(re.findall(r"^(\w+):(?! *!apply)", text, re.MULTILINE))
    referred = set(re.findall(r"<(\w+)", text))
    literal = set(
        re.findall(r'hparams(?:\[|\.get\()"(\w+)"|hparams\.(\w+)', script)
    )
    found = {key for pair in literal for key in pair if key}
    # SpeechBrain itself reads its options of a run.
    options = set(RunOptions.__dataclass_fields__)
    assert keys - referred - found - options == set()


def test_there_are_files_to_check():
    assert {"siamese.yaml", "evaluate.yaml"} <= {path.name for path in FILES}
