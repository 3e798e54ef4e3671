"""The dataset card tells what is known and names what is not."""

from __future__ import annotations

import json

import numpy as np
from huggingface_hub import DatasetCard

from speechbrain_siamese.corpus_report.card import UNKNOWN, write_dataset_card
from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.corpus import clean_corpus
from speechbrain_siamese.dataio.recordings import find_recordings
from speechbrain_siamese.utils.whole_file import write_wav

RATE = 16000


def cleaned(folder, notes):
    """Recordings of two people, the first with notes of where they are from."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(("sita/1", "sita/2", "ram/1")):
        path = folder / "raw" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        sound = rng.integers(-9000, 9000, 3 * RATE).astype(np.int16)
        write_wav(path, [sound], RATE)
        if number < len(notes):
            path.with_suffix(".json").write_text(json.dumps(notes[number]))
    found, _ = clean_corpus(
        find_recordings(folder / "raw"), folder / "out", CleaningSettings()
    )
    return found


def test_what_is_known_is_told_and_the_rest_is_a_gap(tmp_path):
    notes = [
        {"licence": "CC BY", "site": "Youtube", "upload_date": "20240105"},
        {"licence": None, "site": "Youtube", "upload_date": "20230101"},
    ]
    path = tmp_path / "README.md"
    write_dataset_card(cleaned(tmp_path, notes), RATE, path)
    card = DatasetCard.load(path)
    assert card.data.task_categories == ["audio-classification"]
    assert card.data.license == "other"
    assert card.data.size_categories == ["n<1K"]
    text = path.read_text()
    assert "3 recordings of 2 speakers" in text
    assert "1 to 2 per speaker" in text
    assert "CC BY (1), not told (2)" in text
    assert "Youtube (2), not told (1)" in text
    assert "uploaded from 20230101 to 20240105" in text
    assert f"| language | {UNKNOWN} |" in text


def test_a_card_that_somebody_has_filled_in_stays(tmp_path):
    path = tmp_path / "README.md"
    found = cleaned(tmp_path, [])
    write_dataset_card(found, RATE, path)
    assert DatasetCard.load(path).data.license == "unknown"
    assert path.read_text().count(UNKNOWN) == 5
    # As long as nobody has touched it, it is written anew.
    write_dataset_card(found[:2], RATE, path)
    assert "2 recordings of" in path.read_text()
    # One gap that is filled is somebody's work.
    mine = path.read_text().replace(UNKNOWN, "Nepali, asked by letter.", 1)
    path.write_text(mine)
    write_dataset_card(found, RATE, path)
    assert path.read_text() == mine
