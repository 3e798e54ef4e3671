"""Trial lists as arrays are the lists that they were read from."""

from __future__ import annotations

import numpy as np
import pytest

from speechbrain_siamese.dataio.manifests import Trial, read_trials
from speechbrain_siamese.dataio.trial_table import every_pair, read_trial_table

LINES = """\
1 a/1.wav a/2.wav
0 a/1.wav b/1.wav

1 b/1.wav b/2.wav
0 b/2.wav a/2.wav
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "trials.txt"
    path.write_text(LINES)
    return path


def trials_of(table) -> list[Trial]:
    return [
        Trial(int(label), table.names[a], table.names[b])
        for label, a, b in zip(
            table.labels, table.enrol, table.test, strict=True
        )
    ]


def test_table_holds_the_list_in_its_order(path, caplog):
    table = read_trial_table(path)
    assert len(table) == 4
    assert trials_of(table) == read_trials(path)
    assert len(set(table.names)) == len(table.names)
    assert not caplog.records


def test_trials_with_an_unusable_utterance_are_left_out(path):
    left = read_trial_table(path).without({"a/2.wav"})
    expected = [
        t for t in read_trials(path) if "a/2.wav" not in (t.enrol, t.test)
    ]
    assert trials_of(left) == expected
    assert left.names == ["a/1.wav", "b/1.wav", "b/2.wav"]


def test_trials_that_are_there_twice_are_told(path, caplog):
    path.write_text(LINES + "1 a/2.wav a/1.wav\n0 a/1.wav b/1.wav\n")
    assert len(read_trial_table(path)) == 6
    assert "2 trials are there more than once" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 a b\n2 a b\n", "line 2: found '2 a b'"),
        ("1 a b\n1 a b c\n", "line 2: found '1 a b c'"),
        ("\n\n", "holds no trial"),
    ],
)
def test_other_formats_are_refused(path, text, message):
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_trial_table(path)


def test_every_pair_is_there_once_with_its_label():
    names = ["a/1", "b/1", "a/2", "c/1"]
    table = every_pair(names, [name[0] for name in names])
    found = {frozenset((t.enrol, t.test)): t.label for t in trials_of(table)}
    assert len(found) == len(table) == 6
    for pair, label in found.items():
        assert label == (len({name[0] for name in pair}) == 1)
    assert table.labels.dtype == np.int8


def test_of_too_many_pairs_some_dissimilar_ones_are_drawn():
    speakers = [str(k // 4) for k in range(80)]
    names = [str(k) for k in range(80)]
    found = every_pair(names, speakers, seed=3, most=500)
    pairs = {frozenset((t.enrol, t.test)): t.label for t in trials_of(found)}
    assert len(pairs) == len(found)
    assert (found.labels == 1).sum() == 20 * 6
    assert 400 < (found.labels == 0).sum() <= 500
    for pair, label in pairs.items():
        assert label == (len({int(name) // 4 for name in pair}) == 1)
    again = every_pair(names, speakers, seed=3, most=500)
    assert trials_of(found) == trials_of(again)
