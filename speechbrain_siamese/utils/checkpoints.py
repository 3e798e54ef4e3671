"""Checkpoints that count only when they are whole.

SpeechBrain writes the file by which it knows a checkpoint first and the
weights after it: a kill between leaves a checkpoint that looks complete and
cannot be loaded.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from speechbrain.utils.checkpoints import METAFNAME, Checkpoint, Checkpointer
from speechbrain.utils.distributed import ddp_barrier

from speechbrain_siamese.utils.whole_file import PARTIAL


class WholeCheckpointer(Checkpointer):
    """SpeechBrain's ``Checkpointer``, safe against a kill while it saves.

    Arguments
    ---------
    checkpoints_dir : str or Path
        Folder of the checkpoints. Half ones of an earlier run are removed.
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
        for note in Path(checkpoints_dir).glob(f"CKPT*/{METAFNAME}{PARTIAL}"):
            shutil.rmtree(note.parent, ignore_errors=True)

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
        """
        saved = super().save_checkpoint(*args, **kwargs)
        if saved is not None:
            note = saved.path / METAFNAME
            os.replace(f"{note}{PARTIAL}", note)
        # The others must not look for it earlier.
        ddp_barrier()
        return saved

    def _save_checkpoint_metafile(self, fpath, *args, **kwargs):
        return super()._save_checkpoint_metafile(
            f"{fpath}{PARTIAL}", *args, **kwargs
        )
