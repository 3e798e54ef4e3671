"""Fixtures shared by all tests: real speech, and a small trained model."""

from __future__ import annotations

import functools
import importlib.util
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tell what faults are injected; let hypothesis look at all modules.

    Marks become properties, which ``--junitxml`` writes and
    ``benchmarks/reliability.py`` reads. Hypothesis asks each module for its
    file, and SpeechBrain's lazy ones would load what is not installed to
    answer.
    """
    for item in items:
        for mark in item.iter_markers("fault"):
            fault, outcome = mark.args
            item.user_properties += [
                ("fault", fault),
                ("outcome", outcome),
                ("kept", mark.kwargs.get("kept", False)),
            ]
    lazy = sys.modules.get("speechbrain.utils.importutils")
    if lazy is not None:
        lazy.LazyModule.__file__ = None


@contextmanager
def _little_room(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture(scope="session")
def little_room() -> Callable[[int], AbstractContextManager]:
    """Lets no file grow beyond so many bytes, as a full disk would."""
    return _little_room


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


@functools.cache
def _load(path: Path) -> ModuleType:
    """Import a file by its path: the tests are no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def by_path() -> Callable[[Path], ModuleType]:
    """``by_path(file)``: a module of the tests, benchmarks or recipe."""
    return _load


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The module ``tests/tiny_corpus.py``."""
    return _load(ROOT / "tests" / "tiny_corpus.py")


@pytest.fixture(scope="session")
def small() -> ModuleType:
    """The module ``tests/small_encoder.py``."""
    return _load(ROOT / "tests" / "small_encoder.py")


@pytest.fixture(scope="session")
def hub_server() -> ModuleType:
    """The module ``tests/hub_server.py``."""
    return _load(ROOT / "tests" / "hub_server.py")


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory) -> Path:
    """Folder that all processes of this run of the tests have."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    return folder


@pytest.fixture(scope="session")
def tiny_data(tiny, run_folder) -> Path:
    """A tiny corpus in the formats that people have."""
    folder = run_folder / "tiny" / "recordings"
    with FileLock(run_folder / "tiny.lock"):
        if not folder.is_dir():
            tiny.build(folder)
    return folder


@pytest.fixture(scope="session")
def trained(tiny, tiny_data, run_folder) -> Path:
    """Output folder of the user's command; copy it before changing it."""
    output = run_folder / "trained" / "output"
    with FileLock(run_folder / "trained.lock"):
        if not (output / "export").is_dir():
            done = tiny.train(output, tiny_data)
            assert done.returncode == 0, done.stderr[-3000:]
    return output
