"""Whether what lies in a folder belongs to the training that starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from speechbrain_siamese.utils.folder_claim import claim_folder
from speechbrain_siamese.utils.whole_file import whole_file

NOTE = "training.json"

#: Says that the folder it lies in is a training's.
BEGUN = ".training"

#: Name of the trait that is the preparation's fingerprint.
DATA = "data or split"

#: What a training, and SpeechBrain for it, replaces in its output folder.
REPLACED = (
    "hyperparams.yaml",
    "env.log",
    "log.txt",
    "train.py",
    "train_log.txt",
    "metrics.json",
    "figures",
)


def claim_output(output_folder: str | Path, save_folder: str | Path) -> None:
    """Refuse a folder in which files of the user's would be replaced.

    That a training has begun is noted before it writes anything else: then one
    that was interrupted goes on, and one whose checkpoints are deleted begins
    anew.

    Arguments
    ---------
    output_folder : str or Path
        Need not exist.
    save_folder : str or Path
        The checkpoints' folder: earlier versions left their note there.

    Raises
    ------
    ValueError
        If there are such files, and no training has written them.
    """
    if not (Path(save_folder) / NOTE).is_file():
        claim_folder("output_folder", output_folder, BEGUN, REPLACED)


def check_same_training(
    save_folder: str | Path, traits: Mapping[str, str]
) -> None:
    """Refuse to go on from checkpoints of another training.

    Other data or another split would test a model on people whom it was
    trained on; another model would not fit its weights.

    Arguments
    ---------
    save_folder : str or Path
        The checkpoints' folder; the traits are kept there in a file.
    traits : Mapping[str, str]
        What must not change, by the name that the message gives it; empty for
        what the training does not have.

    Raises
    ------
    ValueError
        If the folder holds a training with other traits.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> check_same_training(folder, {"data": "a", "model": "b"})
    >>> check_same_training(folder, {"data": "a", "model": "b"})
    >>> check_same_training(folder, {"data": "c", "model": "b"})
    Traceback (most recent call last):
        ...
    ValueError: the training in ... was started with other data: give ...
    """
    note = Path(save_folder) / NOTE
    if not note.is_file():
        with whole_file(note) as partial:
            partial.write_text(json.dumps(dict(traits), indent=1))
        return
    check_no_other_training(save_folder, traits)


def check_no_other_training(
    save_folder: str | Path, traits: Mapping[str, str]
) -> None:
    """The same, and nothing is noted where no training has begun.

    Arguments
    ---------
    save_folder : str or Path
    traits : Mapping[str, str]
        Some of those that the training has.

    Raises
    ------
    ValueError
        As ``check_same_training``.
    """
    earlier = noted_traits(save_folder)
    if not earlier:
        return
    changed = [name for name in traits if earlier.get(name, "") != traits[name]]
    if changed:
        raise ValueError(
            f"the training in {save_folder} was started with other "
            f"{' and other '.join(changed)}: give another output_folder, or "
            "delete that one to start anew"
        )


def noted_traits(save_folder: str | Path) -> dict[str, str]:
    """What was noted of the training in a folder.

    Arguments
    ---------
    save_folder : str or Path

    Returns
    -------
    dict of str : str
        Empty where none has begun.
    """
    note = Path(save_folder) / NOTE
    return json.loads(note.read_text()) if note.is_file() else {}
