"""Fetches the recordings of ``sources.csv`` with yt-dlp.

Beside each recording a ``.json`` file of the same name keeps what is known of
it: address, id, title, channel, licence, date. Whether it may be fetched and
used, and whether those who speak agree, nobody but the user can check.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.decoding import copy_stretch
from speechbrain_siamese.dataio.recordings import (
    AUDIO_SUFFIXES,
    ascii_id,
    read_speakers,
)
from speechbrain_siamese.dataio.sources import Source, read_source_note
from speechbrain_siamese.dataio.user_tables import nfc
from speechbrain_siamese.utils.whole_file import (
    remove_partials,
    whole_file,
    write_table,
)

logger = get_logger(__name__)

RIGHTS = (
    "Whether you may fetch and use these recordings, and whether the people "
    "who speak agree to it, is yours to check: the licence, the terms of the "
    "site, the law on voice data where you and they live. Beside each "
    "recording a .json file keeps the licence that the site tells, if any."
)

#: Folder of what is not complete yet; the corpus passes over hidden ones.
PARTS = ".parts"

#: What is kept of what yt-dlp knows, and under which names.
KEPT = {
    "id": ("id",),
    "title": ("title",),
    "channel": ("channel", "uploader"),
    "licence": ("license",),
    "upload_date": ("upload_date",),
    "page": ("webpage_url",),
    "site": ("extractor_key",),
    "duration": ("duration",),
}


def download(
    sources: Iterable[Source], folder: str | Path
) -> dict[Source, str]:
    """Fetch what is not there yet; one that fails does not end the others.

    What an earlier table has named, and this one does not, stays and is told.

    Arguments
    ---------
    sources : Iterable[Source]
        An address that several of them share is fetched once.
    folder : str or Path
        Recordings go to ``<folder>/<speaker>/``. What was half fetched when
        the connection or the process broke is continued.

    Returns
    -------
    dict of Source : str
        Reasons of those that could not be fetched.

    Raises
    ------
    ValueError
        If yt-dlp is not installed.
    """
    try:
        import yt_dlp  # noqa: F401  (later imports would fail one by one)
    except ImportError as error:
        raise ValueError(
            'fetching needs yt-dlp: pip install "speechbrain-siamese[download]"'
        ) from error
    folder = Path(folder)
    by_url: dict[str, list[Source]] = {}
    # A row that tells a gender, too, is no other recording.
    once = {replace(source, gender=""): source for source in sources}
    for source in once.values():
        by_url.setdefault(source.url, []).append(source)
    logger.warning(RIGHTS)
    remove_partials(folder)
    there = fetched(folder)
    failed: dict[Source, str] = {}
    for number, (url, own) in enumerate(by_url.items(), start=1):
        missing = [one for one in own if replace(one, gender="") not in there]
        if not missing:
            logger.info("%d of %d: %s is there", number, len(by_url), url)
            continue
        logger.info("%d of %d: fetching %s", number, len(by_url), url)
        parts = folder / PARTS / _digest(url)
        try:
            whole, info = _fetch(url, parts)
        except Exception as error:
            # Sites break in ways that yt-dlp itself does not foresee.
            reason = _reason(error)
            logger.error("%s cannot be fetched: %s", url, reason)
            failed |= dict.fromkeys(missing, reason)
            continue
        for source in missing:
            try:
                _keep(source, whole, info, folder)
            except Exception as error:
                # What is fetched may be broken in any way.
                failed[source] = _reason(error)
                logger.error(
                    "%s of %s: %s", source.speaker, url, failed[source]
                )
        if not any(source in failed for source in missing):
            shutil.rmtree(parts, ignore_errors=True)
    _remove_if_empty(folder / PARTS)
    left = [str(there[one]) for one in there if one not in once]
    if left:
        logger.warning(
            "%d recordings in %s are from rows that the table does not have "
            "(any more), and stay in the corpus: take away those that are not "
            "wanted, each with its .json: %s",
            len(left),
            folder,
            ", ".join(left[:10]) + (" ..." if len(left) > 10 else ""),
        )
    return failed


def write_people(sources: Iterable[Source], folder: str | Path) -> None:
    """Write ``speakers.csv``, which tells genders; one that is there stays.

    Arguments
    ---------
    sources : Iterable[Source]
    folder : str or Path
        Of the recordings.

    Raises
    ------
    ValueError
        If one person has two genders.
    """
    genders: dict[str, str] = {}
    for source in sources:
        known = genders.get(source.speaker, "")
        if source.gender and known not in ("", source.gender):
            raise ValueError(
                f"{source.speaker} is {known!r} in one line and "
                f"{source.gender!r} in another: leave one of them"
            )
        genders[source.speaker] = known or source.gender
    path = Path(folder) / "speakers.csv"
    if path.exists():
        told = {name for name, gender in genders.items() if gender}
        new = sorted(told - read_speakers(path).keys())
        if new:
            logger.warning(
                "%s is there and stays as it is; it does not name %s: add a "
                "line for each to tell their gender",
                path,
                ", ".join(new),
            )
    elif any(genders.values()):
        rows = [(name, "", gender) for name, gender in genders.items()]
        write_table(path, ("speaker", "name", "gender"), rows)


def fetched(folder: str | Path) -> dict[Source, Path]:
    """Look for the recordings that earlier runs have fetched.

    Arguments
    ---------
    folder : str or Path
        As ``download`` was given.

    Returns
    -------
    dict of Source : Path
        The recordings that are there, by where they are from, without genders.
    """
    found: dict[Source, Path] = {}
    for note in sorted(Path(folder).glob("*/*.json")):
        told = read_source_note(note)
        file = note.parent / Path(str(told.get("file"))).name
        if "url" in told and file.is_file():
            # macOS hands out names decomposed.
            speaker = nfc(note.parent.name)
            source = Source(
                speaker, told["url"], told.get("start"), told.get("stop")
            )
            found.setdefault(source, file)
    return found


def _fetch(url: str, parts: Path) -> tuple[Path, dict]:
    """The sound of an address, whole, and what is known of it."""
    from yt_dlp import YoutubeDL

    parts.mkdir(parents=True, exist_ok=True)
    options = {
        "format": "bestaudio/best",
        # What is half there is found again, if it is the same format.
        "outtmpl": {"default": str(parts / "sound.%(format_id)s.%(ext)s")},
        "noplaylist": True,
        # A list is refused below, without asking for all that is in it.
        "extract_flat": "in_playlist",
        "logger": logger,
        "noprogress": True,
        "retries": 10,
        "fragment_retries": 10,
        "socket_timeout": 30,
        # A file that was fetched and not kept yet is not fetched again.
        "overwrites": False,
    }
    with YoutubeDL(options) as loader:
        info = loader.extract_info(url, download=False)
        if info is None or info.get("is_live"):
            raise ValueError("it has no recording yet, or goes on: try later")
        if "entries" in info:
            raise ValueError(
                "it is a list of recordings, not one: name each of them in a "
                "line of its own"
            )
        info = loader.sanitize_info(loader.process_ie_result(info))
    return Path(info["requested_downloads"][0]["filepath"]), info


def _keep(source: Source, whole: Path, info: dict, folder: Path) -> None:
    """Put a recording, or a stretch of it, and its note into the corpus."""
    own = folder / source.speaker
    own.mkdir(parents=True, exist_ok=True)
    suffix = whole.suffix.lower()
    # An ending that training would pass over becomes one that it knows.
    as_it_is = source.whole and suffix in AUDIO_SUFFIXES
    suffix = suffix if as_it_is else ".mka"
    target = _free_name(source, str(info.get("id")), own, suffix)
    note = asdict(source) | {"file": target.name}
    for key, names in KEPT.items():
        note[key] = next((info[n] for n in names if info.get(n)), None)
    with whole_file(target) as partial:
        if as_it_is:
            shutil.copyfile(whole, partial)
        else:
            copy_stretch(whole, partial, source.start, source.stop)
        # Before the sound: a recording is never without its note.
        with whole_file(target.with_suffix(".json")) as partial_note:
            partial_note.write_text(
                json.dumps(note, indent=1, ensure_ascii=False) + "\n",
                encoding="utf-8",
            )


def _free_name(source: Source, name: str, folder: Path, suffix: str) -> Path:
    """Where it goes: its id on the site, unless another one has that name."""
    # A dot in front would hide it.
    stem = ascii_id(name).lstrip(".")[:100] or "recording"
    if not source.whole:
        stop = "end" if source.stop is None else f"{source.stop:.10g}"
        stem += f"_{source.start:.10g}-{stop}"
    for choice in (stem, f"{stem}_{_digest(source.url)}"):
        target = folder / f"{choice}{suffix}"
        note = read_source_note(folder / f"{choice}.json")
        ours = note.get("url") == source.url
        # One that is there, and was not found to be ours, is the user's.
        if not target.exists() and (
            ours or not any(folder.glob(f"{choice}.*"))
        ):
            return target
    raise ValueError(
        f"{folder / stem} and {folder / choice} are taken by other files: "
        "move them away"
    )


def _reason(error: Exception) -> str:
    """An error in one line, without yt-dlp's colours and prefix."""
    from yt_dlp.utils import remove_terminal_sequences

    text = remove_terminal_sequences(str(error)).removeprefix("ERROR: ")
    return " ".join(text.split()) or type(error).__name__


def _digest(url: str) -> str:
    return hashlib.blake2b(url.encode(), digest_size=4).hexdigest()


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        os.rmdir(folder)
