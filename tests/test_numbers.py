"""Numbers fail: NaN, infinity, one voice for all. None of it is silent."""

from __future__ import annotations

import functools
import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from speechbrain_siamese.dataio.sampler import SpeakerBatchSampler
from speechbrain_siamese.guarded_brain import GuardedBrain
from speechbrain_siamese.inference.speaker import SiameseRecognition
from speechbrain_siamese.nnet.losses import ContrastiveLoss
from speechbrain_siamese.processing.score_norm import Cohort
from speechbrain_siamese.utils.collapse import (
    COLLAPSED,
    PATIENCE,
    check_collapse,
    collapsed_epochs,
)
from speechbrain_siamese.utils.decision import choose_decision
from speechbrain_siamese.utils.epoch_report import validation_figures

SAME = np.array([1, 1, 0, 0])


class Line(GuardedBrain):
    """A straight line, learnt by the training loop of the package."""

    def compute_forward(self, batch, stage):
        del stage
        return self.modules.line(batch[:, :1])

    def compute_objectives(self, predictions, batch, stage):
        del stage
        return (predictions - batch[:, 1:]).square().mean()


class RootAtZero(Line):
    """Its loss is finite where its gradient is not."""

    def compute_objectives(self, predictions, batch, stage):
        del stage
        return (predictions * batch[:, 1:]).abs().sqrt().mean()


def fit(kind, rows, batch=1, line=None, **options):
    """The brain after an epoch with one row in each batch, or more."""
    torch.manual_seed(0)
    brain = kind(
        modules={"line": line or torch.nn.Linear(1, 1)},
        opt_class=functools.partial(torch.optim.SGD, lr=0.1),
        run_opts={"device": "cpu", "noprogressbar": True, **options},
    )
    # A step of its own: what it was before is known.
    brain.fit(range(1), DataLoader(torch.tensor(rows), batch_size=batch))
    return brain


GOOD, BAD = [1.0, 2.0], [float("nan"), 1.0]


@pytest.mark.fault(
    "NaN or infinity in a batch",
    "the step is left out, the weights are as without it",
)
@pytest.mark.parametrize("bad", [BAD, [float("inf"), 1.0], [1.0, float("inf")]])
def test_a_batch_that_is_not_finite_spoils_no_weight(bad, caplog):
    spoilt = fit(Line, [GOOD, bad, GOOD])
    whole = fit(Line, [GOOD, GOOD])
    for name, weight in spoilt.modules.state_dict().items():
        assert torch.equal(weight, whole.modules.state_dict()[name])
    assert "the step is left out" in caplog.text


@pytest.mark.parametrize("momentum", [0.1, None])
def test_a_batch_that_is_not_finite_spoils_no_running_mean(momentum):
    """Nor does it count where all batches weigh the same."""
    other = [3.0, 1.0]
    brains = [
        fit(Line, rows, batch=2, line=torch.nn.Sequential(norm, scale))
        for rows in (
            [GOOD, other, BAD, GOOD, GOOD, other],
            [GOOD, other, GOOD, other],
        )
        for norm, scale in [
            (
                torch.nn.BatchNorm1d(1, momentum=momentum),
                torch.nn.Linear(1, 1),
            )
        ]
    ]
    spoilt, whole = (dict(brain.modules.named_buffers()) for brain in brains)
    assert spoilt.keys() == whole.keys() and len(whole) == 3
    for name, value in whole.items():
        assert torch.equal(spoilt[name], value)


class TwoGroups(Line):
    """The slope in a group of its own, after the bias."""

    def init_optimizers(self):
        line = self.modules.line
        self.optimizer = torch.optim.SGD(
            [{"params": [line.bias]}, {"params": [line.weight]}], lr=1.0
        )
        self.optimizers_dict = {"opt_class": self.optimizer}


def test_the_gradients_of_all_groups_are_clipped():
    brain = fit(TwoGroups, [[1e4, 1e4]], max_grad_norm=0.25)
    torch.manual_seed(0)
    before = torch.nn.Linear(1, 1)
    for name, weight in brain.modules.line.named_parameters():
        moved = weight - before.get_parameter(name)
        assert moved.norm().item() == pytest.approx(0.25, rel=1e-3)


@pytest.mark.fault("gradient that is not finite", "the step is left out")
def test_a_gradient_that_is_not_finite_spoils_no_weight():
    before = fit(RootAtZero, [[1.0, 1.0]]).modules.state_dict()
    # The root of nothing: loss 0, gradient without end.
    brain = fit(RootAtZero, [[1.0, 1.0], [1.0, 0.0]])
    for name, weight in brain.modules.state_dict().items():
        assert torch.equal(weight, before[name])


@pytest.mark.fault("training that diverges", "ends with advice")
def test_a_training_that_diverges_ends_with_advice():
    with pytest.raises(ValueError, match=r"not finite in 4 steps.*Lower lr"):
        fit(Line, [GOOD, BAD, BAD, BAD, BAD, GOOD])
    with pytest.raises(ValueError, match=r"gradients of 4 steps.*Lower lr"):
        fit(RootAtZero, [[1.0, 0.0]] * 4)
    fit(Line, [GOOD, *[BAD] * 9], nonfinite_patience=9)


def test_steps_that_go_well_between_are_no_divergence():
    fit(RootAtZero, [[1.0, 0.0], [1.0, 1.0]] * 6)


def epochs(*spreads):
    return [
        {"epoch": number, "valid_spread": spread}
        for number, spread in enumerate(spreads, start=1)
    ]


@pytest.mark.fault(
    "all scores alike: collapse",
    "warned of, then ended with advice",
)
def test_a_collapse_is_warned_of_and_ends_a_training_that_stays_so(caplog):
    check_collapse(epochs(0.1, 2 * COLLAPSED))
    assert not caplog.text
    check_collapse(epochs(0.1, 1e-7))
    assert "epoch 2: all validation scores are alike" in caplog.text
    assert "Lower lr" in caplog.text
    check_collapse(epochs(1e-7, 1e-7, 0.1, 1e-7, 1e-7))
    with pytest.raises(ValueError, match=f"so for {PATIENCE} epochs"):
        check_collapse(epochs(0.1, *[1e-7] * PATIENCE))
    assert collapsed_epochs(epochs(0.1, 1e-7)) == [2]
    # Of a training that an earlier version began.
    assert collapsed_epochs([{"epoch": 1}]) == []
    # Statistics that are not trained keep the scores apart.
    told = {
        "valid_spread": 0.1,
        "train_distance_similar": 5e-4,
        "train_distance_dissimilar": 1e-3,
    }
    with pytest.raises(ValueError, match=r"batch are alike .*0\.001"):
        check_collapse([{"epoch": number, **told} for number in (1, 2, 3)])
    # A training of few pairs, none of which was of two people.
    few = {"epoch": 1, "train_distance_similar": 0.7}
    assert collapsed_epochs([{**few, "train_distance_dissimilar": 0.0}]) == []


def test_scores_that_are_all_alike_have_figures_and_are_seen():
    scores = np.full(4, 0.5, dtype=np.float32)
    figures = validation_figures(scores, SAME, ContrastiveLoss(1.2), "cosine")
    assert figures["eer"] == 0.5
    assert all(np.isfinite(value) for value in figures.values())
    assert figures["spread"] < COLLAPSED
    decision = choose_decision(scores, SAME, "eer")
    assert decision.calibration.probability(0.5, 0.5) == pytest.approx(0.5)


def test_a_training_that_goes_well_has_not_collapsed(trained):
    report = json.loads((trained / "metrics.json").read_text())
    assert report["collapsed_epochs"] == []
    assert all(e["valid_spread"] > 10 * COLLAPSED for e in report["epochs"])


@pytest.mark.fault(
    "embeddings that are all the same; a batch of one speaker",
    "finite loss and gradient",
)
@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("labels", [[0, 0, 1, 1], [0, 0, 0, 0], [0, 1, 2, 3]])
def test_embeddings_that_are_all_the_same_have_a_finite_gradient(
    balanced, labels
):
    embeddings = torch.ones(4, 8, requires_grad=True)
    unit = torch.nn.functional.normalize(embeddings, dim=-1)
    loss = ContrastiveLoss(1.2, balanced=balanced)(unit, torch.tensor(labels))
    loss.backward()
    assert loss.isfinite()
    assert embeddings.grad.isfinite().all()


@pytest.mark.fault("cohort of one voice", "finite scores")
def test_a_cohort_of_one_voice_gives_numbers():
    cohort = Cohort(20, 4)
    cohort.fill(torch.ones(20, 4))
    pair = np.array([0]), np.array([1])
    assert np.isfinite(cohort.normalised(torch.ones(2, 4), *pair)).all()


@pytest.mark.fault("speaker with one clip", "trained on")
def test_a_speaker_with_one_clip_is_in_the_batches():
    sampler = SpeakerBatchSampler(
        speakers=["a", "b", "b"],
        stretches=[(0, 32000), (0, 64000), (0, 64000)],
        sources=["clean"] * 3,
        sample_rate=16000,
        window_samples=16000,
        speakers_per_batch=2,
        clips_per_speaker=2,
        seed=0,
        steps=3,
    )
    for batch in sampler:
        assert {draw.row for draw in batch} > {0}


@pytest.fixture(scope="module")
def model(trained):
    return SiameseRecognition.from_pretrained(trained / "export")


@pytest.mark.fault(
    "NaN or infinity in a recording",
    "refused by every method, named in batches",
)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_recording_that_is_not_finite_is_refused_everywhere(
    model, tiny, tmp_path, bad
):
    wave = tiny.voice(0, 9, 8.0)
    good = tiny.write(tmp_path / "good.wav", wave)
    wave[5000] = bad
    path = tmp_path / "bad.wav"
    soundfile.write(path, wave, tiny.RATE, subtype="FLOAT")
    gallery = model.gallery(tmp_path / "people.sqlite")
    gallery.enroll("A", good)
    for ask in (
        model.embed_file,
        model.detect_changes,
        model.label,
        functools.partial(model.label, online=True),
        functools.partial(model.compare_files, good),
        gallery.identify,
        functools.partial(gallery.enroll, "B"),
    ):
        with pytest.raises(ValueError, match="NaN or infinite samples"):
            ask(path)
    found, unusable = model.embed_files([good, path])
    assert found.keys() == {str(good)}
    assert "NaN or infinite samples" in unusable[str(path)]


@pytest.mark.fault(
    "NaN or infinity in a waveform",
    "refused, with the number of the item",
)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_told_of_waveforms(model, tiny, bad):
    good = torch.from_numpy(tiny.voice(0, 9, 4.0))
    wavs = torch.stack([good, good])
    wavs[1, -1] = bad
    for ask in (
        model.encode_batch,
        functools.partial(model.verify_batch, good),
    ):
        with pytest.raises(ValueError, match="item 1 of the batch holds NaN"):
            ask(wavs)
    # Behind the end of an item there may be anything.
    ends = torch.tensor([1.0, 0.9])
    found = model.encode_batch(wavs, ends)
    wavs[1, -1] = 0
    assert torch.equal(found, model.encode_batch(wavs, ends))


def test_sound_behind_the_end_of_an_item_is_none(model, tiny):
    wavs = torch.from_numpy(tiny.voice(0, 9, 4.0)).repeat(2, 1)
    wavs[1, : wavs.shape[1] // 2] = 0
    with pytest.raises(ValueError, match="item 1 of the batch is silent"):
        model.encode_batch(wavs, torch.tensor([1.0, 0.5]))


def collapsing(folder, trained):
    """An export whose network says the same of everybody."""
    export = shutil.copytree(trained / "export", folder / "start" / "export")
    path = export / "embedding_model.ckpt"
    state = torch.load(path, weights_only=True)
    state["projection.weight"].zero_()
    torch.save(state, path)
    return export


@pytest.mark.fault(
    "real training from a collapsed network",
    "ends after three epochs, with advice",
)
@pytest.mark.slow
def test_a_real_training_that_has_collapsed_ends_early(
    tiny, tiny_data, trained, tmp_path
):
    done = tiny.train(
        tmp_path / "output",
        tiny_data,
        prepared_folder=trained / "prepared",
        skip_prep=True,
        init_from=collapsing(tmp_path, trained),
        frozen="[embedding_model]",
        number_of_epochs=6,
    )
    text = done.stdout + done.stderr
    assert done.returncode == 1, text[-2000:]
    assert "epoch 1: all voices of a batch are alike" in text
    assert f"It was so for {PATIENCE} epochs, so the training ends" in text
    assert "Going into epoch 4" not in text
