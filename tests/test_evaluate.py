"""The evaluation as a user runs it: every figure, from outside."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from hyperpyyaml import load_hyperpyyaml

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "recipes" / "YouTubeSpeakers" / "SpeakerRec"


@pytest.fixture(scope="module")
def naive(by_path):
    """The module ``tests/evaluation/naive.py``."""
    return by_path(ROOT / "tests" / "evaluation" / "naive.py")


def command(**settings) -> list[str]:
    """The command that a user types."""
    options = [f"--{key}={value}" for key, value in settings.items()]
    return [sys.executable, "evaluate.py", "hparams/evaluate.yaml", *options]


def evaluate(tiny, cwd: Path = ROOT, **settings):
    """Run the user's command to its end."""
    return subprocess.run(
        command(**settings),
        cwd=cwd,
        env=tiny.environment(),
        capture_output=True,
        text=True,
        timeout=1200,
    )


class Cells(HTMLParser):
    """The figures that the page shows: (table, row, figure) to text."""

    def __init__(self, page: str):
        super().__init__()
        self.shown: dict[tuple[int, int, str], str] = {}
        self.scores: dict[tuple[int, int], str] = {}
        self.figure = None
        self.tables = self.row = 0
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "table":
            self.tables, self.row = self.tables + 1, 0
        if tag == "tr" and "data-scores" in attributes:
            self.row += 1
            self.scores[self.tables, self.row] = attributes["data-scores"]
        if tag in ("td", "th"):
            self.figure = attributes.get("data-figure")
            if self.row and self.figure:
                self.shown[self.tables, self.row, self.figure] = ""

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.figure = None

    def handle_data(self, data):
        if self.row and self.figure:
            self.shown[self.tables, self.row, self.figure] += data


def numbers(text: str, percent: bool) -> list[float]:
    """What a cell says, as numbers; nothing for a dash."""
    words = text.replace("%", "").replace(",", "").replace("to", " ").split()
    return [
        float(word) / (100 if percent else 1) for word in words if word != "–"
    ]


PERCENT = {"accepted", "accuracy", "eer", "eer_interval", "precision", "recall"}


def check_page(naive, folder: Path) -> set[str]:
    """Recompute all that the page shows; returns the figures' names."""
    report = json.loads((folder / "metrics.json").read_text())
    cells = Cells((folder / "evaluation.html").read_text(encoding="utf-8"))
    checked = set()
    for position, table in enumerate(report["tables"], start=1):
        for number, row in enumerate(table["rows"], start=1):
            assert cells.scores[position, number] == row["scores"]
            expected = naive.figures_of(table, row, folder)
            for key in table["columns"]:
                text = cells.shown[position, number, key].strip()
                value = row["figures"][key]
                where = (table["key"], row["name"], key, text)
                percent = key in PERCENT or "%" in text
                if isinstance(value, str):
                    assert text == value, where
                    continue
                if value is None:
                    assert text == "–", where
                    assert expected.get(key) is None or "distance" in key, where
                    continue
                wanted = np.atleast_1d(expected[key]).tolist()
                assert np.allclose(value, wanted, atol=1e-9), where
                close = 0.51e-3
                assert np.allclose(
                    numbers(text, percent), wanted, atol=close
                ), where
                checked.add(key)
    return checked


@pytest.fixture(scope="module")
def evaluated(tiny, trained, tiny_data, tmp_path_factory):
    """Folder of an evaluation on every pair of the recordings."""
    folder = tmp_path_factory.mktemp("evaluated")
    data = shutil.copytree(tiny_data, folder / "नेता")
    (data / "voice0" / "empty.wav").touch()
    (data / "voice1" / "<b>text.mp3").write_text("no sound")
    (data / "speakers.csv").write_text(
        "speaker,gender\n"
        + "".join(f"voice{k},{'mf'[k % 2]}\n" for k in range(8))
    )
    done = evaluate(
        tiny,
        model=trained / "export",
        data_folder=data,
        output_folder=folder / "out",
        lengths="[1,3]",
        enrolment_clips="[1]",
        use_tensorboard=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "out", done


def test_every_figure_of_the_page_follows_from_the_raw_scores(naive, evaluated):
    checked = check_page(naive, evaluated[0])
    assert checked >= {
        "eer",
        "eer_interval",
        "min_dcf_0.01",
        "min_dcf_0.05",
        "cllr",
        "min_cllr",
        "calibration_error",
        "auc",
        "accuracy",
        "precision",
        "recall",
        "f1",
        "threshold",
        "distance_similar",
        "distance_dissimilar",
        "trials_similar",
        "trials_dissimilar",
        "speakers",
        "accepted",
        "trials",
    }


def test_all_questions_and_slices_are_there(evaluated):
    report = json.loads((evaluated[0] / "metrics.json").read_text())
    tables = {table["key"]: table for table in report["tables"]}
    asked = [row["name"] for row in tables["questions"]["rows"]]
    assert asked == [
        "every pair of नेता",
        "unknown voice",
        "known voice, new recording",
        "known voice, known recording",
    ]
    assert {"lengths", "genders", "formats", "enrolment"} <= set(tables)
    genders = [row["name"] for row in tables["genders"]["rows"]]
    assert genders == ["f", "m"]
    assert report["headline"].startswith("every pair of नेता: EER ")
    assert "have the name of a training speaker" in report["headline"]


def test_threshold_and_calibration_are_those_of_the_export(evaluated, trained):
    text = (trained / "export" / "hyperparams.yaml").read_text()
    written = {
        key: float(value)
        for key, value in re.findall(r"^(\w+): (-?\d[\d.e+-]*)", text, re.M)
    }
    report = json.loads((evaluated[0] / "metrics.json").read_text())
    (table,) = (t for t in report["tables"] if t["key"] == "systems-valid")
    rows = {row["name"]: row for row in table["rows"]}
    # Of the scores by which our class decides, and of the cosine.
    for name, threshold, line in (
        ("model", "norm_threshold", "norm"),
        ("model, cosine", "threshold", "calibration"),
    ):
        row = rows[name]
        assert row["figures"]["threshold"] == written[threshold]
        fitted = row["decision"]["calibration"]
        assert fitted["slope"] == written[f"{line}_slope"]
        assert fitted["intercept"] == written[f"{line}_intercept"]


def test_thresholds_follow_from_the_validation_scores(naive, evaluated):
    """At each system's threshold both errors are as near as they can be."""
    folder, _ = evaluated
    report = json.loads((folder / "metrics.json").read_text())
    (table,) = (t for t in report["tables"] if t["key"] == "systems-valid")
    for row in table["rows"]:
        labels, _, scores = naive.read(folder / row["scores"])
        threshold = row["figures"]["threshold"]
        far = (scores[labels == 0] > threshold).mean()
        frr = (scores[labels == 1] <= threshold).mean()
        gaps = [abs(a - b) for a, b in naive.rates(labels, scores)]
        assert abs(far - frr) == pytest.approx(min(gaps), abs=1e-9)


def test_unusable_files_are_listed_and_cost_only_their_trials(evaluated):
    report = json.loads((evaluated[0] / "metrics.json").read_text())
    reasons = {
        Path(entry["file"]).name: entry["reason"]
        for entry in report["unusable"]
    }
    assert set(reasons) == {"empty.wav", "<b>text.mp3"}
    assert "zero bytes" in reasons["empty.wav"]
    figures = report["tables"][0]["rows"][0]["figures"]
    # Of 16 recordings, two of each of 8 voices.
    assert figures["trials_similar"] == 8
    assert figures["trials_similar"] + figures["trials_dissimilar"] == 120
    page = (evaluated[0] / "evaluation.html").read_text(encoding="utf-8")
    assert "<b>text" not in page


def test_log_and_terminal_show_the_tables(evaluated):
    folder, done = evaluated
    for text in (done.stderr + done.stdout, (folder / "log.txt").read_text()):
        assert "every pair of नेता" in text
        assert "minDCF" in text


def test_pictures_are_files_and_in_tensorboard(evaluated):
    from tensorboard.backend.event_processing.event_accumulator import (
        EventAccumulator,
    )

    folder, _ = evaluated
    names = {path.stem for path in (folder / "figures").iterdir()}
    assert names == {
        "scores",
        "det",
        "roc",
        "reliability",
        "embeddings",
        "confusion",
        "lengths",
        "distances",
    }
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["images"]) == names


def test_second_run_takes_embeddings_from_the_cache(
    naive, evaluated, tiny, trained, tmp_path
):
    """A list of some of the same files, with another working point."""
    data = evaluated[0].parent / "नेता"
    (cache,) = (evaluated[0].parent / "embeddings").glob("*.npz")
    written = cache.stat().st_mtime_ns
    names = [f"voice{k}/rec{n}" for k in range(4) for n in (1, 2)]
    files = [next(data.glob(f"{name}.*")).relative_to(data) for name in names]
    trials = tmp_path / "list.txt"
    trials.write_text(
        f"1 {files[0]} {files[1]}\n1 {files[2]} {files[3]}\n"
        f"0 {files[0]} {files[2]}\n0 {files[1]} {files[4]}\n"
        f"0 {files[1]} nowhere/none.wav\n0 {files[0]} {files[2]}\n"
    )
    done = evaluate(
        tiny,
        RECIPE,
        model=trained / "export",
        trials=trials,
        data_folder=data,
        output_folder=evaluated[0].parent / "again",
        target="recall=0.5",
        lengths="[1]",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    log = done.stdout + done.stderr
    assert "1 trials are there more than once" in log
    report = json.loads(
        (evaluated[0].parent / "again" / "metrics.json").read_text()
    )
    assert "no such file" in report["unusable"][0]["reason"]
    row = report["tables"][0]["rows"][0]
    assert row["decision"]["target"] == "recall=0.5"
    valid = naive.read(evaluated[0].parent / "again" / row["scores"])
    assert len(valid[0]) == 5
    check_page(naive, evaluated[0].parent / "again")
    assert cache.stat().st_mtime_ns == written


def test_every_mistake_is_told(tiny, trained, tiny_data, tmp_path):
    one_class = tmp_path / "one_class.txt"
    files = sorted(tiny_data.glob("voice*/*"))
    one_class.write_text(
        f"1 {files[0].relative_to(tiny_data)} "
        f"{files[1].relative_to(tiny_data)}\n"
    )
    missing = tmp_path / "missing.txt"
    missing.write_text("1 a/1.wav a/2.wav\n0 a/1.wav b/1.wav\n")
    alone = tmp_path / "alone"
    (alone / "sita").mkdir(parents=True)
    shutil.copy(files[0], alone / "sita")
    bare = shutil.copytree(trained / "export", tmp_path / "bare")
    text = (bare / "hyperparams.yaml").read_text()
    lines = [
        line
        for line in text.splitlines()
        if not line.startswith(("threshold:", "norm_threshold"))
    ]
    (bare / "hyperparams.yaml").write_text("\n".join(lines))
    mistakes = [
        ({"model": tmp_path / "no"}, "which is no folder: name the folder"),
        ({"model": "no/encoder"}, "there are no trials"),
        ({"model": tiny_data}, "holds no hyperparams.yaml"),
        (
            {"model": bare, "prepared_folder": trained / "prepared"},
            "Need hparams['threshold']",
        ),
        ({"trials": one_class}, "data_folder is not given"),
        (
            {"trials": one_class, "data_folder": tiny_data},
            "all 1 trials have label 1",
        ),
        (
            {"trials": missing, "data_folder": tiny_data},
            "there are not trials of both labels left",
        ),
        (
            {"data_folder": alone, "prepared_folder": tmp_path},
            "there is none, expected both 0 and 1",
        ),
        ({"target": "fpr=2"}, "target is 'fpr 2'"),
        ({"lengths": "[0]"}, "lengths is 0"),
        ({"prepared_folder": tmp_path}, "there are no trials"),
        ({"prepared_folder": tmp_path / "no"}, "which is no folder"),
        ({"output_folder": trained / "export"}, "the export itself"),
        ({"output_folder": trained}, "the figures of something else"),
    ]
    commands = {}
    for number, (settings, _) in enumerate(mistakes):
        options = {
            "model": trained / "export",
            "output_folder": tmp_path / "out" / str(number),
            **settings,
        }
        commands[str(number)] = command(**options)[1:]
    (tmp_path / "attempts.json").write_text(json.dumps(commands))
    (tmp_path / "logs").mkdir()
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "tests" / "run_attempts.py"),
            str(tmp_path / "attempts.json"),
            str(tmp_path / "logs"),
        ],
        cwd=ROOT,
        env=tiny.environment(),
        capture_output=True,
        text=True,
        timeout=900,
    )
    codes = json.loads(done.stdout.splitlines()[-1])
    for number, (settings, words) in enumerate(mistakes):
        log = (tmp_path / "logs" / f"{number}.txt").read_text()
        assert codes[str(number)] == 1, settings
        assert words in log, (settings, log[-2000:])
    assert not list((tmp_path / "out").rglob("evaluation.html"))


@pytest.fixture(scope="module")
def claim_output(by_path):
    """The recipe's function of this name, without running the recipe."""
    return by_path(RECIPE / "evaluate.py").claim_output


OF = {"model": "export", "trials": "None", "data_folder": "voices"}


@pytest.mark.parametrize(
    "file", ["figures/mine.png", "scores/mine.txt", "hyperparams.yaml"]
)
def test_a_folder_of_other_files_is_refused(claim_output, tmp_path, file):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("mine")
    with pytest.raises(ValueError, match="give a new or empty folder"):
        claim_output(tmp_path, tmp_path / "export", OF)
    assert (tmp_path / file).read_text() == "mine"
    assert not (tmp_path / "evaluation_of.json").exists()


def test_an_evaluation_goes_on_where_it_was_interrupted(claim_output, tmp_path):
    source, output = tmp_path / "export", tmp_path / "out"
    output.mkdir()
    # SpeechBrain's tests of recipes let their own files lie there.
    (output / "stdout.txt").touch()
    # A kill while the first of all files is written.
    (output / ".evaluation_of.json.0123abcd.partial").touch()
    claim_output(output, source, OF | {"lengths": "[1]"})
    (output / "hyperparams.yaml").write_text("seed: 1")
    claim_output(output, source, OF | {"lengths": "[3]"})
    # However the shell has completed them.
    claim_output(output, source, OF | {"data_folder": "voices/"})
    claim_output(output, source, OF | {"model": "./export/"})
    with pytest.raises(ValueError, match="the figures of something else"):
        claim_output(output, source, OF | {"data_folder": "others"})


def test_figures_of_an_earlier_version_are_brought_up_to_date(
    claim_output, tmp_path
):
    report = {"settings": OF | {"seed": "1"}}
    (tmp_path / "metrics.json").write_text(json.dumps(report))
    claim_output(tmp_path, tmp_path / "export", OF)
    assert json.loads((tmp_path / "evaluation_of.json").read_text()) == OF


ECAPA = """\
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: 24
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: 24
    channels: [16, 16, 16, 16, 48]
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    attention_channels: 16
    lin_neurons: 24
mean_var_norm_emb: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
    std_norm: False
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    mean_var_norm_emb: !ref <mean_var_norm_emb>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        mean_var_norm_emb: !ref <mean_var_norm_emb>
"""


@pytest.fixture
def ecapa(tmp_path):
    """A folder with an encoder of SpeechBrain's, as the hub has them."""
    folder = tmp_path / "ecapa"
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text(ECAPA)
    made = load_hyperpyyaml(ECAPA)
    torch.save(
        made["embedding_model"].state_dict(), folder / "embedding_model.ckpt"
    )
    norm = made["mean_var_norm_emb"]
    norm.count, norm.glob_mean = 1, torch.zeros(24)
    norm.glob_std = torch.ones(24)
    norm._save(folder / "mean_var_norm_emb.ckpt")
    return folder


@pytest.mark.slow
def test_peers_and_baselines_stand_in_the_same_table(
    naive, tiny, trained, ecapa, tmp_path
):
    done = evaluate(
        tiny,
        model=trained / "export",
        output_folder=tmp_path / "out",
        peer=ecapa,
        baselines=True,
        lengths="[2]",
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    report = json.loads((tmp_path / "out" / "metrics.json").read_text())
    tables = {table["key"]: table["rows"] for table in report["tables"]}
    systems = {row["name"]: row["figures"] for row in tables["systems-speaker"]}
    assert list(systems) == [
        "model",
        "model, cosine",
        "random",
        "nearest neighbours",
        "network of 2019",
        "GMM-UBM",
        "ecapa",
    ]
    assert len({f["trials_similar"] for f in systems.values()}) == 1
    assert systems["GMM-UBM"]["auc"] > 0.6 > systems["random"]["auc"] - 0.1
    task = {row["name"]: row["figures"] for row in tables["one-or-two"]}
    assert {"embeddings, model", "embeddings, ecapa"} < set(task)
    assert sum("network of 2019, seed" in name for name in task) == 5
    assert "k-means, ecapa" in [row["name"] for row in tables["clusterings"]]
    check_page(naive, tmp_path / "out")


def test_what_was_prepared_anew_is_not_taken_for_what_was_held_out(
    by_path, trained, tmp_path, caplog
):
    """The model may have heard who is held out there by now."""
    check = by_path(RECIPE / "evaluate.py").check_prepared
    for name in ("save/training.json", "prepared/preparation.json"):
        path = tmp_path / name
        path.parent.mkdir()
        shutil.copy(trained / name, path)
    source, prepared = tmp_path / "export", tmp_path / "prepared"
    assert check(source, prepared, given=False, others=False)
    told = json.loads((prepared / "preparation.json").read_text())
    (prepared / "preparation.json").write_text(
        json.dumps({**told, "fingerprint": "another"})
    )
    with pytest.raises(ValueError, match="was prepared anew"):
        check(source, prepared, given=False, others=False)
    with caplog.at_level("WARNING"):
        assert check(source, prepared, given=True, others=True)
    assert "the figures flatter it" in caplog.text
    # Other people than those can still be measured on.
    with caplog.at_level("WARNING"):
        assert not check(source, prepared, given=False, others=True)
    assert "they are left out" in caplog.text
    # Of a model from elsewhere nothing is known.
    other = tmp_path / "other" / "export"
    assert check(other, prepared, given=False, others=False)


def test_without_what_was_held_out_the_list_is_measured_alone(
    by_path, trained, tmp_path
):
    find_sets = by_path(RECIPE / "evaluate.py").find_sets
    trials = tmp_path / "list.txt"
    trials.write_text("1 a/1.wav a/2.wav\n0 a/1.wav b/1.wav\n")
    hparams = {"trials": trials, "data_folder": tmp_path, "seed": 1}
    prepared = trained / "prepared"
    keys = [s.key for s in find_sets(hparams, prepared, held_out=True)]
    assert keys[0] == "list_list" and keys[-1] == "valid"
    (found,) = find_sets(hparams, prepared, held_out=False)
    assert found.key == "list_list"


@pytest.mark.parametrize(
    "text",
    ['{"epochs": 10}', "[1, 2]", '{"epochs": [{"loss": 1}]}', "{", "[" * 9999],
)
def test_metrics_of_another_program_cost_their_picture_only(
    by_path, tmp_path, caplog, text
):
    path = tmp_path / "metrics.json"
    path.write_text(text)
    with caplog.at_level("WARNING"):
        by_path(RECIPE / "evaluate.py").draw_training(None, path)
    assert f"{path} is no training's" in caplog.text
