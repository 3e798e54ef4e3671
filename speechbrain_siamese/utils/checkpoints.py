"""Checkpoints that count only when they are whole.

SpeechBrain writes the file by which it knows a checkpoint first and the
weights after it: a kill between leaves a checkpoint that looks complete and
cannot be loaded. It tells the newest by the clock, which may be set back. And
among equally good ones it takes the one that the disk lists first.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from speechbrain.utils.checkpoints import METAFNAME, Checkpoint, Checkpointer
from speechbrain.utils.distributed import ddp_barrier, run_on_main

from speechbrain_siamese.utils.room import told_writing
from speechbrain_siamese.utils.whole_file import PARTIAL


class WholeCheckpointer(Checkpointer):
    """SpeechBrain's ``Checkpointer``, safe against a kill while it saves.

    Arguments
    ---------
    checkpoints_dir : str or Path
        Folder of the checkpoints. Those that an earlier run was saving or
        deleting when it was killed are removed.
    *args, **kwargs
        As for ``Checkpointer``.

    Example
    -------
    >>> import torch
    >>> module = torch.nn.Linear(1, 1)
    >>> checkpointer = WholeCheckpointer(
    ...     getfixture("tmp_path"), {"module": module}
    ... )
    >>> _ = checkpointer.save_checkpoint()
    >>> len(checkpointer.list_checkpoints())
    1
    """

    def __init__(self, checkpoints_dir: str | Path, *args, **kwargs):
        super().__init__(checkpoints_dir, *args, **kwargs)
        for folder in Path(checkpoints_dir).glob("CKPT*"):
            if folder.is_dir() and not (folder / METAFNAME).is_file():
                shutil.rmtree(folder, ignore_errors=True)

    def list_checkpoints(self) -> list[Checkpoint]:
        """All checkpoints, the newest first, so that it wins where two tie.

        Returns
        -------
        list of Checkpoint
        """
        return sorted(
            super().list_checkpoints(),
            key=lambda found: found.meta["unixtime"],
            reverse=True,
        )

    def save_checkpoint(self, *args, **kwargs) -> Checkpoint | None:
        """Save everything, then the file that makes it a checkpoint.

        Arguments
        ---------
        *args, **kwargs
            As for ``Checkpointer.save_checkpoint``.

        Returns
        -------
        Checkpoint or None
            None on processes other than the main one.

        Raises
        ------
        OSError
            If there is no room; earlier checkpoints stay.
        """
        with told_writing("checkpoint", self.checkpoints_dir):
            saved = super().save_checkpoint(*args, **kwargs)
        if saved is not None:
            note = saved.path / METAFNAME
            os.replace(f"{note}{PARTIAL}", note)
        # The others must not look for it earlier.
        ddp_barrier()
        return saved

    def delete_checkpoints(self, **kwargs) -> None:
        """Delete all but the best, while no other process lists them.

        Arguments
        ---------
        **kwargs
            As for ``Checkpointer.delete_checkpoints``.
        """
        run_on_main(super().delete_checkpoints, kwargs=kwargs)

    def _save_checkpoint_metafile(
        self, fpath, meta_to_include, *args, **kwargs
    ):
        """Write the note, later than all others whatever the clock says.

        Else a training that goes on after the clock was set back would keep
        the checkpoints from before, and delete its own.
        """
        known = [ckpt.meta["unixtime"] for ckpt in self.list_checkpoints()]
        now = max([time.time(), *(before + 1e-3 for before in known)])
        return super()._save_checkpoint_metafile(
            f"{fpath}{PARTIAL}",
            {**meta_to_include, "unixtime": now},
            *args,
            **kwargs,
        )
