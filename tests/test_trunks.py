"""Any trunk and any loss in the Siamese frame, by the user's command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from speechbrain.inference.speaker import SpeakerRecognition

from speechbrain_siamese.inference.speaker import SiameseRecognition

ROOT = Path(__file__).resolve().parent.parent
CHANNELS = "[16,16,16,16,48]"


def train(tiny, yaml, data, output, processes=1, **settings):
    """A few steps with any YAML file, of some processes that learn as one."""
    torchrun = ["-m", "torch.distributed.run", "--standalone"]
    several = [*torchrun, f"--nproc_per_node={processes}"]
    options = {
        "data_folder": data,
        "output_folder": output,
        "trim_start": 1,
        "trim_end": 1,
        "number_of_epochs": 1,
        "steps_per_epoch": 4,
        "n_jobs": 1,
        "precision": "fp32",
        **settings,
    }
    done = subprocess.run(
        [
            sys.executable,
            *(several if processes > 1 else []),
            "train.py",
            str(yaml),
            *(f"--{key}={value}" for key, value in options.items()),
            *(["--distributed_backend=gloo"] if processes > 1 else []),
        ],
        cwd=ROOT,
        env=tiny.environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    return done


def weights(output):
    path = output / "export" / "embedding_model.ckpt"
    return torch.load(path, weights_only=True)


ASK = """
import sys
from speechbrain.inference.speaker import SpeakerRecognition
model = SpeakerRecognition.from_hparams(source=sys.argv[1])
score, same = model.verify_files(sys.argv[2], sys.argv[2])
print(float(score), model.classify_file(sys.argv[2])[3][0])
"""


@pytest.mark.slow
def test_ecapa_pretrained_frozen_and_gone_on_from(tiny, tiny_data, tmp_path):
    """From scratch, then from its weights, then as an earlier export."""
    yaml = "hparams/siamese_ecapa.yaml"
    first = tmp_path / "first"
    done = train(
        tiny, yaml, tiny_data, first, pretrained_path="null", channels=CHANNELS
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    wav = next((first / "prepared" / "held_out").rglob("*.wav"))
    asked = subprocess.run(
        [sys.executable, "-c", ASK, str(first / "export"), str(wav)],
        env=tiny.environment(),
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    score, name = asked.stdout.split()[-2:]
    assert float(score) == pytest.approx(1, abs=1e-5)
    assert name.startswith("voice")

    tuned = tmp_path / "tuned"
    done = train(
        tiny,
        yaml,
        tiny_data,
        tuned,
        processes=2,
        pretrained_path=first / "export",
        channels=CHANNELS,
        frozen="[embedding_model.blocks.0]",
        seed=7,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    before, after = weights(first), weights(tuned)
    changed = {key for key in before if not before[key].equal(after[key])}
    assert changed
    assert not any(key.startswith("blocks.0.") for key in changed)
    # Started there: slowly moved weights are still near.
    assert torch.allclose(
        before["fc.conv.weight"], after["fc.conv.weight"], atol=0.02
    )

    going_on = tmp_path / "going_on"
    done = train(
        tiny,
        yaml,
        tiny_data,
        going_on,
        pretrained_path="null",
        init_from=first / "export",
        channels=CHANNELS,
        seed=7,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    found = json.loads((going_on / "metrics.json").read_text())
    earlier = json.loads((first / "metrics.json").read_text())
    kept = found["init_from"]
    assert kept["earlier_model_earlier_people"] == pytest.approx(
        earlier["valid"]["eer"], abs=1e-6
    )
    assert kept["new_model_new_people"] == pytest.approx(
        found["valid"]["eer"], abs=1e-6
    )
    assert {"earlier_model_new_people", "new_model_earlier_people"} < set(kept)


@pytest.mark.slow
def test_ecapa_pretrained_on_librispeech_keeps_what_it_knows(
    tiny, tiny_data, real_data, tmp_path
):
    """Other speech first; then the user's, with the encoder frozen."""
    clips = tmp_path / "clips"
    clips.mkdir()
    for speaker in sorted((real_data / "clips").glob("ls*"))[:24]:
        (clips / speaker.name).symlink_to(speaker)
    yaml = "hparams/siamese_ecapa.yaml"
    first, tuned = tmp_path / "first", tmp_path / "tuned"
    for data, output, own in (
        (
            clips,
            first,
            {
                "pretrained_path": "null",
                "trim_start": 0,
                "trim_end": 0,
                "steps_per_epoch": 20,
            },
        ),
        (
            tiny_data,
            tuned,
            {
                "pretrained_path": first / "export",
                "frozen": "[embedding_model]",
            },
        ),
    ):
        done = train(tiny, yaml, data, output, channels=CHANNELS, **own)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    before, after = weights(first), weights(tuned)
    assert all(before[key].equal(after[key]) for key in before)
    # It was trained, and it tells strangers' voices better than chance.
    epochs = json.loads((first / "metrics.json").read_text())["epochs"]
    assert epochs[-1]["valid_eer"] < 0.4
    names = (tuned / "export" / "label_encoder.txt").read_text()
    assert "voice" in names and "ls" not in names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cost", "miner"),
    [
        (
            "!new:pytorch_metric_learning.losses.SupConLoss",
            "!new:pytorch_metric_learning.miners.MultiSimilarityMiner",
        ),
        # With a learnt proxy for each speaker.
        (
            "!name:pytorch_metric_learning.losses.ProxyAnchorLoss\n"
            "    embedding_size: !ref <embedding_dim>",
            "null",
        ),
    ],
)
def test_losses_of_another_library_are_a_yaml_line(
    tiny, tiny_data, tmp_path, cost, miner
):
    text = (ROOT / "hparams" / "siamese_ecapa.yaml").read_text()
    begin = text.index("compute_cost: ")
    end = text.index("\n\n", begin)
    text = f"{text[:begin]}compute_cost: {cost}{text[end:]}"
    text = text.replace("miner: null", f"miner: {miner}")
    yaml = tmp_path / "own.yaml"
    yaml.write_text(text)
    done = train(
        tiny,
        yaml,
        tiny_data,
        tmp_path / "out",
        pretrained_path="null",
        channels=CHANNELS,
        classifier_weight=0,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert weights(tmp_path / "out")
    if miner == "null":
        saved = (tmp_path / "out" / "save").glob("CKPT*/compute_cost.ckpt")
        assert torch.load(next(saved), weights_only=True)["proxies"].ndim == 2


def test_another_encoder_is_not_gone_on_from(
    tiny, trained, tiny_data, tmp_path
):
    done = train(
        tiny,
        "hparams/siamese_ecapa.yaml",
        tiny_data,
        tmp_path / "out",
        pretrained_path="null",
        channels=CHANNELS,
        init_from=trained / "export",
    )
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "whose features or encoder differ" in said
    assert "DenseNetEnsemble" in said


@pytest.mark.slow
def test_design_of_2023_decides_by_distance(tiny, tiny_data, tmp_path):
    output = tmp_path / "out"
    done = train(
        tiny,
        "hparams/siamese_two_tower.yaml",
        tiny_data,
        output,
        imagenet_weights=False,
        window_len=1.2,
        n_mels=64,
        test_time=0.5,
        pairs_per_batch=4,
        steps_per_epoch=2,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    lines = (output / "prepared" / "pairs.csv").read_text().splitlines()
    # 100 for each of 8 voices, 25 for each of 8 x 7 ordered pairs.
    assert len(lines) - 1 == 8 * 100 + 8 * 7 * 25
    assert sum(line.startswith("1,") for line in lines) == 800
    report = json.loads((output / "metrics.json").read_text())
    # The threshold is the mean similar distance, with the sign turned round.
    assert report["decision"]["threshold"] == pytest.approx(
        -report["valid"]["distance_similar"], rel=1e-6
    )
    files = sorted((output / "prepared" / "held_out").rglob("*.wav"))[:2]
    model = SiameseRecognition.from_hparams(source=str(output / "export"))
    score, same = model.verify_files(*files)
    a, b = (model.encode_batch(model.load_audio(f)[None])[0, 0] for f in files)
    assert float(score) == pytest.approx(-float((a - b).norm()), rel=1e-5)
    assert bool(same) == (float(score) > report["decision"]["threshold"])
    assert model.compare_files(*files).normalised is None
    card = (output / "export" / "README.md").read_text()
    assert "SiameseRecognition.from_hparams" in card
    assert "random start" in card
    evaluated = subprocess.run(
        [
            sys.executable,
            "evaluate.py",
            "hparams/evaluate.yaml",
            f"--model={output / 'export'}",
            "--lengths=1",
        ],
        cwd=ROOT,
        env=tiny.environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert evaluated.returncode == 0, evaluated.stdout[-3000:]
    found = json.loads(
        (output / "evaluation_time" / "metrics.json").read_text()
    )
    tables = {table["key"]: table["rows"][0] for table in found["tables"]}
    assert tables["systems-valid"]["figures"]["distance_similar"] == (
        pytest.approx(report["valid"]["distance_similar"], rel=1e-4)
    )


@pytest.mark.slow
def test_design_of_2019_trains_in_two_stages(tiny, tiny_data, tmp_path):
    """A classifier learns the voices, then the pairs go on from there."""
    yaml, first, output = "hparams/siamese_2019.yaml", "first", "out"
    settings = {"separate_vocals": False, "speakers_per_batch": 4}
    for stage, own in (
        (first, {"pair_weight": 0}),
        (output, {"classifier_weight": 0, "lr": 1e-5}),
    ):
        if stage == output:
            own["init_from"] = tmp_path / first / "export"
        done = train(tiny, yaml, tiny_data, tmp_path / stage, **settings, **own)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    before, after = (weights(tmp_path / stage) for stage in (first, output))
    name = "projection.weight"
    moved = (before[name] - after[name]).abs().max()
    # Four steps of Adam move a weight by four times the rate at most.
    assert 0 < moved < 1e-4
    export = tmp_path / output / "export"
    file = next((tmp_path / output / "prepared" / "held_out").rglob("*.wav"))
    model = SpeakerRecognition.from_hparams(source=str(export))
    score, _ = model.verify_files(str(file), str(file))
    assert float(score) == pytest.approx(1, abs=1e-5)
    # The classifier, which learnt nothing, points to the mean of each voice.
    voices = torch.load(export / "cohort.ckpt", weights_only=True)["voices"]
    classifier = torch.load(export / "classifier.ckpt", weights_only=True)
    directions = torch.nn.functional.normalize(classifier["weight"], dim=-1)
    torch.testing.assert_close(directions, voices)


@pytest.mark.slow
def test_a_teacher_and_changed_sound_guide_a_training(
    tiny, tiny_data, tmp_path
):
    """An export teaches the next training, which hears noise and codecs."""
    yaml = "hparams/siamese.yaml"
    small = {"window_len": 0.64, "n_mels": 32, "speakers_per_batch": 4}
    first, output = tmp_path / "first", tmp_path / "out"
    done = train(tiny, yaml, tiny_data, first, **small)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    noise = tmp_path / "noise"
    noise.symlink_to(next(tiny_data.iterdir()))
    done = train(
        tiny,
        yaml,
        tiny_data,
        output,
        **small,
        growth_rate=8,
        blocks="[1,1,1,1]",
        teacher=first / "export",
        teacher_window=1.0,
        teacher_hop=0.5,
        noise_folder=noise,
        noise_share=0.5,
        reverb_share=0.5,
        codec_share=0.25,
        speed_voices=True,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    kept = list((output / "prepared" / "teacher").glob("*.npz"))
    assert len(kept) == 1
    assert (output / "prepared" / "noise" / "noise.csv").is_file()
    file = next((output / "prepared" / "held_out").rglob("*.wav"))
    model = SpeakerRecognition.from_hparams(source=str(output / "export"))
    score, _ = model.verify_files(str(file), str(file))
    assert float(score) == pytest.approx(1, abs=1e-5)
    # What the student's embeddings are held against the teacher's with was
    # learnt: a fresh projection has no mean of its own gradient.
    (best,) = (output / "save").glob("CKPT*")
    state = torch.load(best / "optimizer.ckpt", weights_only=True)["state"]
    heads = torch.load(best / "teacher_cost.ckpt", weights_only=True)
    (projection,) = heads.values()
    moments = [
        own["exp_avg"]
        for own in state.values()
        if own["exp_avg"].shape == projection.shape
    ]
    assert any(moment.abs().max() > 0 for moment in moments)
    # Each speed made other speakers, who do not answer.
    learnt, answers = (
        torch.load(folder / "classifier.ckpt", weights_only=True)["weight"]
        for folder in (best, output / "export")
    )
    assert len(learnt) == 3 * len(answers)
    # The student is far smaller, and nothing of the teacher is in the export.
    network = [
        weight.numel()
        for name, weight in weights(output).items()
        if not name.startswith(("statistics", "supervector"))
    ]
    assert sum(network) < 100_000


@pytest.mark.slow
def test_a_training_with_nothing_to_learn_from_is_refused(
    tiny, tiny_data, tmp_path
):
    done = train(
        tiny,
        "hparams/siamese.yaml",
        tiny_data,
        tmp_path / "out",
        pair_weight=0,
        classifier_weight=0,
    )
    assert done.returncode != 0
    assert "pair_weight and classifier_weight are 0" in done.stderr
    assert not (tmp_path / "out" / "prepared").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "steps"),
    [({"grad_accumulation_factor": 2}, 2), ({"precision": "bf16"}, 4)],
)
def test_speechbrains_own_options_are_obeyed(
    tiny, tiny_data, tmp_path, option, steps
):
    output = tmp_path / "out"
    small = {"growth_rate": 8, "blocks": "[1,1,1,1]"}
    yaml = "hparams/siamese.yaml"
    done = train(tiny, yaml, tiny_data, output, **small, **option)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    found = json.loads((output / "metrics.json").read_text())
    assert found["training_steps"] == steps
