"""Fixtures shared by all tests: where real speech lies, if it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real speech; tests that use it are skipped without it."""
    folder = Path(
        os.environ.get("SIAMESE_TEST_DATA", ROOT.parent / "shared" / "data")
    )
    if not (folder / "raw" / "truth.csv").is_file():
        pytest.skip(
            f"no real speech in {folder}: set SIAMESE_TEST_DATA to a folder "
            "with raw/, clips/ and protocol/"
        )
    return folder
