"""What fuzzing found, and what it begins with, breaks nothing any more."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.fault(
    "input that fuzzing began with or found",
    "no crash, no hang, nothing written elsewhere",
)

HERE = Path(__file__).resolve().parent
TARGETS = ("decoding", "tables", "gallery", "config")


@pytest.fixture(scope="module")
def load(by_path):
    """``load(target)``: a target's module."""
    return lambda target: by_path(HERE / f"{target}.py")


@pytest.mark.parametrize(
    "target, seed",
    [
        (target, seed.name)
        for target in TARGETS
        for seed in sorted((HERE / "seeds" / target).iterdir())
    ],
)
def test_seed(load, target, seed, tmp_path):
    (tmp_path / "in").mkdir()
    data = (HERE / "seeds" / target / seed).read_bytes()
    load(target).ask(data, tmp_path / "in")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_the_seeds_that_are_good_reach_what_they_are_for(load, tmp_path):
    """A target that refuses everything would find nothing."""
    config = load("config")
    config.ask(b"\2", tmp_path)
    assert config.SiameseRecognition.from_pretrained(tmp_path).embedding_dim
    gallery = load("gallery")
    gallery.ask(b"\2", tmp_path)
    assert gallery.GalleryStore(tmp_path / "people.sqlite", "f1", 2)
    with pytest.raises(AssertionError):
        tables = load("tables")
        tables._assert_inside(tmp_path / ".." / "x", tmp_path)
