"""What a clip is learnt from."""

from __future__ import annotations

import pytest
import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper

from speechbrain_siamese.core import SiameseBrain
from speechbrain_siamese.nnet.distillation import DistillationLoss
from speechbrain_siamese.nnet.losses import ContrastiveLoss
from speechbrain_siamese.utils.history import TrainingHistory

PEOPLE, DIM, TEACHER_DIM = 3, 5, 4
WEIGHTS = {"pair_weight": 2.0, "classifier_weight": 0.5, "teacher_weight": 3.0}


@pytest.fixture
def brain():
    torch.manual_seed(0)
    modules = {
        "embedding_model": torch.nn.Identity(),
        "classifier": Classifier(DIM, out_neurons=PEOPLE),
        "teacher_cost": DistillationLoss(DIM, TEACHER_DIM),
    }
    hparams = {
        **WEIGHTS,
        "frozen": [],
        "miner": None,
        "compute_cost": ContrastiveLoss(margin=1.2, balanced=True),
        "classifier_cost": LogSoftmaxWrapper(
            AdditiveAngularMargin(margin=0.2, scale=30)
        ),
        "history": TrainingHistory(),
    }
    return SiameseBrain(modules, hparams=hparams, run_opts={"device": "cpu"})


def loss(brain, embeddings, labels, targets) -> float:
    batch = PaddedBatch(
        [
            {"spk_id_encoded": torch.tensor([label]), "teacher": target}
            for label, target in zip(labels, targets, strict=True)
        ]
    )
    found = brain.compute_objectives(
        embeddings.unsqueeze(1), batch, sb.Stage.TRAIN
    )
    return found.item()


def test_of_clips_without_a_speaker_the_teacher_alone_speaks(brain):
    embeddings = torch.nn.functional.normalize(torch.randn(8, DIM), dim=-1)
    targets = torch.randn(8, TEACHER_DIM)
    labels = [0, 1, 0, 2]
    taught = WEIGHTS["teacher_weight"] * (
        brain.modules.teacher_cost(embeddings, targets)
        - brain.modules.teacher_cost(embeddings[:4], targets[:4])
    )
    named = loss(brain, embeddings[:4], labels, targets[:4])
    counted = dict(brain.hparams.history.sums)
    brain.hparams.history.sums = {}
    both = loss(brain, embeddings, [*labels, *[-1] * 4], targets)
    assert both == pytest.approx(named + taught.item(), rel=1e-5)
    # Nor do their distances count among those of the log.
    assert brain.hparams.history.sums == pytest.approx(counted)
