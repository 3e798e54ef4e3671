"""Fixtures of the fault tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def harness():
    """The module ``tests/faults/harness.py``."""
    path = Path(__file__).with_name("harness.py")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def warm(harness, tiny, tmp_path_factory):
    """Processes whose slow imports are done."""
    made = harness.Warm(tiny, tmp_path_factory.mktemp("console"))
    yield made
    made.close()
