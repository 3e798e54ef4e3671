"""Processes that share a batch learn what one process learns from it."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from speechbrain_siamese.nnet.gather import gather_batch, rank_and_world_size

SCRIPT = Path(__file__).with_name("one_share.py")


@pytest.fixture(scope="module")
def shares(tmp_path_factory):
    """What two and four processes found, and what one finds."""
    found = {}
    for world_size in (2, 4):
        folder = tmp_path_factory.mktemp(f"shares{world_size}")
        processes = [
            subprocess.Popen(
                [sys.executable, SCRIPT, str(rank), str(world_size), folder],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(world_size)
        ]
        for process in processes:
            _, errors = process.communicate(timeout=600)
            assert process.returncode == 0, errors[-3000:]
        found[world_size] = [
            torch.load(folder / f"rank{rank}.pt", weights_only=True)
            for rank in range(world_size)
        ]
    return found, runpy.run_path(str(SCRIPT))["one_process"]()


def test_one_process_has_the_whole_batch():
    assert rank_and_world_size() == (0, 1)
    values = torch.rand(3, 2, requires_grad=True)
    assert gather_batch(values) is values


@pytest.mark.slow
@pytest.mark.parametrize("world_size", [2, 4])
def test_shares_learn_what_one_process_learns(shares, world_size):
    """Loss, gradient of every weight, weights and running statistics of two
    steps; in double precision, so that rounding is far from 1e-9."""
    found, expected = shares
    for share in found[world_size]:
        assert share.keys() == expected.keys()
        for name, values in expected.items():
            torch.testing.assert_close(
                share[name], values, rtol=1e-9, atol=1e-9, msg=name
            )


@pytest.mark.slow
def test_all_processes_end_with_the_same_weights(shares):
    found, _ = shares
    for first, *others in found.values():
        for other in others:
            assert all(torch.equal(first[name], other[name]) for name in first)
