"""The recommended settings drop adverts and pauses of real recordings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from speechbrain_siamese.dataio.cleaning import CleaningSettings

ROOT = Path(__file__).resolve().parents[2]


def recommended() -> CleaningSettings:
    """What the recipe's YAML file says, else the defaults."""
    path = ROOT / "hparams" / "siamese.yaml"
    if not path.is_file():
        return CleaningSettings()
    # Tags such as !new: mean nothing here: only plain values are looked at.
    loader = type("PlainLoader", (yaml.SafeLoader,), {})
    loader.add_multi_constructor("!", lambda *_: None)
    written = yaml.load(path.read_text(encoding="utf-8"), loader)
    keys = {field.name for field in dataclasses.fields(CleaningSettings)}
    return CleaningSettings(
        **{
            key: value
            for key, value in written.items()
            if key in keys and value is not None
        }
    )


@pytest.fixture(scope="module")
def benchmark(by_path):
    return by_path(ROOT / "benchmarks" / "cleaning.py")


@pytest.fixture(scope="module")
def shares(real_data, benchmark):
    # Where the music of these recordings ends.
    settings = dataclasses.replace(
        recommended(),
        trim_start=benchmark.ADVERT_SECONDS,
        trim_end=benchmark.ADVERT_SECONDS,
    )
    return benchmark.measure(real_data, {"ours": settings})["ours"]


def test_adverts_are_gone(shares):
    assert shares["advert_gone"] >= 0.99


def test_voice_is_kept(shares):
    assert shares["voiced_kept"] >= 0.95


def test_pauses_are_gone(shares):
    assert shares["pause_gone"] >= 0.8


def test_silence_within_sentences_is_mostly_gone(shares):
    assert shares["hush_gone"] >= 0.75


def test_figures_of_a_hand_made_case(benchmark):
    #        0    1    2    3    4    5    6
    # truth  | ad | speech  | pau| ad |
    # voiced       |voic|
    # kept        |....|    |.|
    truth = {
        "r": {
            "advert": [(0.0, 1.0), (4.0, 5.0)],
            "speech": [(1.0, 3.0)],
            "pause": [(3.0, 4.0)],
            "voiced": [(1.0, 2.0)],
        }
    }
    shares = benchmark.figures({"r": [(0.8, 1.8), (3.0, 3.5)]}, truth)
    assert shares == pytest.approx(
        {
            "advert_gone": 0.9,
            "voiced_kept": 0.8,
            "pause_gone": 0.5,
            "hush_gone": 1.0,
        }
    )
