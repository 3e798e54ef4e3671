"""Wrong speakers that were planted are found before all that is right."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from speechbrain_siamese.processing.suspects import (
    EXPLAINED,
    NEAR,
    Likeness,
    Pair,
    Stretch,
    Windows,
    find_suspects,
    shown_first,
    unexplained,
    unjudged,
)

SPEAKERS, RECORDINGS, WINDOWS, DIM = 12, 3, 20, 32


def unit_directions(embeddings):
    """All at once: without what they have in common, of length 1 each."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    unit = unit - unit.mean(axis=0)
    return unit / np.linalg.norm(unit, axis=1, keepdims=True)


@pytest.fixture
def corpus():
    """Voices with rooms of their own: directions, noise; no two alike."""
    rng = np.random.default_rng(0)
    voices = rng.standard_normal((SPEAKERS, DIM))
    rooms = rng.standard_normal((SPEAKERS * RECORDINGS, DIM))
    speakers = np.repeat(np.arange(SPEAKERS), RECORDINGS * WINDOWS)
    recordings = np.repeat(np.arange(SPEAKERS * RECORDINGS), WINDOWS)
    noise = rng.standard_normal((len(speakers), DIM))
    sound = voices[speakers] + 0.5 * rooms[recordings] + 0.8 * noise
    return Windows(sound, speakers, recordings), voices, rng


def test_swapped_recordings_come_first(corpus):
    windows, _, _ = corpus
    speakers = windows.speakers.copy()
    # Recording 0 is speaker 0's, 3 is speaker 1's: now the other way round.
    speakers[windows.recordings == 0] = 1
    speakers[windows.recordings == 3] = 0
    found, _ = find_suspects(
        Windows(windows.embeddings, speakers, windows.recordings)
    )
    assert {(one.recording, one.like) for one in found[:2]} == {(0, 0), (3, 1)}
    assert all(one.whole for one in found[:2])
    assert found[1].suspicion > 2 * found[2].suspicion if found[2:] else True


def test_a_stretch_of_somebody_else_is_found_where_it_is(corpus):
    windows, voices, rng = corpus
    sound = windows.embeddings.copy()
    place = np.flatnonzero(windows.recordings == 7)[5:12]
    sound[place] = voices[9] + 0.8 * rng.standard_normal((7, DIM))
    (first, *_), _ = find_suspects(
        Windows(sound, windows.speakers, windows.recordings)
    )
    assert (first.recording, first.like, first.whole) == (7, 9, False)
    assert abs(first.first - place[0]) <= 1
    assert abs(first.last - place[-1]) <= 1


def test_one_voice_under_two_names_is_the_first_pair(corpus):
    windows, _, _ = corpus
    speakers = windows.speakers.copy()
    # The third recording of speaker 4 has a name of its own.
    speakers[windows.recordings == 14] = SPEAKERS
    split = Windows(windows.embeddings, speakers, windows.recordings)
    _, (first, second, *_) = find_suspects(split)
    assert (first.first, first.second) == (4, SPEAKERS)
    assert first.suspicion > second.suspicion + 0.1


def test_each_window_is_held_against_all_speakers_twice(corpus, monkeypatch):
    windows, _, _ = corpus
    asked = []
    gaps = Likeness.gaps
    monkeypatch.setattr(
        Likeness,
        "gaps",
        lambda self, rows: asked.extend(rows.tolist()) or gaps(self, rows),
    )
    find_suspects(windows)
    # Of all, and again without what was found.
    assert asked == 2 * [*range(len(windows.speakers))]


def test_likeness_is_that_of_a_loop(corpus):
    windows, _, _ = corpus
    unit = unit_directions(windows.embeddings)
    likeness = Likeness(windows)
    for place in (0, 333, len(unit) - 1):
        mine = (windows.speakers == windows.speakers[place]) & (
            windows.recordings != windows.recordings[place]
        )
        own = np.mean([unit[place] @ one for one in unit[mine]])
        assert likeness.own[place] == pytest.approx(own)
        speaker = (windows.speakers[place] + 1) % SPEAKERS
        theirs = unit[windows.speakers == speaker]
        other = np.mean([unit[place] @ one for one in theirs])
        (gaps,) = likeness.gaps(np.array([place]))
        assert gaps[speaker] == pytest.approx(other - own)
        assert gaps[windows.speakers[place]] == -np.inf


def test_a_corpus_is_judged_without_a_copy_of_its_embeddings():
    rng = np.random.default_rng(0)
    recordings = np.repeat(np.arange(200), 20)
    sound = rng.standard_normal((len(recordings), 512), dtype=np.float32)
    windows = Windows(sound, recordings // 10, recordings)
    tracemalloc.start()
    find_suspects(windows)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < sound.nbytes / 2


def test_one_recording_is_judged_without_neighbours_and_room(corpus):
    windows, _, _ = corpus
    keep = (windows.speakers != 2) | (windows.recordings == 6)
    parts = windows.embeddings, windows.speakers, windows.recordings
    fewer = Windows(*(part[keep] for part in parts))
    unit, found = unit_directions(fewer.embeddings), Likeness(fewer).own

    def within(place):
        near = abs(np.arange(len(unit)) - place) <= NEAR
        same = fewer.recordings == fewer.recordings[place]
        return np.mean([unit[place] @ one for one in unit[same & ~near]])

    several = np.flatnonzero(fewer.speakers != 2)
    room = np.mean([within(place) - found[place] for place in several])
    for place in np.flatnonzero(fewer.speakers == 2)[[0, 9, 19]]:
        assert found[place] == pytest.approx(within(place) - room)


def test_a_single_recording_is_held_against_itself():
    rng = np.random.default_rng(1)
    voices = rng.standard_normal((3, DIM))
    speakers = np.repeat([0, 1, 2], 20)
    sound = voices[speakers] + 0.5 * rng.standard_normal((60, DIM))
    sound[5:12] = voices[1] + 0.5 * rng.standard_normal((7, DIM))
    found, _ = find_suspects(Windows(sound, speakers, speakers))
    assert (found[0].recording, found[0].like) == (0, 1)
    assert (found[0].first, found[0].last) == (5, 11)


def test_who_has_nothing_else_is_passed_over():
    sound = np.eye(4)
    windows = Windows(sound, np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]))
    assert find_suspects(windows) == ([], [])


def test_what_cannot_be_judged_costs_no_window_beside_it(corpus, monkeypatch):
    windows, _, _ = corpus
    speakers = windows.speakers.copy()
    speakers[windows.recordings == 0] = 1
    swapped = Windows(windows.embeddings, speakers, windows.recordings)
    own = Likeness.gaps

    def gaps(self, rows):
        # As where all else of a speaker is too near.
        return np.where((rows == 0)[:, None], np.nan, own(self, rows))

    monkeypatch.setattr(Likeness, "gaps", gaps)
    (first, *_), _ = find_suspects(swapped)
    assert (first.recording, first.like) == (0, 0)
    assert first.first > 0


def test_a_recording_of_one_window_is_judged():
    rng = np.random.default_rng(2)
    voices = rng.standard_normal((3, DIM))
    speakers = np.repeat([0, 1, 2], 21)
    recordings = np.repeat([0, 1, 2, 3, 4, 5], [20, 1] * 3)
    sound = voices[speakers] + 0.5 * rng.standard_normal((63, DIM))
    sound[20] = voices[2]
    (first, *_), _ = find_suspects(Windows(sound, speakers, recordings))
    assert (first.recording, first.like, first.whole) == (1, 2, True)


def test_rows_of_both_kinds_stand_in_one_list():
    pairs = [Pair(0.02, 0, 1), Pair(-0.5, 0, 2)]
    visit = Stretch(0.05, 2, 5, 0, 3, False, 0)
    assert shown_first([visit], pairs, 9) == [visit, *pairs]
    assert shown_first([visit], pairs, 1) == [visit]


def test_only_a_pair_that_is_suspicious_stands_for_a_stretch():
    visit = Stretch(0.05, 2, 5, 0, 3, False, 9)
    for pair, left in (
        (Pair(0.01, 2, 9), []),
        (Pair(-0.01, 2, 9), [visit]),
        # Of other people; less suspicious by far.
        (Pair(0.01, 2, 8), [visit]),
        (Pair(0.05 - EXPLAINED, 2, 9), [visit]),
    ):
        assert unexplained([visit], [pair]) == left
    strong = Stretch(0.01 + EXPLAINED, 2, 5, 0, 3, True, 9)
    assert unexplained([strong], [Pair(0.01, 2, 9)]) == [strong]


def test_two_names_stand_for_the_recordings_of_both(corpus):
    windows, _, _ = corpus
    speakers = windows.speakers.copy()
    speakers[windows.recordings == 14] = SPEAKERS
    stretches, pairs = find_suspects(
        Windows(windows.embeddings, speakers, windows.recordings)
    )
    assert pairs[0].suspicion > 0 > pairs[1].suspicion
    names = {4, SPEAKERS}
    assert not [one for one in stretches if {one.speaker, one.like} == names]


def test_a_wrong_recording_makes_those_beside_it_no_suspects(corpus):
    windows, _, _ = corpus
    speakers = windows.speakers.copy()
    # Speaker 0 has one recording that is right and one of speaker 3.
    keep = ~np.isin(windows.recordings, [1, 2])
    speakers[windows.recordings == 9] = 0
    (first, *others), _ = find_suspects(
        Windows(
            windows.embeddings[keep], speakers[keep], windows.recordings[keep]
        )
    )
    assert (first.recording, first.like, first.whole) == (9, 3, True)
    assert not [one for one in others if one.speaker == 0]


def test_what_little_can_be_told_of_is_named():
    # Speakers with two short ones, with one of 4 windows, with one of 5.
    recordings = np.repeat([0, 1, 2, 3], [1, 2, 4, 5])
    speakers = np.repeat([0, 0, 1, 2], [1, 2, 4, 5])
    windows = Windows(np.eye(12), speakers, recordings)
    assert unjudged(windows) == ([2], [3])
    own = Likeness(windows).own
    assert np.isnan(own[3:7]).all()
    assert np.isfinite(own[[0, 1, 2, 7, 11]]).all()
