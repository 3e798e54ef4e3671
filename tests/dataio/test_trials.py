"""The trials of a question ask that question and no easier one."""

from __future__ import annotations

import tracemalloc

import pytest

from speechbrain_siamese.dataio import trials
from speechbrain_siamese.dataio.manifests import Row, Trial
from speechbrain_siamese.dataio.trials import make_trials


def row(name: str) -> Row:
    """``anna/1-0``: speaker, session, number of the utterance."""
    speaker, rest = name.split("/")
    session, _ = rest.split("-")
    return Row(
        ID=name,
        duration=4.0,
        wav=f"$data_root/{name}.wav",
        start=0,
        stop=64000,
        spk_id=speaker,
        gender="",
        session=f"{speaker}/{session}",
    )


def rows(*names: str) -> list[Row]:
    return [row(name) for name in names]


def session_of(path: str) -> str:
    return path.rsplit("-", 1)[0]


def speaker_of(path: str) -> str:
    return path.split("/")[0]


UTTERANCES = {
    "time": rows("anna/0-0", "anna/0-1", "bela/0-0", "cora/0-0"),
    "session": rows("anna/1-0", "anna/1-1", "bela/1-0"),
    "speaker": rows("dora/0-0", "dora/1-0", "emil/0-0"),
    "valid": rows("finn/0-0", "finn/0-1", "gela/0-0", "gela/0-1"),
}


@pytest.mark.parametrize("question", ["valid", "speaker", "time"])
def test_all_utterances_of_a_role_are_paired_once(question):
    found = make_trials(UTTERANCES, question, seed=0)
    names = [own.ID + ".wav" for own in UTTERANCES[question]]
    pairs = [frozenset((trial.enrol, trial.test)) for trial in found]
    expected = {
        frozenset((one, two)) for one in names for two in names if one != two
    }
    assert len(pairs) == len(expected)
    assert set(pairs) == expected


@pytest.mark.parametrize("question", ["valid", "speaker", "time", "session"])
def test_a_label_says_whether_the_speaker_is_the_same(question):
    found = make_trials(UTTERANCES, question, seed=0)
    assert {trial.label for trial in found} == {0, 1}
    for trial in found:
        same = speaker_of(trial.enrol) == speaker_of(trial.test)
        assert trial.label == int(same)


def test_session_trials_pair_a_trained_recording_with_a_held_out_one():
    found = make_trials(UTTERANCES, "session", seed=0)
    assert len(found) == 4 * 3
    assert Trial(1, "anna/0-1.wav", "anna/1-0.wav") in found
    for trial in found:
        assert session_of(trial.enrol).endswith("/0")
        assert session_of(trial.test).endswith("/1")
        if trial.label == 1:
            assert session_of(trial.enrol) != session_of(trial.test)


@pytest.mark.parametrize(
    ("utterances", "question"),
    [
        ({}, "speaker"),
        ({"valid": UTTERANCES["valid"]}, "speaker"),
        # No similar pair.
        ({"speaker": rows("anna/0-0", "bela/0-0")}, "speaker"),
        # No dissimilar pair.
        ({"time": rows("anna/0-0", "anna/0-1")}, "time"),
        # The held-out session's speaker has no other held-out speech.
        (
            {
                "time": rows("bela/0-0", "cora/0-0"),
                "session": rows("anna/1-0"),
            },
            "session",
        ),
        ({"session": rows("anna/1-0", "bela/1-0")}, "session"),
    ],
)
def test_a_question_that_the_data_cannot_answer_has_no_trials(
    utterances, question
):
    assert make_trials(utterances, question, seed=0) == []


def many() -> dict[str, list[Row]]:
    """Twelve speakers with two utterances: 12 similar, 264 dissimilar."""
    return {"time": rows(*(f"s{s}/0-{u}" for s in range(12) for u in range(2)))}


def test_too_many_trials_lose_dissimilar_ones_alone(monkeypatch):
    everything = make_trials(many(), "time", seed=0)
    assert len(everything) == 276
    monkeypatch.setattr(trials, "_MOST_TRIALS", 100)
    thinned = make_trials(many(), "time", seed=0)
    assert len(thinned) == 100
    assert len(set(thinned)) == 100
    assert set(thinned) <= set(everything)
    assert sum(trial.label for trial in thinned) == 12


def test_where_similar_trials_are_most_as_many_dissimilar_ones_stay(
    monkeypatch,
):
    monkeypatch.setattr(trials, "_MOST_TRIALS", 20)
    labels = [trial.label for trial in make_trials(many(), "time", seed=0)]
    assert (labels.count(1), labels.count(0)) == (12, 12)


def test_thinning_follows_from_the_seed(monkeypatch):
    monkeypatch.setattr(trials, "_MOST_TRIALS", 100)
    one = make_trials(many(), "time", seed=1)
    assert one == make_trials(many(), "time", seed=1)
    assert one != make_trials(many(), "time", seed=2)


@pytest.mark.parametrize("question", ["speaker", "session"])
def test_of_very_many_pairs_the_trials_are_drawn(monkeypatch, question):
    many = [
        rows(*(f"{who:03}/{part}-{k}" for who in range(60) for k in range(5)))
        for part in range(2)
    ]
    utterances = {"speaker": many[0], "time": many[0], "session": many[1]}
    listed = make_trials(utterances, question, seed=1)
    monkeypatch.setattr(trials, "MOST_PAIRS", 1000)
    found = make_trials(utterances, question, seed=1)
    similar = {trial for trial in found if trial.label}
    assert similar == {trial for trial in listed if trial.label}
    pairs = {frozenset((trial.enrol, trial.test)) for trial in found}
    assert len(pairs) == len(found) <= trials._MOST_TRIALS
    assert len(found) > 0.7 * trials._MOST_TRIALS
    for trial in found:
        same = speaker_of(trial.enrol) == speaker_of(trial.test)
        assert trial.label == int(same)
        if question == "session":
            assert session_of(trial.enrol).endswith("/0")
            assert session_of(trial.test).endswith("/1")
    assert found == make_trials(utterances, question, seed=1)
    assert found != make_trials(utterances, question, seed=2)


@pytest.mark.parametrize("question", ["speaker", "session"])
def test_one_speaker_alone_asks_nothing(monkeypatch, question):
    monkeypatch.setattr(trials, "MOST_PAIRS", 1)
    own = rows("anna/0-0", "anna/0-1", "anna/0-2")
    roles = dict.fromkeys(("speaker", "time", "session"), own)
    assert make_trials(roles, question, seed=0) == []


def test_memory_does_not_grow_with_the_number_of_pairs():
    many = rows(*(f"{who}/0-{k}" for who in range(700) for k in range(4)))
    tracemalloc.start()
    try:
        found = make_trials({"speaker": many}, "speaker", seed=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(trial.label for trial in found) == 700 * 6
    # All 3.9 million pairs as tuples are more than 250 MB.
    assert peak < 50e6
