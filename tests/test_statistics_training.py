"""Which training speech what is not trained is computed from."""

from __future__ import annotations

import math

import pytest
import speechbrain as sb
import torch

from speechbrain_siamese.core import SiameseBrain
from speechbrain_siamese.dataio.datasets import read_manifest
from speechbrain_siamese.dataio.sampler import SpeakerBatchSampler
from speechbrain_siamese.lobes.ensemble import DenseNetEnsemble
from speechbrain_siamese.lobes.features import LogMel
from speechbrain_siamese.statistics_training import learn_statistics

RATE, WINDOW, SPEEDS = 16000, 10240, [90, 100, 110]


class Listening(DenseNetEnsemble):
    """Keeps what it is shown."""

    def fit_statistics(self, lots):
        lots = list(lots)
        self.shown = torch.cat([windows for windows, _ in lots])
        self.labels = torch.cat([labels for _, labels in lots])
        super().fit_statistics(iter(lots))


@pytest.fixture
def make(trained):
    """``make(**settings)``: a brain of the tiny corpus, and its people."""
    folder = trained / "prepared"
    drawn = math.ceil(WINDOW * max(SPEEDS) / 100)

    def build(**settings):
        train = read_manifest(str(folder / "train.csv"), str(folder), drawn)
        encoder = sb.dataio.encoder.CategoricalEncoder()
        train.add_dynamic_item(
            encoder.encode_label_torch,
            takes="spk_id",
            provides="spk_id_encoded",
        )
        encoder.ignore_len()
        encoder.update_from_didataset(train, "spk_id")
        train.set_output_keys(["id", "sig", "spk_id_encoded"])
        rows = [train.data[data_id] for data_id in train.data_ids]
        brain = SiameseBrain(
            modules={
                "compute_features": LogMel(sample_rate=RATE, n_mels=32),
                "embedding_model": Listening(
                    n_mels=32,
                    window_len=WINDOW / RATE,
                    growth_rate=4,
                    blocks=[1, 1, 1, 1],
                ),
            },
            hparams={
                "seed": 1,
                "window_samples": WINDOW,
                "frozen": [],
                "sample_rate": RATE,
                "statistics_speeds": SPEEDS,
                **settings,
            },
            run_opts={"device": "cpu"},
        )
        brain.train_sampler = SpeakerBatchSampler(
            speakers=[row["spk_id"] for row in rows],
            stretches=[(int(row["start"]), int(row["stop"])) for row in rows],
            sample_rate=RATE,
            # As training draws them, which has narrower speeds.
            window_samples=WINDOW,
            speakers_per_batch=4,
            clips_per_speaker=2,
        )
        brain.train_set = train
        return brain, len(encoder)

    return build


def test_every_voice_is_shown_at_every_speed(make):
    brain, people = make()
    learn_statistics(brain)
    encoder = brain.raw_modules["embedding_model"]
    assert encoder.shown.shape[1:] == (64, 32)
    assert {*encoder.labels.tolist()} == {*range(people * len(SPEEDS))}
    counts = torch.bincount(encoder.labels)
    # The same windows at each speed, as many as the speech fills.
    assert (counts.unique(return_counts=True)[1] % len(SPEEDS) == 0).all()
    filled = (
        brain.train_sampler.bounds[:, 1] - brain.train_sampler.bounds[:, 0]
    ).sum() / (WINDOW * max(SPEEDS) / 100)
    shown = int(counts.sum()) / len(SPEEDS)
    assert shown == pytest.approx(filled, abs=people)
    # Mixed: the first lot has most of the voices.
    assert len({*encoder.labels[:32].tolist()}) > people // 2


def test_at_their_own_speed_there_are_no_other_voices(make):
    brain, people = make(statistics_speeds=[100])
    learn_statistics(brain)
    labels = brain.raw_modules["embedding_model"].labels
    assert {*labels.tolist()} == {*range(people)}


@pytest.mark.parametrize("most", [12, 90])
def test_there_is_a_most(make, monkeypatch, most):
    """Also of speakers, where there are more."""
    monkeypatch.setattr("speechbrain_siamese.statistics_training.WINDOWS", most)
    brain, people = make()
    learn_statistics(brain)
    labels = brain.raw_modules["embedding_model"].labels
    assert most // 2 < len(labels) <= most
    assert len({*labels.tolist()}) <= people * len(SPEEDS)
    if most == 12:  # two windows of two voices, at three speeds
        assert len({*labels.tolist()}) == 6


def test_what_is_there_already_stays(make):
    brain, _ = make()
    learn_statistics(brain)
    encoder = brain.raw_modules["embedding_model"]
    del encoder.shown
    before = {key: one.clone() for key, one in encoder.state_dict().items()}
    brain.hparams.seed = 2
    learn_statistics(brain)
    assert not hasattr(encoder, "shown")
    for key, value in encoder.state_dict().items():
        assert torch.equal(before[key], value)


class Damaging(LogMel):
    """What a file that has gone bad would give."""

    def __init__(self, place, value):
        super().__init__(RATE, 32)
        self.place, self.value = place, value

    def forward(self, wavs):
        feats = super().forward(wavs)
        feats[self.place] = self.value
        return feats


@pytest.mark.parametrize(
    "place, value", [((0, 3, 5), math.inf), (0, math.nan), ((0, 7), math.nan)]
)
def test_windows_that_are_damaged_are_left_out_and_told(
    make, caplog, place, value
):
    brain, _ = make()
    brain.raw_modules["compute_features"] = Damaging(place, value)
    learn_statistics(brain)
    encoder = brain.raw_modules["embedding_model"]
    assert encoder.shown.isfinite().all()
    assert encoder.statistics.weight.isfinite().all()
    assert "windows are left out, which hold NaN or infinite" in caplog.text


def test_the_same_seed_computes_the_same(make):
    states = []
    for _ in range(2):
        brain, _ = make()
        learn_statistics(brain)
        encoder = brain.raw_modules["embedding_model"]
        states.append(encoder.statistics.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert states[0]["weight"].isfinite().all()
