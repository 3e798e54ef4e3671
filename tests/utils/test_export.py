"""The export folder: what is in it, and that it appears whole."""

from __future__ import annotations

import errno
import json
import os
import re
import sqlite3
from contextlib import closing
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
from speechbrain_siamese.utils.export_folder import FILES

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
    assert export(threshold=0.75) == folder
    written = (folder / "hyperparams.yaml").read_text()
    assert "threshold: 0.75\n" in written
    assert "threshold_target: fpr=0.01" in written
    assert "norm_threshold: null" in written
    assert [path.name for path in folder.parent.iterdir()] == ["export"]
    assert {path.name for path in folder.iterdir()} == {*FILES}


@pytest.fixture(params=[True, False], ids=["links", "no links"])
def links(request, monkeypatch):
    """Disks with hard links, and those without."""
    if not request.param:

        def link(*paths, **settings):
            raise OSError(errno.EPERM, "no links on this disk")

        monkeypatch.setattr(os, "link", link)


def test_what_else_lies_in_the_folder_stays(export, links):
    folder = export()
    (folder / "notes" / "more").mkdir(parents=True)
    (folder / "notes" / "more" / "mine.txt").write_text("mine")
    (folder / "last").symlink_to("notes")
    (folder / "nowhere").symlink_to("gone")
    export(threshold=0.75)
    assert (folder / "notes" / "more" / "mine.txt").read_text() == "mine"
    assert os.readlink(folder / "last") == "notes"
    assert os.readlink(folder / "nowhere") == "gone"
    assert "threshold: 0.75\n" in (folder / "hyperparams.yaml").read_text()


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_gallery_that_is_open_keeps_its_voices(export, journal):
    path = export() / "people.sqlite"
    enrolling = sqlite3.connect(path)
    enrolling.execute(f"PRAGMA journal_mode={journal}")
    enrolling.execute("CREATE TABLE people (name)")
    for name in ("sita", "gita"):
        enrolling.execute("INSERT INTO people VALUES (?)", [name])
        enrolling.commit()
        export()
    with closing(sqlite3.connect(path)) as later:
        found = later.execute("SELECT name FROM people").fetchall()
    assert found == [("sita",), ("gita",)]
    enrolling.close()


def test_a_kill_at_any_moment_loses_nothing(export, monkeypatch):
    """Every call that changes a folder may be the last one."""
    folder = export(threshold=0.5)
    calls = ("replace", "link", "rmdir", "unlink")
    last = 0
    while True:
        (folder / "people.sqlite").write_text("voices")
        left = iter(range(last))

        def dies(original, left=left):
            def call(*arguments, **settings):
                # Nothing runs any more after a kill, no tidying up either.
                if next(left, None) is None:
                    raise KeyboardInterrupt
                return original(*arguments, **settings)

            return call

        try:
            with monkeypatch.context() as patch:
                for name in calls:
                    patch.setattr(os, name, dies(getattr(os, name)))
                export(threshold=0.6)
        except KeyboardInterrupt:
            last += 1
        else:
            break
        kept = [*folder.parent.glob("*export*/people.sqlite")]
        assert "voices" in [path.read_text() for path in kept]
        export(threshold=0.7)
        assert (folder / "people.sqlite").read_text() == "voices"
        assert [path.name for path in folder.parent.iterdir()] == ["export"]
    assert last > 3


def test_what_a_killed_export_left_is_cleared(export, tmp_path):
    folder = export()
    for name in (".export.partial", ".export.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half.ckpt").touch()
    export()
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    assert not (folder / "half.ckpt").exists()


def test_what_was_moved_aside_before_a_kill_comes_back(export, tmp_path):
    folder = export()
    (folder / "people.sqlite").write_text("voices")
    folder.rename(tmp_path / ".export.old")
    export()
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    assert (folder / "people.sqlite").read_text() == "voices"


def test_two_folders_with_what_is_not_ours_are_left_to_their_owner(
    export, tmp_path
):
    for name in ("export", ".export.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "people.sqlite").write_text(name)
    with pytest.raises(ValueError, match="move what you need"):
        export()
    for name in ("export", ".export.old"):
        assert (tmp_path / name / "people.sqlite").read_text() == name


def test_a_folder_of_other_files_is_joined_but_none_is_replaced(
    export, tmp_path
):
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "paper.tex").write_text("mine")
    folder = export()
    assert (folder / "paper.tex").read_text() == "mine"
    (folder / "cohort.ckpt").unlink()
    (folder / "README.md").write_text("mine")
    with pytest.raises(ValueError, match=r"is no export and holds README\.md"):
        export()
    assert (folder / "README.md").read_text() == "mine"
    assert (folder / "paper.tex").read_text() == "mine"


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
