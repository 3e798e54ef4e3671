"""Which speech trains, which validates, which tests.

Three questions that one figure must not mix: a known voice in a known
recording (``time``), a known voice in a new recording (``session``), an
unknown voice (``speaker``). One model answers all three: speakers are held out
first, then whole sessions, then the end of every recording that remains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from speechbrain_siamese.utils.ranges import check_range

#: Questions that a model is tested on, the easiest first.
QUESTIONS = ("time", "session", "speaker")


@dataclass(frozen=True)
class Session:
    """One cleaned recording, as the splits see it.

    Arguments
    ---------
    speaker : str
    session : str
        Unique id of the recording.
    samples : int
        Length of the cleaned recording.
    """

    speaker: str
    session: str
    samples: int


@dataclass(frozen=True)
class Stretch:
    """Part of a session that serves one purpose.

    Arguments
    ---------
    session : Session
    start : int
        First sample.
    stop : int
        Sample after the last.
    role : str
        ``train``, ``valid``, or a question: ``time, session, speaker``.
    """

    session: Session
    start: int
    stop: int
    role: str

    @property
    def samples(self) -> int:
        """Length in samples."""
        return self.stop - self.start


@dataclass(frozen=True)
class SplitSettings:
    """How much is held out; the fields are keys of the YAML file.

    Arguments
    ---------
    valid_speakers : float
        Share of the speakers for validation: early stopping and threshold.
    test_speakers : float
        Share of the speakers for the question ``speaker``.
    test_sessions : float
        Share of the remaining speakers with two or more recordings who give
        their last one to the question ``session``.
    test_time : float
        Share at the end of every remaining recording for ``time``.
    guard_gap : float
        Seconds left out at a cut, so that no window touches both sides.
    utterance_len : float
        Seconds of a held-out utterance, the unit of trials.
    utterances_per_speaker : int
        Most held-out utterances of one speaker in one role.

    Raises
    ------
    ValueError
        If a value is out of its range.
    """

    valid_speakers: float = 0.125
    test_speakers: float = 0.1
    test_sessions: float = 0.25
    test_time: float = 0.2
    guard_gap: float = 1.0
    utterance_len: float = 4.0
    utterances_per_speaker: int = 20

    def __post_init__(self):
        for key, low, high in (
            ("valid_speakers", 0, 0.5),
            ("test_speakers", 0, 0.5),
            ("test_sessions", 0, 1),
            ("test_time", 0, 0.5),
            ("guard_gap", 0, 60),
            ("utterance_len", 1, 60),
            ("utterances_per_speaker", 2, 10_000),
        ):
            check_range(key, getattr(self, key), low, high)


def split_sessions(
    sessions: Sequence[Session],
    settings: SplitSettings,
    sample_rate: int,
    seed: int,
) -> list[Stretch]:
    """Give every session, or its parts, a role.

    Validation is on people who neither train nor test. Where fewer than six
    speakers are there, nobody can be spared: then ``valid`` is made of the
    training speakers' own held-out time, and the question ``speaker`` is
    absent.

    Arguments
    ---------
    sessions : Sequence[Session]
    settings : SplitSettings
    sample_rate : int
        Samples per second of the cleaned recordings.
    seed : int
        Decides who is held out.

    Returns
    -------
    list of Stretch
        In the order of ``sessions``. A question without any stretch is one
        that these data cannot answer.

    Raises
    ------
    ValueError
        If there are fewer than two speakers.
    """
    speakers = sorted({session.speaker for session in sessions})
    if len(speakers) < 2:
        found = ", ".join(speakers) or "none"
        raise ValueError(
            f"found {len(speakers)} usable speaker(s) ({found}), but at least "
            "2 are needed: a Siamese model learns from same and different "
            "voices. See rejected.csv for recordings that could not be used"
        )
    shuffled = list(np.random.default_rng(seed).permutation(speakers))
    valid, test = _held_out_speakers(shuffled, settings)
    held_sessions = _held_out_sessions(
        [s for s in sessions if s.speaker not in valid | test],
        shuffled,
        settings.test_sessions,
    )
    stretches = []
    for session in sessions:
        if session.speaker in valid:
            stretches.append(Stretch(session, 0, session.samples, "valid"))
        elif session.speaker in test:
            stretches.append(Stretch(session, 0, session.samples, "speaker"))
        elif session.session in held_sessions:
            stretches.append(Stretch(session, 0, session.samples, "session"))
        else:
            stretches.extend(
                _cut_in_time(session, settings, sample_rate, not valid)
            )
    return stretches


def _held_out_speakers(
    shuffled: list[str], settings: SplitSettings
) -> tuple[set[str], set[str]]:
    """Validation and test speakers: two at least, four stay for training.

    Where so many cannot be spared, fewer are held out.
    """
    counts = [
        max(2, round(share * len(shuffled))) if share else 0
        for share in (settings.valid_speakers, settings.test_speakers)
    ]
    spare = max(0, len(shuffled) - 4)
    valid = _at_least_two(min(counts[0], spare))
    test = _at_least_two(min(counts[1], spare - valid))
    return set(shuffled[:valid]), set(shuffled[valid : valid + test])


def _at_least_two(count: int) -> int:
    """One speaker alone has nobody to be told from."""
    return count if count > 1 else 0


def _held_out_sessions(
    sessions: Sequence[Session], shuffled: list[str], share: float
) -> set[str]:
    """Last session of a share of the speakers who have two or more."""
    sessions_of: dict[str, list[str]] = {}
    for session in sessions:
        sessions_of.setdefault(session.speaker, []).append(session.session)
    several = [name for name in shuffled if len(sessions_of.get(name, [])) > 1]
    # Two at least: one speaker alone has nobody to be told from.
    count = max(2, round(share * len(several))) if share else 0
    return {sorted(sessions_of[name])[-1] for name in several[:count]}


def _cut_in_time(
    session: Session,
    settings: SplitSettings,
    sample_rate: int,
    with_valid: bool,
) -> list[Stretch]:
    """Training part, then a gap, then the held-out end of one session.

    With ``with_valid`` the first half of the held-out end is validation. Ends
    too short for an utterance of half the usual length stay with training.
    """
    whole = Stretch(session, 0, session.samples, "train")
    gap = round(settings.guard_gap * sample_rate)
    cut = round(session.samples * (1 - settings.test_time))
    shortest = round(settings.utterance_len * sample_rate / 2)
    ends = [Stretch(session, cut + gap, session.samples, "time")]
    if with_valid:
        middle = (cut + gap + session.samples) // 2
        ends = [
            Stretch(session, cut + gap, middle, "valid"),
            Stretch(session, middle + gap, session.samples, "time"),
        ]
    if any(end.samples < shortest for end in ends):
        return [whole]
    return [replace(whole, stop=cut), *ends]


def cut_utterances(
    stretches: Sequence[Stretch], settings: SplitSettings, sample_rate: int
) -> list[Stretch]:
    """Cut held-out stretches into utterances, the units of trials.

    Each speaker gives at most ``utterances_per_speaker`` in a role, spread
    evenly over his recordings and their time.

    Arguments
    ---------
    stretches : Sequence[Stretch]
        As ``split_sessions`` gives them; those for training are left out.
    settings : SplitSettings
    sample_rate : int

    Returns
    -------
    list of Stretch
    """
    length = round(settings.utterance_len * sample_rate)
    found: dict[tuple[str, str], list[Stretch]] = {}
    for stretch in stretches:
        if stretch.role == "train":
            continue
        cuts = [
            replace(
                stretch, start=start, stop=min(start + length, stretch.stop)
            )
            for start in range(stretch.start, stretch.stop, length)
        ]
        own = found.setdefault((stretch.role, stretch.session.speaker), [])
        own.extend(cut for cut in cuts if cut.samples >= length / 2)
    return [
        utterance
        for own in found.values()
        for utterance in _evenly(own, settings.utterances_per_speaker)
    ]


def _evenly(items: list, count: int) -> list:
    """At most ``count`` items, evenly spread over the list."""
    if len(items) <= count:
        return items
    return [items[index * len(items) // count] for index in range(count)]
