"""What only POSIX has is missing on Windows, and nothing stops for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "recipes" / "YouTubeSpeakers" / "SpeakerRec"

#: Python as on Windows, as far as that can be had here.
WITHOUT = """
import importlib, os, pkgutil, signal, sys
import av, joblib, soundfile, speechbrain, torch
from joblib.externals import loky
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
del os.getuid, os.fork, signal.SIGHUP, signal.SIGKILL
if hasattr(os, "sched_getaffinity"):
    del os.sched_getaffinity
"""

EVERY_MODULE = """
import speechbrain_siamese
for found in pkgutil.walk_packages(
    speechbrain_siamese.__path__, "speechbrain_siamese."
):
    importlib.import_module(found.name)
from speechbrain_siamese.utils.peak_memory import peak_megabytes
assert peak_megabytes() is None
"""

PAGE = """
import tempfile, time
from pathlib import Path
from speechbrain_siamese.demo_page.serving import ENDS
from speechbrain_siamese.demo_page.sessions import own_folder
assert ENDS == [signal.SIGINT, signal.SIGTERM]
left = Path(tempfile.gettempdir()) / "siamese-demo-ended"
left.mkdir()
(left / "lock").write_text("")
os.utime(left, (time.time() - 300,) * 2)
with own_folder() as folder:
    assert folder.is_dir()
assert not folder.exists() and not left.exists()
"""


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(EVERY_MODULE, id="every module"),
        pytest.param(PAGE, id="folder of the page"),
        pytest.param(
            f"sys.path.insert(0, {str(RECIPE)!r})\nimport train", id="train"
        ),
        pytest.param(
            f"sys.path.insert(0, {str(RECIPE)!r})\nimport evaluate",
            id="evaluate",
        ),
    ],
)
def test_without_what_windows_does_not_have(tiny, tmp_path, what):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + what],
        cwd=ROOT,
        env={**tiny.environment(), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
