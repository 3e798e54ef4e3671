"""The folder of an export: what belongs to it, and how another replaces it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from speechbrain_siamese.utils.safe_form import CONFIG, WEIGHTS

CARD, HYPERPARAMS = "README.md", "hyperparams.yaml"
LABELS = ("label_encoder.txt", "label_encoder.ckpt")

#: What an export consists of. What else lies in its folder is its owner's: a
#: gallery of people's voices, which stays there and is never sent.
FILES = (
    CARD,
    HYPERPARAMS,
    CONFIG,
    WEIGHTS,
    *LABELS,
    "embedding_model.ckpt",
    "classifier.ckpt",
    "cohort.ckpt",
    "mean_var_norm_emb.ckpt",
)

#: By these files together an export of ours is known.
_OURS = (HYPERPARAMS, "embedding_model.ckpt", "cohort.ckpt")


def check_export_folder(folder: str | Path) -> None:
    """Refuse a folder whose files an export would take the place of.

    Arguments
    ---------
    folder : str or Path
        Where an export shall go; need not exist.

    Raises
    ------
    ValueError
        If it is no folder, or holds files called as those of an export
        without being one.

    Example
    -------
    >>> folder = Path(getfixture("tmp_path"))
    >>> _ = (folder / "README.md").write_text("My paper")
    >>> check_export_folder(folder)
    Traceback (most recent call last):
        ...
    ValueError: export_folder is ..., which is no export and holds README.md...
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(
            f"export_folder is {folder}, which is a file: give another"
        )
    taken = [name for name in FILES if (folder / name).exists()]
    if taken and not _is_export(folder):
        raise ValueError(
            f"export_folder is {folder}, which is no export and holds "
            f"{', '.join(taken)}, which an export would replace: give another "
            "folder, or move them away"
        )


@contextmanager
def replaced_export(folder: Path) -> Iterator[Path]:
    """A folder to write to, which takes the place of an export at the end.

    What the other one holds beside an export comes along. A kill while they
    are swapped leaves the other one under ``.old``, hidden: it is put back by
    the next export.

    Arguments
    ---------
    folder : Path
        The export folder; need not exist.

    Yields
    ------
    Path
        The folder to write to, beside it.

    Raises
    ------
    ValueError
        As ``check_export_folder``.
    """
    new = folder.with_name(f".{folder.name}.partial")
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(new, ignore_errors=True)
    _put_back(old, folder)
    new.mkdir(parents=True)
    try:
        yield new
        check_export_folder(folder)
        if folder.exists():
            _carry_over(folder, new)
            os.replace(folder, old)
        os.replace(new, folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        # After an error; a disk that is full needs the room.
        shutil.rmtree(new, ignore_errors=True)
        _put_back(old, folder)


def _put_back(old: Path, folder: Path) -> None:
    """Undo half a swap; after a whole one, delete what it has replaced."""
    if not old.exists():
        return
    if not folder.exists():
        os.replace(old, folder)
    elif _is_export(folder):
        shutil.rmtree(old, ignore_errors=True)
    else:
        raise ValueError(
            f"{folder} is no export, and {old} beside it holds what lay there "
            "when an earlier run was killed: move what you need of the one "
            "into the other, and leave only that one, under its first name"
        )


def _is_export(folder: Path) -> bool:
    """Whether a folder holds an export of ours."""
    return all((folder / name).is_file() for name in _OURS)


def _carry_over(folder: Path, new: Path) -> None:
    """Take along what is no part of an export; the folder keeps it, too.

    By links where the disk has them: a gallery that is open then stays the
    file that its other users write to, with its ``-wal`` and ``-shm``.
    """
    for path in folder.iterdir():
        if path.name in FILES:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(
                path, new / path.name, symlinks=True, copy_function=_link
            )
        else:
            _link(path, new / path.name)


def _link(path: str | Path, other: str | Path) -> None:
    """A second name for a file; a copy where the disk has none."""
    try:
        os.link(path, other, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(path, other, follow_symlinks=False)
