"""How trials and manifests name the same utterance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from speechbrain_siamese.dataio.trial_table import TrialTable


def trial_name(wav: str) -> str:
    """Name by which trials know an utterance: from ``held_out`` on.

    Arguments
    ---------
    wav : str
        The manifest's path of it.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If it was not held out.

    Example
    -------
    >>> trial_name("/data/prepared/held_out/valid/anna/1.wav")
    'held_out/valid/anna/1.wav'
    """
    # A speaker may be called held_out, too.
    name = wav.split("/")[-4:]
    if name[0] != "held_out":
        raise ValueError(
            f"{wav} is no utterance that was held out, expected "
            "held_out/<role>/<speaker>/<file>"
        )
    return "/".join(name)


def speakers_of(rows: Iterable[Mapping], table: TrialTable) -> list[str]:
    """Speaker of each utterance of a trial table.

    Arguments
    ---------
    rows : Iterable[Mapping]
        Rows of the manifest that holds the utterances.
    table : TrialTable

    Returns
    -------
    list of str
        In the order of ``table.names``.
    """
    speaker = {trial_name(row["wav"]): row["spk_id"] for row in rows}
    return [speaker[name] for name in table.names]
