"""A checkpoint is whole, or it does not count."""

from __future__ import annotations

import resource
import time

import pytest
import torch
import yaml
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_siamese.utils.checkpoints import WholeCheckpointer


def killed(obj, path):
    path.write_bytes(b"half")
    raise KeyboardInterrupt


def half_saved(kind, folder):
    """Checkpointer that was killed while it saved its second checkpoint."""
    checkpointer = kind(folder, {"module": torch.nn.Linear(2, 2)})
    checkpointer.save_checkpoint(meta={"number": 1})
    checkpointer.add_recoverable(
        "last", torch.nn.Linear(2, 2), custom_save_hook=killed
    )
    with pytest.raises(KeyboardInterrupt):
        checkpointer.save_checkpoint(meta={"number": 2})
    return checkpointer


def test_half_a_checkpoint_is_not_found(tmp_path):
    checkpointer = half_saved(WholeCheckpointer, tmp_path)
    assert checkpointer.find_checkpoint().meta["number"] == 1


def test_the_stock_class_finds_half_a_checkpoint(tmp_path):
    """If this fails, SpeechBrain has mended it and ours can go."""
    checkpointer = half_saved(Checkpointer, tmp_path)
    assert checkpointer.find_checkpoint().meta["number"] == 2


def test_half_checkpoints_are_removed_at_the_next_start(tmp_path):
    half_saved(WholeCheckpointer, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    again = WholeCheckpointer(tmp_path, {"module": torch.nn.Linear(2, 2)})
    assert len(list(tmp_path.iterdir())) == 1
    assert again.find_checkpoint().meta["number"] == 1


def test_the_newest_of_equally_good_ones_is_the_best(tmp_path):
    checkpointer = WholeCheckpointer(
        tmp_path, {"module": torch.nn.Linear(2, 2)}
    )
    for epoch in range(9):
        checkpointer.save_checkpoint(meta={"epoch": epoch, "EER": 0.0})
    found = checkpointer.find_checkpoints(min_key="EER")
    assert [one.meta["epoch"] for one in found] == list(range(8, -1, -1))


def test_half_deleted_checkpoints_are_removed_at_the_next_start(tmp_path):
    modules = {"module": torch.nn.Linear(2, 2)}
    checkpointer = WholeCheckpointer(tmp_path, modules)
    old, new = (checkpointer.save_checkpoint() for _ in range(2))
    # As after a kill while SpeechBrain deletes it.
    (old.path / "CKPT.yaml").unlink()
    WholeCheckpointer(tmp_path, modules)
    assert list(tmp_path.iterdir()) == [new.path]


def test_newest_is_the_last_saved_after_the_clock_was_set_back(tmp_path):
    checkpointer = WholeCheckpointer(
        tmp_path, {"module": torch.nn.Linear(2, 2)}
    )
    first = checkpointer.save_checkpoint(meta={"number": 1})
    note = first.path / "CKPT.yaml"
    ahead = {**first.meta, "unixtime": time.time() + 86_400}
    note.write_text(yaml.safe_dump(ahead))
    for number in (2, 3):
        checkpointer.save_and_keep_only(meta={"number": number})
        assert checkpointer.find_checkpoint().meta["number"] == number
    assert len(checkpointer.list_checkpoints()) == 1


def test_full_disk_is_told_and_the_earlier_checkpoint_stays(tmp_path):
    module = torch.nn.Linear(2, 2)
    checkpointer = WholeCheckpointer(tmp_path, {"module": module})
    checkpointer.save_checkpoint(meta={"number": 1})
    checkpointer.add_recoverable("large", torch.nn.Linear(1000, 100))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="cannot write the checkpoint"):
            checkpointer.save_checkpoint(meta={"number": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert checkpointer.find_checkpoint().meta["number"] == 1


def test_only_the_best_and_the_newest_are_kept(tmp_path):
    checkpointer = WholeCheckpointer(
        tmp_path, {"module": torch.nn.Linear(2, 2)}
    )
    for number, eer in enumerate((0.3, 0.1, 0.2, 0.4)):
        checkpointer.save_and_keep_only(
            meta={"number": number, "EER": eer}, min_keys=["EER"]
        )
    found = {c.meta["number"] for c in checkpointer.list_checkpoints()}
    assert found == {1, 3}
