"""An earlier model that a training goes on from: checked, and compared with.

A model that goes on with new speakers may forget what made it good with those
of the earlier training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.datasets import WindowDataset, read_manifest
from speechbrain_siamese.dataio.manifests import read_rows
from speechbrain_siamese.dataio.trial_table import TrialTable, read_trial_table
from speechbrain_siamese.utils.export import export_weights

logger = get_logger(__name__)


def check_start(start: str | Path | None, export_folder: str | Path) -> None:
    """Refuse an earlier model that is none, or that would be overwritten.

    Arguments
    ---------
    start : str, Path or None
        Its export (``init_from``); None for a training that begins anew.
    export_folder : str or Path
        Where this training's own export goes.

    Raises
    ------
    ValueError
        If it is no export, or the same folder.
    """
    if not start:
        return
    export_weights(start)
    if Path(start).resolve() == Path(export_folder).resolve():
        raise ValueError(
            f"init_from is {start}, where this training's own export goes and "
            "its preparation lies: give another output_folder"
        )


def earlier_people(
    start: str | Path, prepared_folder: str | Path
) -> tuple[WindowDataset, TrialTable] | None:
    """Validation people of the earlier training, where they still lie there.

    Arguments
    ---------
    start : str or Path
        The earlier model's export, beside its folder ``prepared``.
    prepared_folder : str or Path
        This training's; people whom one training learns from and the other
        validates with are warned of.

    Returns
    -------
    tuple of WindowDataset, TrialTable, or None
    """
    earlier = Path(start).parent / "prepared"
    if not (earlier / "trials_valid.txt").is_file():
        return None
    held_out = read_manifest(str(earlier / "valid.csv"), str(earlier))
    held_out.set_output_keys(["id", "wav", "sig"])
    _warn_of_known(earlier, Path(prepared_folder))
    return held_out, read_trial_table(earlier / "trials_valid.txt")


def _warn_of_known(earlier: Path, now: Path) -> None:
    """Say so where one training learns from the other's validation people."""
    for trained, held_out in ((now, earlier), (earlier, now)):
        both = _speakers(trained / "train.csv") & _speakers(
            held_out / "valid.csv"
        )
        if both:
            logger.warning(
                "%d validation people of %s are training people of %s (%s): "
                "their figures flatter",
                len(both),
                held_out,
                trained,
                ", ".join(sorted(both)[:5]),
            )


def _speakers(manifest: Path) -> set[str]:
    return {row["spk_id"] for row in read_rows(manifest, ("wav", "spk_id"))}


def old_and_new(
    start: str | Path,
    encoder: torch.nn.Module,
    people: Mapping[str, tuple],
    error_rate: Callable[..., float],
) -> dict[str, str | float]:
    """Validation EER of the earlier model and of this one, on both's people.

    Arguments
    ---------
    start : str or Path
        The earlier model's export.
    encoder : torch.nn.Module
        This training's; has its own weights again in the end.
    people : Mapping of str : tuple
        Arguments of ``error_rate`` by whose they are, ``new`` or ``earlier``.
    error_rate : Callable
        EER of the encoder as it is.

    Returns
    -------
    dict of str : str or float
        ``path``, and EERs such as ``earlier_model_new_people``.
    """
    own = {key: value.clone() for key, value in encoder.state_dict().items()}
    found: dict[str, str | float] = {"path": str(start)}
    for model, state in (("earlier", export_weights(start)), ("new", own)):
        encoder.load_state_dict(state)
        for whose, held_out in people.items():
            rate = error_rate(*held_out)
            found[f"{model}_model_{whose}_people"] = rate
            logger.info(
                "%s model, validation people of the %s training: EER %.1f %%",
                model,
                whose,
                100 * rate,
            )
    return found
