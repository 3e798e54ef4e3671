"""Fixtures of the fault tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def harness(by_path):
    """The module ``tests/faults/harness.py``."""
    return by_path(Path(__file__).with_name("harness.py"))


@pytest.fixture(scope="session")
def results(by_path):
    """The module ``tests/faults/results.py``."""
    return by_path(Path(__file__).with_name("results.py"))


@pytest.fixture(scope="module")
def warm(harness, tiny, tmp_path_factory):
    """Processes whose slow imports are done."""
    made = harness.Warm(tiny, tmp_path_factory.mktemp("console"))
    yield made
    made.close()
