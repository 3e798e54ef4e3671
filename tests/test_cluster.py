"""Preparation on a real Dask cluster of this machine, through joblib."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.corpus import clean_corpus
from speechbrain_siamese.dataio.recordings import find_recordings
from speechbrain_siamese.dataio.splits import SplitSettings

distributed = pytest.importorskip("distributed")

PREPARE = (
    Path(__file__).resolve().parent.parent
    / "recipes"
    / "YouTubeSpeakers"
    / "youtube_prepare.py"
)
SETTINGS = CleaningSettings(trim_start=1.0, trim_end=1.0)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two worker processes."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=None,
        local_directory=str(tmp_path_factory.mktemp("dask")),
        silence_logs=50,
    ) as running:
        yield running


@pytest.fixture
def backend(cluster):
    """What a user writes into the YAML file; the cluster must do the work."""
    before = len(cluster.scheduler.transition_log)
    yield {"backend": "dask", "scheduler_host": cluster.scheduler_address}
    assert len(cluster.scheduler.transition_log) > before


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_cluster_prepares_bit_for_bit_what_one_process_does(
    by_path, backend, tiny_data, tmp_path
):
    module = by_path(PREPARE)
    for name, options in (
        ("alone", {"n_jobs": 1}),
        ("cluster", {"n_jobs": -1, "joblib_backend": backend}),
    ):
        module.prepare_youtube(
            data_folder=str(tiny_data),
            save_folder=str(tmp_path / name),
            cleaning=SETTINGS,
            splits=SplitSettings(),
            seed=1986,
            **options,
        )
    alone = files(tmp_path / "alone")
    assert {"train.csv", "valid.csv", "trials_valid.txt"} <= alone.keys()
    assert alone == files(tmp_path / "cluster")


def test_command_of_the_readme_names_the_cluster(
    backend, tiny, tiny_data, tmp_path
):
    done = tiny.train(
        tmp_path / "output",
        tiny_data,
        n_jobs=-1,
        joblib_backend="{backend: dask, scheduler_host: "
        f"'{backend['scheduler_host']}'}}",
        number_of_epochs=1,
        max_minutes=0.01,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    notes = (tmp_path / "output" / "prepared" / "clean").glob("*/*.json")
    assert len(list(notes)) == 16


def test_killed_worker_costs_nothing_but_its_own_recording(
    cluster, backend, tiny_data, tmp_path
):
    output = tmp_path / "cluster"
    victim = next(iter(cluster.workers.values())).pid

    def kill_in_the_middle():
        while not list(output.glob("*/*.json")):
            time.sleep(0.005)
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill_in_the_middle, daemon=True)
    killer.start()
    recordings = find_recordings(tiny_data)
    found, rejected = clean_corpus(
        recordings, output, SETTINGS, n_jobs=-1, backend=backend
    )
    killer.join()
    expected, _ = clean_corpus(recordings, tmp_path / "alone", SETTINGS)
    assert not rejected
    assert [item.kept for item in found] == [item.kept for item in expected]
    assert files(output) == files(tmp_path / "alone")
