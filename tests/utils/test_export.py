"""The export folder: what is in it, and that it appears whole."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
import yaml
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.lobes.models.ECAPA_TDNN import Classifier

from speechbrain_siamese.processing.score_norm import Cohort
from speechbrain_siamese.utils.calibration import Calibration
from speechbrain_siamese.utils.decision import Decision
from speechbrain_siamese.utils.export import export_model, recipe_sections

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "hparams" / "siamese.yaml"
FIGURES = {
    "eer": 0.125,
    "min_dcf_0.01": 0.5,
    "precision": 0.75,
    "recall": 0.8,
    "trials_similar": 3,
    "trials_dissimilar": 4,
}
COHORT = Cohort(speakers=2, embedding_dim=8)
COHORT.fill(torch.eye(8)[:2])
REPORT = {
    "valid": FIGURES,
    "test": {"time": None, "session": None, "speaker": FIGURES},
    "data": {"train": "2 speakers"},
    "settings": {"seed": 1},
}


@pytest.fixture
def export(tmp_path):
    """``export(threshold)`` writes a small model; returns its folder."""

    def write(threshold: float = 0.5) -> Path:
        encoder = CategoricalEncoder()
        encoder.update_from_iterable(["anna", "bert"], sequence_input=False)
        export_model(
            tmp_path / "export",
            sections=recipe_sections(RECIPE, {}),
            modules={
                "embedding_model": torch.nn.Linear(4, 8),
                "classifier": Classifier(8, out_neurons=2),
            },
            cohort=COHORT,
            label_encoder=encoder,
            sample_rate=16000,
            decision=Decision(
                target="fpr=0.01",
                threshold=threshold,
                calibration=Calibration(8.0, -2.5),
            ),
            normalised=None,
            changes=None,
            voices=None,
            measure="cosine",
            report=REPORT,
        )
        return tmp_path / "export"

    return write


def test_second_export_replaces_the_first(export):
    folder = export(threshold=0.5)
    (folder / "stale.txt").touch()
    assert export(threshold=0.75) == folder
    assert not (folder / "stale.txt").exists()
    written = (folder / "hyperparams.yaml").read_text()
    assert "threshold: 0.75\n" in written
    assert "threshold_target: fpr=0.01" in written
    assert "normalised_threshold: null" in written
    assert [path.name for path in folder.parent.iterdir()] == ["export"]


def test_what_a_killed_export_left_is_cleared(export, tmp_path):
    for name in ("export.partial", "export.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half.ckpt").touch()
    folder = export()
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    assert not (folder / "half.ckpt").exists()


def test_recipe_file_without_an_encoder_is_refused(tmp_path):
    path = tmp_path / "bare.yaml"
    path.write_text("lr: 0.1\n")
    with pytest.raises(ValueError, match=r"lacks compute_features, embedd"):
        recipe_sections(path, {})


def test_sections_start_from_no_imagenet_weights():
    sections = recipe_sections(RECIPE, {"imagenet_weights": "x.pth"})
    assert "x.pth" not in sections
    assert "imagenet_weights: false" in sections.lower()


def test_sections_hold_no_comment_of_another_section():
    assert "# ----" not in recipe_sections(RECIPE, {})


def test_hyperparams_name_no_absolute_path(trained):
    text = (trained / "export" / "hyperparams.yaml").read_text()
    assert not re.search(r"(^|[\s:'\"])(/|~|[A-Z]:\\)", text, re.MULTILINE)
    assert str(trained) not in text


def test_weights_are_those_of_the_best_epoch(trained):
    saved = {}
    for note in (trained / "save").glob("CKPT*/CKPT.yaml"):
        meta = yaml.safe_load(note.read_text())
        saved[meta["epoch"]] = note.parent / "embedding_model.ckpt"
    best = json.loads((trained / "metrics.json").read_text())["best_epoch"]
    ours = torch.load(
        trained / "export" / "embedding_model.ckpt", weights_only=True
    )
    theirs = torch.load(saved[best], weights_only=True, map_location="cpu")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_whoever_may_read_one_file_may_read_all(trained):
    modes = {path.stat().st_mode for path in (trained / "export").iterdir()}
    assert len(modes) == 1


def test_model_card_tells_threshold_figures_and_settings(trained):
    report = json.loads((trained / "metrics.json").read_text())
    card = (trained / "export" / "README.md").read_text()
    assert f"threshold={report['decision']['threshold']:.4f}" in card
    assert f"| {100 * report['valid']['eer']:.1f} %" in card
    for found in report["test"].values():
        assert f"| {100 * found['eer']:.1f} %" in card
    assert "4 speakers" in card
    assert "- window_len: 0.64" in card


def test_model_card_says_which_question_has_no_data(export):
    card = (export() / "README.md").read_text()
    assert card.count("no such data") == 2
