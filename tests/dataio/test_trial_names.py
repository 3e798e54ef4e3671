"""Trials and manifests name the same utterance."""

from __future__ import annotations

import numpy as np
import pytest

from speechbrain_siamese.dataio.trial_names import speakers_of, trial_name
from speechbrain_siamese.dataio.trial_table import TrialTable


@pytest.mark.parametrize("speaker", ["anna", "held_out", "bob_held_out"])
def test_the_name_begins_where_utterances_are_held_out(speaker):
    wav = f"/held_out/prepared/held_out/time/{speaker}/1.wav"
    assert trial_name(wav) == f"held_out/time/{speaker}/1.wav"


def test_a_file_that_is_not_held_out_has_no_name():
    with pytest.raises(ValueError):
        trial_name("/prepared/clean/anna/1.wav")


def test_speakers_stand_in_the_order_of_the_trials():
    rows = [
        {"wav": f"/p/held_out/valid/{name}.wav", "spk_id": speaker}
        for name, speaker in (
            ("anna/1", "anna"),
            ("bert/2", "bert"),
            ("anna/3", "anna"),
        )
    ]
    names = [f"held_out/valid/{name}.wav" for name in ("anna/3", "bert/2")]
    one = np.zeros(1, np.int32)
    table = TrialTable(names, one.astype(np.int8), one, one + 1)
    assert speakers_of(rows, table) == ["anna", "bert"]
