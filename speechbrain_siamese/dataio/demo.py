"""A small corpus to try the package on: synthetic Nepali voices.

`ensure_demo_corpus` builds it once, without a network, from eSpeak NG voices:
some 25 minutes by 16 speakers, two recordings each, laid out and flawed like
recordings collected online (mixed formats and sample rates, stereo, adverts
at both ends, pauses, rooms and levels that differ). It shows that everything
runs; numbers measured on it say nothing about real voices.

Authors
 * The speechbrain-siamese contributors
"""

from __future__ import annotations

import csv
import dataclasses
import json
import tempfile
from pathlib import Path

import numpy as np
from speechbrain.utils.logger import get_logger
from tqdm import tqdm

from speechbrain_siamese.dataio.demo_cast import (
    SENTENCES,
    SPEAKERS,
    Speaker,
)
from speechbrain_siamese.dataio.demo_sound import (
    PAUSE_SECONDS,
    assemble_recording,
    write_recording,
)
from speechbrain_siamese.dataio.espeak import ESPEAK_RATE, Synthesizer, Voice

logger = get_logger(__name__)

ADVERT_SECONDS = 5.0
"""Length of the music at the start, and of that at the end, of a recording."""

MARKER = ".demo_corpus.json"
"""File that tells a folder of ours from a user's."""

# To be raised whenever the same seed would give another corpus.
_VERSION = 1
_RECORDINGS = 2
# Eleven, so that the formats go round against the two recordings a speaker.
_FORMATS = (
    (".wav", 22_050),
    (".m4a", 44_100),
    (".webm", 48_000),
    (".flac", 44_100),
    (".mp3", 22_050),
    (".ogg", 48_000),
    (".m4a", 48_000),
    (".wav", 48_000),
    (".mp3", 44_100),
    (".ogg", 44_100),
    (".flac", 22_050),
)


def ensure_demo_corpus(
    folder: str | Path,
    seed: int = 0,
    *,
    _speakers: tuple[Speaker, ...] = SPEAKERS,
    _speech_seconds: float = 36.0,
) -> Path:
    """Build the demo corpus in a folder, unless it is there already.

    The layout is `<folder>/<speaker>/<recording>.<ext>` and
    `<folder>/speakers.csv` with the columns `speaker,name,gender`. A seed
    decides who reads what, in which room; the same seed gives the same
    samples. The corpus is built beside `folder` and moved there when whole.

    Arguments
    ---------
    folder : str or Path
        Where to build; must be missing, empty, or a demo corpus built before,
        which is built anew if its version or seed is another or if one of its
        files is gone.
    seed : int
        Seed of all that is drawn; 0 or more.

    Returns
    -------
    folder : Path
        The corpus's folder, absolute.

    Raises
    ------
    ValueError
        If the folder, or a file in it, is not of the demo corpus's making.
    ImportError
        If `espeakng-loader` is not installed and the corpus is to be built.

    Example
    -------
    >>> folder = ensure_demo_corpus("demo_corpus")  # doctest: +SKIP
    >>> sorted(folder.glob("gurans/*"))  # doctest: +SKIP
    [PosixPath('.../gurans/rec1.wav'), PosixPath('.../gurans/rec2.m4a')]
    """
    folder = Path(folder).resolve()
    wanted = {
        "version": _VERSION,
        "seed": seed,
        "speakers": len(_speakers),
        "speech_seconds": _speech_seconds,
    }
    if _is_built(folder, wanted):
        return folder
    logger.info(
        "Building a demo corpus of synthetic voices in %s; numbers measured "
        "on it mean nothing about real voices.",
        folder,
    )
    say = Synthesizer(seed)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # A sibling, so that moving is one rename on the same disk.
    with tempfile.TemporaryDirectory(
        dir=folder.parent, prefix=f".{folder.name}."
    ) as temporary:
        new = Path(temporary) / "new"
        new.mkdir()
        _build(new, say, seed, _speakers, _speech_seconds)
        marker = wanted | {"files": _files_below(new)}
        (new / MARKER).write_text(
            json.dumps(marker, ensure_ascii=False, indent=1), "utf-8"
        )
        if folder.exists():
            folder.rename(Path(temporary) / "old")
        new.rename(folder)
    return folder


def _is_built(folder: Path, wanted: dict) -> bool:
    """Tell whether the wanted corpus is there; refuse a user's folder."""
    if not folder.exists():
        return False
    advice = (
        "Nothing was written. Name another folder for the demo corpus, or "
        "move what is in this one elsewhere."
    )
    if not folder.is_dir():
        raise ValueError(
            f"{folder} is a file; expected a folder for the demo corpus. "
            f"{advice}"
        )
    found = _files_below(folder)
    if not any(folder.iterdir()):
        return False
    if MARKER not in found:
        raise ValueError(
            f"{folder} is not empty and has no {MARKER}, so it is not a demo "
            f"corpus built here. {advice}"
        )
    try:
        marker = json.loads((folder / MARKER).read_text("utf-8"))
        built = {key: marker[key] for key in wanted}
        files = set(marker["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / MARKER} is not as written by this package ({error!r})"
            f". {advice}"
        ) from error
    if built == wanted and files <= set(found):
        return True
    strangers = [name for name in found if name not in files | {MARKER}]
    if strangers:
        raise ValueError(
            f"the demo corpus in {folder} is to be built anew (there: "
            f"{built}; wanted: {wanted}), but holds files of other making "
            f"that would be lost: {', '.join(strangers[:3])}. {advice}"
        )
    return False


def _files_below(folder: Path) -> list[str]:
    """List all files below a folder, relative to it, in order."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if not path.is_dir()
    )


def _build(
    folder: Path,
    say: Synthesizer,
    seed: int,
    speakers: tuple[Speaker, ...],
    speech_seconds: float,
) -> None:
    """Write all recordings and `speakers.csv` into an empty folder."""
    total = len(speakers) * _RECORDINGS
    with tqdm(total=total, desc="demo corpus", unit="recording") as progress:
        for row, speaker in enumerate(speakers):
            (folder / speaker.folder).mkdir()
            for take in range(_RECORDINGS):
                generator = np.random.default_rng([seed, row, take])
                sentences = _read_aloud(
                    say, speaker.voice, speech_seconds, generator
                )
                recording = assemble_recording(
                    sentences, ADVERT_SECONDS, ESPEAK_RATE, generator
                )
                number = row * _RECORDINGS + take
                suffix, rate = _FORMATS[number % len(_FORMATS)]
                path = folder / speaker.folder / f"rec{take + 1}{suffix}"
                write_recording(path, recording, ESPEAK_RATE, rate)
                progress.update()
    with open(
        folder / "speakers.csv", "w", newline="", encoding="utf-8"
    ) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["speaker", "name", "gender"])
        writer.writerows([s.folder, s.name, s.gender] for s in speakers)


def _read_aloud(
    say: Synthesizer,
    voice: Voice,
    seconds: float,
    generator: np.random.Generator,
) -> list[np.ndarray]:
    """Say random sentences until they fill the time, with their pauses."""
    # Nobody speaks quite the same on another day.
    voice = dataclasses.replace(
        voice,
        pitch=voice.pitch + int(generator.integers(-3, 4)),
        speed=voice.speed + int(generator.integers(-6, 7)),
    )
    sentences: list[np.ndarray] = []
    spoken = 0.0
    for index in generator.permutation(len(SENTENCES)):
        if spoken >= seconds:
            break
        sentences.append(say(SENTENCES[index], voice))
        spoken += len(sentences[-1]) / ESPEAK_RATE + np.mean(PAUSE_SECONDS)
    return sentences
