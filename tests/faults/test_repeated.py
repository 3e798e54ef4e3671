"""The same command on the same data gives the same, however it is started."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def differing(one: dict, other: dict) -> list[str]:
    """Names of what is not the same."""
    return [
        name
        for name in sorted({*one, *other}, key=str)
        if one.get(name) != other.get(name)
    ]


@pytest.mark.fault(
    "the same seed twice: prepare, train, evaluate",
    "identical manifests, weights, figures and pages",
    kept=True,
)
@pytest.mark.slow
def test_the_same_seed_gives_the_same_result(
    results, tiny, tiny_data, tmp_path
):
    output, found = tmp_path / "output", []
    for _ in range(2):
        shutil.rmtree(output, ignore_errors=True)
        done = tiny.train(output, tiny_data, **tiny.SMALL)
        assert done.returncode == 0, done.stderr[-3000:]
        done = subprocess.run(
            tiny.evaluation(output / "export", output),
            cwd=tiny.ROOT,
            env=tiny.environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        evaluation = {
            name: value
            for name, value in results.evaluated(output).items()
            if name.startswith("evaluation/")
        }
        shutil.rmtree(output / "evaluation")
        # Its keys hold when the files were written.
        shutil.rmtree(output / "embeddings")
        found.append((results.trained(output), evaluation))
    for once, again in zip(*found, strict=True):
        assert not differing(once, again)
        assert len(once) > 10


@pytest.fixture(scope="module")
def undisturbed(tiny, tiny_data, tmp_path_factory):
    """Output folder of a training that reads with no worker."""
    output = tmp_path_factory.mktemp("alone") / "output"
    done = tiny.train(output, tiny_data, **tiny.SMALL)
    assert done.returncode == 0, done.stderr[-3000:]
    return output


@pytest.mark.fault(
    "workers started by fork, forkserver, spawn (macOS, Windows)",
    "the weights of a training without workers",
    kept=True,
)
@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_may_be_started_in_any_way(
    tiny, tiny_data, undisturbed, tmp_path, method
):
    # Python runs it in every process, as another system's default would be.
    begin = tmp_path / "begin" / "sitecustomize.py"
    begin.parent.mkdir()
    begin.write_text(
        "import multiprocessing\n"
        f"multiprocessing.set_start_method({method!r}, force=True)\n"
    )
    environment = tiny.environment()
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(begin.parent), environment["PYTHONPATH"]]
    )
    output = tmp_path / "output"
    done = subprocess.run(
        tiny.command(
            output, tiny_data, **{**tiny.SMALL, "num_workers": 2, "n_jobs": 2}
        ),
        cwd=tiny.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    weights = "export/embedding_model.ckpt"
    assert (output / weights).read_bytes() == (
        undisturbed / weights
    ).read_bytes()
