"""The dataset card: what is known of a corpus, and what is not."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import DatasetCardData

from speechbrain_siamese.corpus_report.page import clock
from speechbrain_siamese.dataio.clean_recording import CleanRecording
from speechbrain_siamese.dataio.sources import read_source_note
from speechbrain_siamese.utils.whole_file import whole_file

UNKNOWN = "**Not known: fill this in.**"

_CARD = """\
---
{metadata}
---

# Speakers in their own recordings

{recordings} recordings of {speakers} speakers, {raw} long; {kept} of speech are
left after cleaning. Made for telling voices apart: who speaks, and whether two
recordings are of one person.

## What it holds

| | |
| --- | --- |
| language | {language} |
| speakers | {speakers} |
| genders | {genders} |
| recordings | {recordings}, {per_speaker} per speaker |
| speech after cleaning | {kept} |
| formats | {formats} |

One folder per speaker. Cleaned audio is mono at {rate} Hz; `train.csv`,
`valid.csv` and `test.csv` name it in SpeechBrain's way, `report.html` shows
each recording.

## Where it is from

{sources}

## Licence

{licence}

## Consent

Voices are personal data. Whether those who speak know of this collection, and
agree to how it is used: {unknown}

## What it must not be used for

To identify or imitate people against their will, to decide about anybody, or
to prove who spoke.

## Limits

How recordings were chosen, and who is missing among the speakers: {unknown}
"""

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
)


def write_dataset_card(
    cleaned: Sequence[CleanRecording], sample_rate: int, path: str | Path
) -> None:
    """Write the card in the hub's metadata form; what is there is replaced.

    What `download.py` has kept beside the recordings is told; what nobody has
    told is named as a gap. A card that somebody has changed stays as it is.

    Arguments
    ---------
    cleaned : Sequence[CleanRecording]
    sample_rate : int
        Hz of the cleaned audio.
    path : str or Path
    """
    path = Path(path)
    if path.is_file() and not _untouched(path.read_bytes()):
        return
    notes = [
        {
            key: str(value)
            for key, value in read_source_note(
                item.recording.path.with_suffix(".json")
            ).items()
            if value is not None
        }
        for item in cleaned
    ]
    licences = Counter(note["licence"] for note in notes if note.get("licence"))
    untold = len(cleaned) - licences.total()
    speakers = Counter(item.recording.speaker for item in cleaned)
    gender_of = {
        item.recording.speaker: item.recording.gender for item in cleaned
    }
    genders = Counter(gender or "not told" for gender in gender_of.values())
    formats = Counter(item.audio_format for item in cleaned)
    count = sum(len(item.kept) for item in cleaned)
    size = next((name for most, name in _SIZES if count < most), "n>1M")
    metadata = DatasetCardData(
        pretty_name="Speakers in their own recordings",
        task_categories=["audio-classification"],
        tags=["speaker-verification", "speechbrain"],
        size_categories=[size],
        # The hub knows these words; nothing that is not known is claimed.
        license="other" if licences else "unknown",
    )
    text = _CARD.format(
        metadata=metadata.to_yaml(),
        recordings=len(cleaned),
        speakers=len(speakers),
        per_speaker=_span(list(speakers.values())),
        raw=clock(sum(item.raw_duration for item in cleaned)),
        kept=clock(sum(item.duration for item in cleaned)),
        language=UNKNOWN,
        genders=_counted(genders),
        formats=_counted(formats),
        rate=sample_rate,
        sources=_sources(notes),
        licence=_counted(licences, untold) if licences else UNKNOWN,
        unknown=UNKNOWN,
    )
    content = text.encode("utf-8", errors="backslashreplace")
    with whole_file(path) as partial:
        partial.write_bytes(content + _mark(content))


def _mark(content: bytes) -> bytes:
    """A last line by which a card is known that nobody has changed."""
    digest = hashlib.blake2b(content, digest_size=8).hexdigest()
    return f"\n<!-- as it was written: {digest} -->\n".encode()


def _untouched(card: bytes) -> bool:
    """Whether a card is as it was written."""
    content = card[: card.rstrip().rfind(b"\n")]
    return card == content + _mark(content)


def _sources(notes) -> str:
    sites = Counter(note["site"] for note in notes if note.get("site"))
    if not sites:
        return UNKNOWN
    channels = {note["channel"] for note in notes if note.get("channel")}
    dates = sorted(
        note["upload_date"] for note in notes if note.get("upload_date")
    )
    lines = [f"- fetched from: {_counted(sites, len(notes) - sites.total())}"]
    if channels:
        lines.append(f"- channels: {len(channels)}")
    if dates:
        lines.append(f"- uploaded from {dates[0]} to {dates[-1]}")
    return "\n".join(lines)


def _counted(found: Counter, untold: int = 0) -> str:
    told = [f"{name} ({count})" for name, count in found.most_common(8)]
    if untold:
        told.append(f"not told ({untold})")
    return ", ".join(told)


def _span(counts: list[int]) -> str:
    low, high = min(counts, default=0), max(counts, default=0)
    return f"{low}" if low == high else f"{low} to {high}"
