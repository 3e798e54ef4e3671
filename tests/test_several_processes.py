"""The user's command with torchrun: two processes learn what one learns."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
TRAINING = {
    "growth_rate": 8,
    "blocks": "[1,1,1,1]",
    # What augmentation draws differs between the processes.
    "speeds": "[100]",
    "fea_augment": "null",
    "steps_per_epoch": 5,
    "number_of_epochs": 2,
    "lr": 0.001,
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    """Gradient descent: Adam divides each gradient by its own size, so that
    those which are nothing but rounding would move weights too."""
    text = (ROOT / "hparams" / "siamese.yaml").read_text()
    text = text.replace("torch.optim.Adam", "torch.optim.SGD")
    text = text.replace("warmup_steps: 100", "warmup_steps: 4")
    # Any callable: here the mean of each eighth of a window.
    text = text.replace(
        "teacher: null",
        "teacher: !name:torch.nn.functional.adaptive_avg_pool1d\n"
        "    output_size: 8",
    )
    path = tmp_path_factory.mktemp("recipe") / "siamese.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def both(tiny, tiny_data, recipe, tmp_path_factory) -> tuple[Path, Path]:
    """Output folders of one process and of two."""
    folder = tmp_path_factory.mktemp("processes")
    outputs = folder / "one", folder / "two"
    torchrun = ["-m", "torch.distributed.run", "--standalone"]
    for output, launcher, options in (
        (outputs[0], [], []),
        (
            outputs[1],
            [*torchrun, "--nproc_per_node=2"],
            ["--distributed_backend=gloo"],
        ),
    ):
        python, script, _, *settings = tiny.command(
            output,
            tiny_data,
            unlabelled_folder=next(tiny_data.iterdir()),
            unlabelled_per_batch=6,
            **TRAINING,
        )
        done = subprocess.run(
            [python, *launcher, script, str(recipe), *settings, *options],
            cwd=ROOT,
            env=tiny.environment(),
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    return outputs


# Steps agree to 2e-6, weights to 1e-6 of the largest of their tensor. Without
# the sum over processes in the gradient it would be 3e-4 and 6e-4.


@pytest.mark.slow
def test_the_loss_curve_is_that_of_one_process(both):
    """Of all three losses, with speech that has no label."""
    one, two = (
        json.loads((output / "metrics.json").read_text())["epochs"]
        for output in both
    )
    for ours, theirs in zip(two, one, strict=True):
        for key in (
            "train_loss",
            "train_distance_similar",
            "train_distance_dissimilar",
            "valid_loss",
            "lr",
        ):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-5), key


@pytest.mark.slow
def test_the_export_is_that_of_one_process(both):
    """Weights, running statistics and mean voices."""
    for name in ("embedding_model", "classifier", "cohort"):
        one, two = (
            torch.load(output / "export" / f"{name}.ckpt", weights_only=True)
            for output in both
        )
        assert one.keys() == two.keys()
        for key, values in one.items():
            size = values.abs().max().item()
            torch.testing.assert_close(
                two[key], values, rtol=0, atol=1e-4 * size + 1e-7, msg=key
            )
