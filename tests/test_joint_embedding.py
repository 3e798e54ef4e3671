"""The supervector's share is the one with which validation errs least."""

from __future__ import annotations

import json

import pytest
import torch
from sklearn.metrics import roc_curve

from speechbrain_siamese.dataio.manifests import read_trials
from speechbrain_siamese.inference.speaker import SiameseRecognition


def equal_error_rate(scores, labels):
    """By scikit-learn: the mean of both errors where they are nearest."""
    accepted, found, _ = roc_curve(labels, scores, drop_intermediate=False)
    missed = 1 - found
    nearest = abs(accepted - missed).argmin()
    return (accepted[nearest] + missed[nearest]) / 2


@pytest.fixture(scope="module")
def report(trained):
    return json.loads((trained / "metrics.json").read_text())


def test_the_share_is_that_of_the_least_error(report):
    by_share = report["supervector"]["valid_eer"]
    assert len(by_share) == 10
    best = by_share[str(report["supervector"]["share"])]
    assert best == min(by_share.values())
    assert report["valid"]["eer"] == pytest.approx(best)


@pytest.mark.parametrize("share", ["0.0", "0.4", "0.9"])
def test_the_export_errs_as_told_with_each_share(share, report, trained):
    model = SiameseRecognition.from_hparams(source=str(trained / "export"))
    model.mods.embedding_model.supervector.share.fill_(float(share))
    trials = read_trials(trained / "prepared" / "trials_valid.txt")
    names = {name for trial in trials for name in (trial.enrol, trial.test)}
    embeddings = {
        name: model.embed_file(trained / "prepared" / name).flatten()
        for name in names
    }
    scores = [
        float(
            torch.nn.functional.cosine_similarity(
                embeddings[trial.enrol], embeddings[trial.test], dim=0
            )
        )
        for trial in trials
    ]
    labels = [trial.label for trial in trials]
    told = report["supervector"]["valid_eer"][share]
    assert told == pytest.approx(equal_error_rate(scores, labels), abs=0.03)
