"""Write what the splits decide: manifests, utterances and trial lists.

``splits`` decides which samples train, validate and test; this writes it down
as the files that training reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import soundfile
from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.clean_recording import CleanRecording
from speechbrain_siamese.dataio.manifests import (
    Row,
    rooted,
    write_manifest,
    write_trials,
)
from speechbrain_siamese.dataio.splits import (
    QUESTIONS,
    Session,
    SplitSettings,
    Stretch,
    cut_utterances,
    split_sessions,
)
from speechbrain_siamese.dataio.trials import make_trials
from speechbrain_siamese.utils.whole_file import (
    whole_file,
    write_table,
    write_wav,
)

logger = get_logger(__name__)


def write_split_files(
    save: Path,
    long_ones: Sequence[CleanRecording],
    short_ones: Sequence[CleanRecording],
    sample_rate: int,
    splits: SplitSettings,
    seed: int,
) -> None:
    """Write manifests, held-out utterances, trial lists and ``speakers.csv``.

    Arguments
    ---------
    save : Path
        Folder that holds the cleaned audio; everything is written below it.
    long_ones : Sequence[CleanRecording]
        Recordings that the splits are made of.
    short_ones : Sequence[CleanRecording]
        Clips of further speakers; they only train. No session of theirs is
        one of a recording.
    sample_rate : int
        Samples per second of the cleaned audio.
    splits : SplitSettings
        What is held out.
    seed : int
        Decides who is held out.

    Raises
    ------
    ValueError
        If there are fewer than two speakers, or validation has no trials.
    """
    recording_of = {item.recording.session: item for item in long_ones}
    stretches = split_sessions(
        [
            Session(
                item.recording.speaker,
                item.recording.session,
                soundfile.info(item.path).frames,
            )
            for item in long_ones
        ],
        splits,
        sample_rate,
        seed,
    )
    train = [s for s in stretches if s.role == "train"]
    rows = [_train_row(s, recording_of, save, sample_rate) for s in train]
    held_out = {s.session.speaker for s in stretches} - {
        s.session.speaker for s in train
    }
    rows += _clip_rows(short_ones, held_out, save, sample_rate)
    write_manifest(rows, save / "train.csv")

    utterances: dict[str, list[Row]] = {"valid": []}
    _delete_files(save / "held_out")
    for utterance in cut_utterances(stretches, splits, sample_rate):
        row = _write_utterance(utterance, recording_of, save, sample_rate)
        utterances.setdefault(utterance.role, []).append(row)
    write_manifest(utterances["valid"], save / "valid.csv")
    write_manifest(
        [row for name in QUESTIONS for row in utterances.get(name, [])],
        save / "test.csv",
    )
    _write_trial_lists(utterances, save, seed)
    _write_speakers([*long_ones, *short_ones], save / "speakers.csv")
    logger.info(
        "%d speakers and %.2f h of speech for training",
        len({row.spk_id for row in rows}),
        sum(row.duration for row in rows) / 3600,
    )


def _train_row(stretch: Stretch, recording_of, save: Path, rate: int) -> Row:
    item = recording_of[stretch.session.session]
    return Row(
        ID=stretch.session.session,
        duration=stretch.samples / rate,
        wav=rooted(item.path, save),
        start=stretch.start,
        stop=stretch.stop,
        spk_id=stretch.session.speaker,
        gender=item.recording.gender,
        session=stretch.session.session,
    )


def _clip_rows(short_ones, held_out: set[str], save: Path, rate: int):
    """Rows of the short clips; held-out people must not train here either."""
    dropped = sum(item.recording.speaker in held_out for item in short_ones)
    if dropped:
        logger.info(
            "%d short clips are left out: their speakers are held out", dropped
        )
    return [
        Row(
            ID=item.recording.session,
            duration=item.duration,
            wav=rooted(item.path, save),
            start=0,
            stop=round(item.duration * rate),
            spk_id=item.recording.speaker,
            gender=item.recording.gender,
            session=item.recording.session,
        )
        for item in short_ones
        if item.recording.speaker not in held_out
    ]


def _write_utterance(
    utterance: Stretch, recording_of, save: Path, rate: int
) -> Row:
    """Write one held-out utterance as a file of its own."""
    session = utterance.session
    item = recording_of[session.session]
    name = f"{session.session}-{utterance.start:09d}"
    path = save / "held_out" / utterance.role / session.speaker / f"{name}.wav"
    samples, _ = soundfile.read(
        item.path, start=utterance.start, stop=utterance.stop, dtype="int16"
    )
    with whole_file(path) as partial:
        write_wav(partial, [samples], rate)
    return Row(
        ID=f"{utterance.role}-{name}",
        duration=utterance.samples / rate,
        wav=rooted(path, save),
        start=0,
        stop=utterance.samples,
        spk_id=session.speaker,
        gender=item.recording.gender,
        session=session.session,
    )


def _write_trial_lists(utterances, save: Path, seed: int) -> None:
    """Write one list a question; say which the data cannot answer."""
    for question in ("valid", *QUESTIONS):
        trials = make_trials(utterances, question, seed)
        path = save / f"trials_{question}.txt"
        if trials:
            write_trials(trials, path)
            continue
        path.unlink(missing_ok=True)
        if question == "valid":
            raise ValueError(
                "the recordings are too few or too short for validation: it "
                "needs two held-out utterances of each of two speakers. Add "
                "recordings, or lower trim_start, trim_end, utterance_len or "
                "guard_gap"
            )
        logger.warning("the data cannot answer the question '%s'", question)


def _write_speakers(items, path: Path) -> None:
    """Write ids beside display names."""
    people = {
        item.recording.speaker: (item.recording.name, item.recording.gender)
        for item in items
    }
    write_table(
        path,
        ["spk_id", "name", "gender"],
        ([speaker, *people[speaker]] for speaker in sorted(people)),
    )


def _delete_files(folder: Path) -> None:
    """Delete the utterances of an earlier preparation."""
    for path in sorted(folder.rglob("*.wav")):
        path.unlink()
