"""No speech serves two purposes, and small corpora are split as promised."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from speechbrain_siamese.dataio.splits import (
    Session,
    SplitSettings,
    Stretch,
    cut_utterances,
    split_sessions,
)

RATE = 1000

#: Said here, so that other defaults do not change what the tests expect.
SHARES = {
    "valid_speakers": 0.1,
    "test_speakers": 0.1,
    "test_sessions": 0.25,
    "test_time": 0.2,
    "guard_gap": 1.0,
    "utterance_len": 4.0,
    "utterances_per_speaker": 20,
}


def corpus(
    speakers: int, sessions: int = 2, seconds: float = 100.0
) -> list[Session]:
    return [
        Session(f"s{speaker:02d}", f"s{speaker:02d}/{number}", samples)
        for speaker in range(speakers)
        for number in range(sessions)
        for samples in [round(seconds * RATE)]
    ]


def split(
    sessions: list[Session],
    seed: int = 0,
    settings: SplitSettings | None = None,
) -> list[Stretch]:
    return split_sessions(
        sessions, settings or SplitSettings(**SHARES), RATE, seed=seed
    )


def random_corpus(
    draw: random.Random,
) -> tuple[list[Session], SplitSettings, int]:
    sessions = [
        Session(
            f"s{speaker:02d}",
            f"s{speaker:02d}/{number}",
            draw.choice([draw.randint(1, 9000), draw.randint(9000, 200_000)]),
        )
        for speaker in range(draw.randint(2, 40))
        for number in range(draw.randint(1, 4))
    ]
    settings = SplitSettings(
        valid_speakers=draw.choice([0, 0.1, 0.3]),
        test_speakers=draw.choice([0, 0.1, 0.3]),
        test_sessions=draw.choice([0, 0.25, 1.0]),
        test_time=draw.choice([0, 0.1, 0.2, 0.5]),
        guard_gap=draw.choice([0, 0.3, 1.0, 5.0]),
        utterance_len=draw.choice([1.0, 2.5, 4.0]),
        utterances_per_speaker=draw.choice([2, 5, 20]),
    )
    draw.shuffle(sessions)
    return sessions, settings, draw.randint(0, 1000)


RANDOM_CORPORA = [
    pytest.param(*random_corpus(random.Random(number)), id=str(number))
    for number in range(60)
]


def roles_of(stretches: list[Stretch]) -> dict[str, set[str]]:
    """Speakers by role."""
    found = defaultdict(set)
    for stretch in stretches:
        found[stretch.role].add(stretch.session.speaker)
    return found


@pytest.mark.parametrize(("sessions", "settings", "seed"), RANDOM_CORPORA)
def test_stretches_of_a_session_keep_the_guard_gap(sessions, settings, seed):
    by_session = defaultdict(list)
    for stretch in split(sessions, seed, settings):
        assert 0 <= stretch.start <= stretch.stop <= stretch.session.samples
        by_session[stretch.session].append(stretch)
    assert set(by_session) == set(sessions)
    for stretches in by_session.values():
        stretches.sort(key=lambda stretch: stretch.start)
        for one, two in pairwise(stretches):
            assert two.start - one.stop >= settings.guard_gap * RATE
            assert one.role != two.role


@pytest.mark.parametrize(("sessions", "settings", "seed"), RANDOM_CORPORA)
def test_held_out_people_and_sessions_never_train(sessions, settings, seed):
    stretches = split(sessions, seed, settings)
    speakers = roles_of(stretches)
    known = speakers["train"] | speakers["time"] | speakers["session"]
    assert not speakers["speaker"] & (known | speakers["valid"])
    if len({session.speaker for session in sessions}) >= 6 and (
        settings.valid_speakers == 0.1
    ):
        assert speakers["valid"]
        assert not speakers["valid"] & known
    # Somebody trains, and no fewer than two, or there are no pairs.
    assert len(speakers["train"]) >= 2
    sessions_of = defaultdict(set)
    for stretch in stretches:
        sessions_of[stretch.role].add(stretch.session.session)
    for role in ("session", "speaker"):
        others = set().union(
            *(own for key, own in sessions_of.items() if key != role)
        )
        assert not sessions_of[role] & others
    # Who gives a session for testing also trains with another one.
    assert speakers["session"] <= speakers["train"]


@pytest.mark.parametrize(("sessions", "settings", "seed"), RANDOM_CORPORA)
def test_utterances_lie_in_held_out_stretches(sessions, settings, seed):
    stretches = split(sessions, seed, settings)
    length = settings.utterance_len * RATE
    held = defaultdict(list)
    for stretch in stretches:
        held[stretch.session, stretch.role].append(stretch)
    utterances = cut_utterances(stretches, settings, RATE)
    for utterance in utterances:
        assert utterance.role != "train"
        assert length / 2 <= utterance.samples <= length
        assert any(
            stretch.start <= utterance.start and utterance.stop <= stretch.stop
            for stretch in held[utterance.session, utterance.role]
        )
    counts = Counter((u.role, u.session.speaker) for u in utterances)
    assert all(
        count <= settings.utterances_per_speaker for count in counts.values()
    )
    by_session = defaultdict(list)
    for utterance in utterances:
        by_session[utterance.session].append((utterance.start, utterance.stop))
    for times in by_session.values():
        times.sort()
        for one, two in pairwise(times):
            assert one[1] <= two[0]


@pytest.mark.parametrize(("sessions", "settings", "seed"), RANDOM_CORPORA)
def test_the_order_of_the_sessions_does_not_matter(sessions, settings, seed):
    forwards = split(sessions, seed, settings)
    backwards = split(sessions[::-1], seed, settings)
    assert set(forwards) == set(backwards)


def test_the_same_seed_gives_the_same_split_and_others_do_not():
    sessions = corpus(34)
    assert split(sessions, seed=3) == split(sessions, seed=3)
    held_out = {
        frozenset(roles_of(split(sessions, seed=seed))["speaker"])
        for seed in range(10)
    }
    assert len(held_out) > 5


def test_a_recording_is_cut_in_time_at_four_fifths():
    settings = SplitSettings(**{**SHARES, "test_sessions": 0})
    stretches = split(corpus(34, sessions=1), settings=settings)
    whole = [s for s in stretches if s.role in ("valid", "speaker")]
    assert {(s.start, s.stop) for s in whole} == {(0, 100_000)}
    cut = {
        (s.role, s.start, s.stop)
        for s in stretches
        if s.role in ("train", "time")
    }
    assert cut == {("train", 0, 80_000), ("time", 81_000, 100_000)}


def test_an_end_too_short_for_an_utterance_stays_with_training():
    # Of 14,999 samples a fifth less a second is 2000: half an utterance.
    for samples, roles in ((15_000, {"train", "time"}), (14_990, {"train"})):
        sessions = corpus(10, sessions=1, seconds=samples / RATE)
        stretches = [
            s for s in split(sessions) if s.role not in ("valid", "speaker")
        ]
        assert {s.role for s in stretches} == roles
        if roles == {"train"}:
            assert {(s.start, s.stop) for s in stretches} == {(0, samples)}


@pytest.mark.parametrize("speakers", [2, 3, 5])
def test_few_people_validate_on_their_own_held_out_time(speakers):
    stretches = split(corpus(speakers, sessions=1))
    everybody = {f"s{number:02d}" for number in range(speakers)}
    found = roles_of(stretches)
    assert set(found) == {"train", "valid", "time"}
    assert all(names == everybody for names in found.values())
    assert {(s.role, s.start, s.stop) for s in stretches} == {
        ("train", 0, 80_000),
        ("valid", 81_000, 90_500),
        ("time", 91_500, 100_000),
    }


@pytest.mark.parametrize(
    ("speakers", "valid", "test"),
    [(6, 2, 0), (7, 2, 0), (8, 2, 2), (34, 3, 3), (100, 10, 10)],
)
def test_enough_people_spare_some_who_never_train(speakers, valid, test):
    found = roles_of(split(corpus(speakers)))
    assert len(found["valid"]) == valid
    assert len(found["speaker"]) == test
    assert len(found["train"]) == speakers - valid - test
    assert not found["valid"] & (found["train"] | found["time"])


@pytest.mark.parametrize(
    ("speakers", "shares", "valid", "test"),
    [
        (7, {"valid_speakers": 0.5, "test_speakers": 0.0}, 3, 0),
        (10, {"valid_speakers": 0.2, "test_speakers": 0.5}, 2, 4),
        (9, {"valid_speakers": 0.5, "test_speakers": 0.5}, 4, 0),
    ],
)
def test_shares_that_leave_too_few_to_train_are_cut(
    speakers, shares, valid, test
):
    settings = SplitSettings(**{**SHARES, **shares})
    found = roles_of(split(corpus(speakers), settings=settings))
    assert len(found["valid"]) == valid
    assert len(found.get("speaker", ())) == test
    assert len(found["train"]) >= 4


@pytest.mark.parametrize(
    ("speakers", "sessions", "held"),
    # Of 34, 28 train: a quarter is 7. Two at least where there are two.
    [(34, 2, 7), (34, 1, 0), (8, 2, 2), (2, 2, 2), (5, 3, 2)],
)
def test_a_share_of_the_speakers_gives_its_last_session(
    speakers, sessions, held
):
    stretches = split(corpus(speakers, sessions))
    given = [s.session for s in stretches if s.role == "session"]
    assert len(given) == held
    assert len({session.speaker for session in given}) == held
    assert all(s.session.endswith(f"/{sessions - 1}") for s in given)
    assert all(
        s.stop == 100_000 and s.start == 0
        for s in stretches
        if s.role == "session"
    )


@pytest.mark.parametrize(
    ("key", "role"),
    [
        ("test_speakers", "speaker"),
        ("test_sessions", "session"),
        ("test_time", "time"),
    ],
)
def test_a_share_of_zero_holds_nothing_out(key, role):
    sessions = corpus(34)
    assert role in roles_of(split(sessions))
    settings = SplitSettings(**{**SHARES, key: 0})
    assert role not in roles_of(split(sessions, settings=settings))


def test_without_validation_speakers_validation_is_held_out_time():
    settings = SplitSettings(**{**SHARES, "valid_speakers": 0})
    found = roles_of(split(corpus(34), settings=settings))
    assert found["valid"] == found["train"]


@pytest.mark.parametrize(
    ("names", "found"),
    [([], r"0 usable.*none"), (["anna", "anna"], r"1 usable.*\(anna\)")],
)
def test_fewer_than_two_speakers_are_refused_by_name(names, found):
    sessions = [
        Session(name, f"{name}/{number}", 9000)
        for number, name in enumerate(names)
    ]
    with pytest.raises(ValueError, match=found):
        split(sessions)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("valid_speakers", 0.51),
        ("valid_speakers", -0.1),
        ("test_speakers", 1),
        ("test_sessions", 1.1),
        ("test_time", 0.8),
        ("test_time", float("nan")),
        ("guard_gap", -1),
        ("utterance_len", 0.5),
        ("utterances_per_speaker", 1),
    ],
)
def test_settings_out_of_range_are_refused_and_named(key, value):
    with pytest.raises(ValueError, match=rf"{key} is {value}, expected"):
        SplitSettings(**{key: value})


def test_utterances_are_spread_over_sessions_and_their_time():
    settings = SplitSettings(**SHARES)
    stretches = [
        Stretch(session, 0, session.samples, "speaker")
        for session in corpus(1, sessions=10, seconds=40.0)
    ]
    found = defaultdict(list)
    for utterance in cut_utterances(stretches, settings, RATE):
        found[utterance.session.session].append(utterance.start)
    assert len(found) == 10
    assert all(starts == [0, 20_000] for starts in found.values())


def test_all_utterances_are_taken_where_there_are_few():
    settings = SplitSettings(**SHARES)
    session = Session("a", "a/0", 30_000)
    # The rest of 1999 samples is less than half an utterance, 2000 is half.
    for stop, last in ((18_999, 13_000), (19_000, 17_000)):
        stretch = Stretch(session, 5000, stop, "time")
        utterances = cut_utterances([stretch], settings, RATE)
        assert [u.start for u in utterances] == list(
            range(5000, last + 1, 4000)
        )
        assert utterances[-1].stop == min(last + 4000, stop)


def test_every_role_of_a_speaker_has_its_own_number_of_utterances():
    settings = SplitSettings(**{**SHARES, "utterances_per_speaker": 3})
    session = Session("a", "a/0", 200_000)
    stretches = [
        Stretch(session, 0, 90_000, "valid"),
        Stretch(session, 91_000, 200_000, "time"),
    ]
    utterances = cut_utterances(stretches, settings, RATE)
    assert Counter(u.role for u in utterances) == {"valid": 3, "time": 3}
