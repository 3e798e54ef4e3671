"""What is doubtful about a corpus, most urgent first, and what to do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from speechbrain_siamese.corpus_report.seconds import seconds_of_recording
from speechbrain_siamese.dataio.clean_recording import CleanRecording, Rejected
from speechbrain_siamese.utils.whole_file import file_digest

#: Seconds of speech below which a speaker has little, and very little.
LITTLE, VERY_LITTLE = 60.0, 20.0

#: Share of clipped samples, dB over the noise, dBFS of speech, and share that
#: is kept between the cuts, beyond which a recording is doubtful.
CLIPPED, NOISY, QUIET, FEW, ALL = 0.005, 10.0, -45.0, 0.2, 0.98

#: Hz of the lowest rate that holds what tells voices apart.
NARROW = 16000

#: What to do about recordings that are not broken, by how the reason begins.
_MENDED = {
    "shorter than the cuts": "a lower --trim_start and --trim_end leave "
    "something of it",
    "too short": "have a longer one, or take it away",
    "nothing is left of it (excluded)": "exclude.csv says so: take lines away "
    "to have some of it back",
    "nothing is left of it": "all of it recurs in other recordings: "
    "--cut_recurring=False keeps it",
}

#: How urgent doubts are.
WRONG, CHECK, KNOW = "wrong", "check", "to know"


@dataclass(frozen=True)
class Doubt:
    """One thing that may be wrong.

    Arguments
    ---------
    urgency : str
        ``wrong``, ``check`` or ``to know``.
    about : str
        Session of a recording, or id of a speaker.
    what : str
        What was found.
    todo : str
        What to do about it.
    speaker : bool
        Whether it is about a speaker.
    """

    urgency: str
    about: str
    what: str
    todo: str
    speaker: bool = False

    @property
    def advice(self) -> str:
        """What to do, as a sentence."""
        return f"{self.todo[0].upper()}{self.todo[1:]}."


def doubts_about(
    cleaned: Sequence[CleanRecording],
    rejected: Sequence[Rejected],
    sample_rate: int,
    clips: Sequence[CleanRecording] = (),
) -> list[Doubt]:
    """Look for what is doubtful.

    Arguments
    ---------
    cleaned : Sequence[CleanRecording]
    rejected : Sequence[Rejected]
    sample_rate : int
        Of the cleaned audio, Hz.
    clips : Sequence[CleanRecording]
        Short ones: of those who have nothing else, that there is little is
        no doubt.

    Returns
    -------
    list of Doubt
        The most urgent first.
    """
    found = [
        Doubt(
            KNOW if item.recording.excluded else WRONG,
            item.recording.session,
            f"is not used: {item.reason}",
            "exclude.csv says so: take the line away to have it back"
            if item.recording.excluded
            else _mended(item.reason),
        )
        for item in rejected
    ]
    heard = [*cleaned, *clips]
    found += _same_sound(heard)
    found += [d for item in heard for d in _of_recording(item, sample_rate)]
    found += _of_speakers(cleaned, clips)
    order = {WRONG: 0, CHECK: 1, KNOW: 2}
    return sorted(found, key=lambda doubt: order[doubt.urgency])


def _mended(reason: str) -> str:
    """What to do about a recording that was rejected."""
    for beginning, todo in _MENDED.items():
        if reason.startswith(beginning):
            return todo
    return "mend or replace the file, or take it away"


def _same_sound(cleaned) -> list[Doubt]:
    """Recordings that are there twice."""
    alike = defaultdict(list)
    for item in cleaned:
        # Not the key, in which a recording's own cuts are, too.
        sound = item.audio_format, item.raw_duration, item.outline
        alike[sound].append(item.recording)
    by_sound = defaultdict(list)
    for sound, own in alike.items():
        # Quiet ones of one length may look alike; few files are read again.
        for recording in own if len(own) > 1 else ():
            with suppress(OSError):
                digest = file_digest(recording.path)
                by_sound[sound, digest].append(recording)
    found = []
    for own in by_sound.values():
        if len(own) == 1:
            continue
        sessions = ", ".join(one.session for one in own[1:])
        speakers = {one.speaker for one in own}
        found.append(
            Doubt(
                WRONG,
                own[0].session,
                f"is the same file as {sessions}"
                + (", under another name" if len(speakers) > 1 else ""),
                "find out whose it is and take the others away: one voice "
                "under two names teaches the opposite of what it should"
                if len(speakers) > 1
                else "take the others away: what is there twice tells nothing "
                "new, and a test would ask for what was learnt by heart",
            )
        )
    return found


def _of_recording(item: CleanRecording, sample_rate: int) -> list[Doubt]:
    """Doubts about the sound of one recording."""
    quality, found = item.quality, []

    def doubt(urgency, what, todo):
        found.append(Doubt(urgency, item.recording.session, what, todo))

    if quality.clipped > CLIPPED:
        doubt(
            CHECK,
            f"{100 * quality.clipped:.1f} % of its samples are at full scale",
            "look for a copy that is not distorted",
        )
    if quality.snr < NOISY:
        doubt(
            CHECK,
            f"its voice is only {quality.snr:.0f} dB above its noise",
            "try --vad=silero, or --separate_vocals=True for music",
        )
    if quality.level < QUIET:
        doubt(
            KNOW,
            f"its speech is as quiet as {quality.level:.0f} dBFS",
            "listen whether a voice is there; loudness itself does not matter",
        )
    seconds = seconds_of_recording(item)
    share = seconds.kept / (seconds.kept + seconds.silence)
    if share < FEW:
        doubt(
            CHECK,
            f"{100 * share:.0f} % between the cuts is left, the rest is silent",
            "listen to the recording itself; --silence_threshold=-40 keeps "
            "more",
        )
    elif share > ALL and item.duration > 30:
        doubt(
            CHECK,
            "it has no pause: music or noise may lie below the voice",
            "listen; --vad=silero finds the voice in noise, "
            "--separate_vocals=True takes music off",
        )
    rate = item.audio_format.rpartition(", ")[2].removesuffix(" kHz")
    if 1000 * float(rate) < min(NARROW, sample_rate):
        doubt(
            KNOW,
            f"it holds no more than {rate} kHz",
            "as on a telephone: the model must not learn that this is whose "
            "voice it is; have others of the kind, or none",
        )
    return found


def _of_speakers(cleaned, clips) -> list[Doubt]:
    """Doubts about how much there is of each who has more than clips."""
    by_speaker = defaultdict(list)
    for item in cleaned:
        by_speaker[item.recording.speaker].append(item)
    for item in clips:
        if item.recording.speaker in by_speaker:
            by_speaker[item.recording.speaker].append(item)
    found = []
    for speaker, own in by_speaker.items():
        seconds = sum(item.duration for item in own)
        if seconds < LITTLE:
            found.append(
                Doubt(
                    CHECK if seconds < VERY_LITTLE else KNOW,
                    speaker,
                    f"has {seconds:.0f} s of speech",
                    "add recordings: five minutes are a good measure",
                    speaker=True,
                )
            )
        if len(own) == 1:
            found.append(
                Doubt(
                    KNOW,
                    speaker,
                    "has one recording only",
                    "a second one, from elsewhere, teaches voice instead of "
                    "room and microphone",
                    speaker=True,
                )
            )
    return found
