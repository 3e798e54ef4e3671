"""What the report says of recordings that have something wrong with them."""

from __future__ import annotations

import base64
import csv
import html
import io
import re

import numpy as np
import pytest
import soundfile

from speechbrain_siamese.corpus_report.doubts import doubts_about
from speechbrain_siamese.corpus_report.page import clock, write_report
from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.corpus import clean_corpus
from speechbrain_siamese.dataio.recordings import (
    find_corpus,
    find_recordings,
)
from speechbrain_siamese.inference.audit import Suspect, write_suspects
from speechbrain_siamese.utils.whole_file import write_wav

RATE = 16000
SETTINGS = CleaningSettings(trim_start=1.0, trim_end=1.0)


def talk(seconds, level=0.3, hush=1e-4, share=0.6, seed=0):
    """Noise that comes and goes once a second."""
    steps = np.arange(round(seconds * RATE))
    loud = (steps % RATE) < share * RATE
    noise = np.random.default_rng(seed).uniform(-1, 1, len(steps))
    return noise * np.where(loud, level, hush)


@pytest.fixture
def corpus(tmp_path):
    """Folder of recordings of which all but the first have a fault."""
    sounds = {
        "good/1.wav": (talk(60), RATE),
        "good/2.wav": (talk(60, seed=1), RATE),
        "loud/1.wav": (talk(70, level=3.0, seed=2).clip(-1, 1), RATE),
        "noisy/1.wav": (talk(70, level=0.3, hush=0.15, seed=3), RATE),
        "quiet/1.wav": (talk(70, level=0.003, hush=1e-6, seed=4), RATE),
        "hush/1.wav": (
            np.concatenate([talk(12, seed=5), talk(58, level=1e-4)]),
            RATE,
        ),
        "full/1.wav": (talk(70, share=1.0, seed=6), RATE),
        "phone/1.wav": (talk(70, seed=7)[::2], RATE // 2),
        "short/1.wav": (talk(14, seed=8), RATE),
        "copy/other <name>.wav": (talk(60), RATE),
        "silent/1.wav": (np.zeros(20 * RATE), RATE),
    }
    for name, (sound, rate) in sounds.items():
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = (32767 * sound.clip(-1, 1)).astype(np.int16)
        write_wav(path, [whole], rate)
    return tmp_path


def report_of(folder):
    """Write the report; gives the doubts by what they are about."""
    cleaned, rejected = clean_corpus(
        find_recordings(folder / "raw"), folder / "out" / "clean", SETTINGS
    )
    doubts = write_report(cleaned, rejected, RATE, folder / "out")
    assert doubts == doubts_about(cleaned, rejected, RATE)
    return doubts


def test_every_fault_is_told_with_what_to_do(corpus):
    doubts = report_of(corpus)
    told = {(doubt.about.split("-")[0], doubt.what) for doubt in doubts}
    for about, what in (
        ("copy", r"is the same file as good-1, under another name"),
        ("loud", r"% of its samples are at full scale"),
        ("noisy", r"its voice is only \d dB above its noise"),
        ("quiet", r"as quiet as -5\d dBFS"),
        ("hush", r"\d+ % between the cuts is left"),
        ("full", r"it has no pause"),
        ("phone", r"no more than 8 kHz"),
        ("short", r"has \d+ s of speech"),
        ("short", r"has one recording only"),
        ("silent", r"is not used: silent"),
    ):
        assert any(
            one == about and re.search(what, text) for one, text in told
        ), (about, what, told)
    assert not [text for one, text in told if one == "good"]
    assert all(doubt.todo for doubt in doubts)
    order = [doubt.urgency for doubt in doubts]
    assert order == sorted(order, key=["wrong", "check", "to know"].index)


def test_the_table_adds_up(corpus):
    report_of(corpus)
    with open(corpus / "out" / "report.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 11
    for row in rows:
        if row["speaker"] == "silent":
            whole = [
                float(row[f"{key}_seconds"]) for key in ("raw", "unusable")
            ]
            assert whole == [20.0, 20.0]
            assert float(row["kept_seconds"]) == 0
            continue
        kinds = [key for key in row if key.startswith("cut_")]
        cut = sum(float(row[key]) for key in kinds)
        cut += float(row["recurring_seconds"]) + float(row["excluded_seconds"])
        raw, kept = float(row["raw_seconds"]), float(row["kept_seconds"])
        assert kept + cut == pytest.approx(raw, rel=0.002)
        assert float(row["cut_at_ends_seconds"]) == pytest.approx(2.0)
    (phone,) = [row for row in rows if row["speaker"] == "phone"]
    assert phone["format"] == "pcm_s16le, 8 kHz"


def test_the_first_line_counts_the_same_recordings_throughout(corpus):
    report_of(corpus)
    page = (corpus / "out" / "report.html").read_text(encoding="utf-8")
    (lead,) = re.findall(r'<p class="lead">(.*?)</p>', page)
    with open(corpus / "out" / "report.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    raw, kept = (
        clock(sum(float(row[f"{key}_seconds"]) for row in rows))
        for key in ("raw", "kept")
    )
    speakers = len({row["speaker"] for row in rows})
    assert lead == (
        f"{speakers} speakers, {len(rows)} recordings of {raw}; {kept} of "
        "it is kept. 1 of the recordings cannot be used."
    )


def test_each_speaker_is_told_where_the_time_went(corpus):
    (corpus / "raw" / "exclude.csv").write_text(
        "recording,start,stop\ngood/2.wav,0:10,0:40\n"
    )
    report_of(corpus)
    page = (corpus / "out" / "report.html").read_text(encoding="utf-8")
    table = page[page.index('id="people"') : page.index('id="lengths"')]
    heads = re.findall(r'<th scope="col"[^>]*>([^<]+)', table)
    # Nobody has told a gender.
    assert heads[2:-1] == [
        *("raw", "kept", "ends cut", "silence", "excluded", "not usable")
    ]
    cells = {
        re.search(r"<bdi>(.*?)</bdi>", row)[1]: re.findall(r"<td>(.*?)<", row)
        for row in table.split("<tr>")[2:]
    }
    raw, kept, ends, silence, excluded, unusable = cells["good"][1:7]
    assert (raw, ends, excluded, unusable) == ("2:00", "0:04", "0:30", "0:00")
    parts = [60 * int(t[0]) + int(t[-2:]) for t in (kept, silence)]
    assert sum(parts) == pytest.approx(120 - 4 - 30, abs=1)
    assert cells["silent"][1:] == [
        *("0:20", "0:00", "0:00", "0:00", "0:00", "0:20")
    ]


def test_clips_are_in_the_report_and_little_of_them_is_no_doubt(corpus):
    path = corpus / "clips" / "brief" / "1.wav"
    path.parent.mkdir(parents=True)
    sound = talk(4, level=3.0, seed=9).clip(-1, 1)
    write_wav(path, [(32767 * sound).astype(np.int16)], RATE)
    cleaned, rejected = clean_corpus(
        find_recordings(corpus / "raw"), corpus / "out" / "clean", SETTINGS
    )
    clips, _ = clean_corpus(
        find_recordings(corpus / "clips"),
        corpus / "out" / "clean_clips",
        CleaningSettings(),
    )
    doubts = write_report(cleaned, rejected, RATE, corpus / "out", clips)
    told = [doubt.what for doubt in doubts if doubt.about.startswith("brief")]
    assert len(told) == 1
    assert "at full scale" in told[0]
    with open(corpus / "out" / "report.csv", newline="") as file:
        rows = {row["recording"]: row for row in csv.DictReader(file)}
    # Nothing is cut at the ends of a clip.
    assert float(rows["brief/1.wav"]["cut_at_ends_seconds"]) == 0
    assert float(rows["brief/1.wav"]["raw_seconds"]) == 4


def test_clips_of_somebody_count_as_what_there_is_of_them(corpus):
    path = corpus / "clips" / "short" / "2.wav"
    path.parent.mkdir(parents=True)
    write_wav(path, [(32767 * talk(120)).astype(np.int16)], RATE)
    recordings, of_clips = find_corpus(corpus / "raw", corpus / "clips")
    cleaned, _ = clean_corpus(recordings, corpus / "out" / "clean", SETTINGS)
    clips, _ = clean_corpus(
        of_clips, corpus / "out" / "clean_clips", CleaningSettings()
    )

    def told(*clips):
        doubts = doubts_about(cleaned, [], RATE, clips)
        return [one.what for one in doubts if one.about == "short"]

    assert len(told()) == 2
    assert told(*clips) == []


def test_what_clips_in_one_channel_is_clipped(tmp_path):
    sound = talk(20, seed=3)
    loud = talk(20, level=3.0, seed=3).clip(-1, 1)
    # What is cut does not count.
    loud[:RATE] = 1.0
    (tmp_path / "raw" / "a").mkdir(parents=True)
    soundfile.write(
        tmp_path / "raw" / "a" / "1.wav", np.stack([sound, loud]).T, RATE
    )
    (one,), _ = clean_corpus(
        find_recordings(tmp_path / "raw"), tmp_path / "clean", SETTINGS
    )
    share = (np.abs(loud[RATE:]) >= 0.99).mean()
    assert share > 0.3
    assert one.quality.clipped == pytest.approx(share, abs=0.02)


def test_the_page_needs_nothing_else_and_plays(corpus):
    report_of(corpus)
    page = (corpus / "out" / "report.html").read_text(encoding="utf-8")
    assert "http:" not in page.replace("http://www.w3.org", "")
    assert "https:" not in page
    assert "other <name>" not in page
    assert html.escape("other <name>") in page
    players = re.findall(r'src="data:audio/mpeg;base64,([^"]+)"', page)
    assert len(players) == 10
    sound, rate = soundfile.read(io.BytesIO(base64.b64decode(players[0])))
    assert rate == RATE
    assert np.abs(sound).max() > 0.01
    # What is urgent stands before the tables.
    assert page.index("is not used") < page.index('id="people"')


def test_what_does_not_fit_into_the_page_is_played_from_its_file(
    corpus, monkeypatch
):
    monkeypatch.setattr("speechbrain_siamese.corpus_report.page.CARRIED", 60.0)
    report_of(corpus)
    page = (corpus / "out" / "report.html").read_text(encoding="utf-8")
    carried = re.findall(r'src="data:audio', page)
    linked = re.findall(r'src="(clean/[^"]+)"', page)
    assert len(carried) + len(linked) == 10
    assert len(carried) >= 1
    assert all((corpus / "out" / name).is_file() for name in linked)


def test_what_the_user_excludes_is_cut_and_told(corpus):
    (corpus / "raw" / "exclude.csv").write_text(
        "recording,start,stop,why\n"
        "good/2.wav,0:10,0:40,an interviewer\n"
        "copy/other <name>.wav,,,is good/1\n"
        "nobody/1.wav,,,\n"
    )
    doubts = report_of(corpus)
    told = {doubt.about: doubt for doubt in doubts}
    copy = next(one for about, one in told.items() if about.startswith("copy"))
    assert copy.urgency == "to know"
    assert "excluded" in copy.what
    assert not [doubt for doubt in doubts if "same file" in doubt.what]
    with open(corpus / "out" / "report.csv", newline="") as file:
        rows = {row["recording"]: row for row in csv.DictReader(file)}
    assert float(rows["good/2.wav"]["excluded_seconds"]) == 30.0
    kept = [float(rows[f"good/{n}.wav"]["kept_seconds"]) for n in (1, 2)]
    assert kept[1] == pytest.approx(kept[0] * 28 / 58, rel=0.05)


def test_a_copy_is_told_though_part_of_it_is_excluded(corpus):
    (corpus / "raw" / "exclude.csv").write_text(
        "recording,start,stop\ncopy/other <name>.wav,0:10,0:40\n"
    )
    told = [one for one in report_of(corpus) if "same file" in one.what]
    assert len(told) == 1
    assert "under another name" in told[0].what


def test_quiet_recordings_of_one_length_are_no_copies(corpus):
    for name, seed in (("faint", 10), ("fainter", 11)):
        path = corpus / "raw" / name / "1.wav"
        path.parent.mkdir()
        sound = talk(60, level=0.002, hush=1e-6, seed=seed)
        write_wav(path, [(32767 * sound).astype(np.int16)], RATE)
    told = [one.what for one in report_of(corpus) if "same file" in one.what]
    assert not [what for what in told if "faint" in what]
    assert len(told) == 1


def test_a_corpus_of_which_nothing_is_left_has_a_page_too(tmp_path):
    assert write_report([], [], RATE, tmp_path) == []
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "0 speakers" in page


def test_seconds_add_up_whatever_overlaps(corpus):
    (corpus / "raw" / "exclude.csv").write_text(
        "recording,start,stop\n"
        "good/1.wav,10,40\ngood/1.wav,30,50\n"  # 20 s of it twice
        "good/2.wav,20,\n"  # to its end
    )
    doubts = report_of(corpus)
    with open(corpus / "out" / "report.csv", newline="") as file:
        rows = {row["recording"]: row for row in csv.DictReader(file)}
    for name, excluded in (("good/1.wav", 40.0), ("good/2.wav", 39.0)):
        row = rows[name]
        assert float(row["excluded_seconds"]) == pytest.approx(excluded)
        parts = [
            float(row[key])
            for key in row
            if key.endswith("_seconds") and key != "raw_seconds"
        ]
        assert sum(parts) == pytest.approx(60.0, abs=0.01)
        assert min(parts) >= 0
    # What the user has cut is neither a pause nor the want of one.
    told = [doubt.what for doubt in doubts if doubt.about.startswith("good-")]
    assert not [text for text in told if "pause" in text or "silent" in text]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\na/1.wav\n", "first line with 'recording'"),
        ("recording,start\na/1.wav,soon\n", "line 2: 'soon' is no time"),
        (
            "recording,start,stop\na/1.wav,5,5\n",
            "line 2: stop is 5 s and start",
        ),
        ("recording,start\n,5\n", "line 2: no recording"),
    ],
)
def test_a_table_of_exclusions_with_mistakes_is_refused(
    text, message, tmp_path
):
    path = tmp_path / "a" / "1.wav"
    path.parent.mkdir()
    write_wav(path, [np.zeros(100, np.int16)], RATE)
    (tmp_path / "exclude.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        find_recordings(tmp_path)


def test_a_table_of_suspects_is_a_table_of_exclusions(tmp_path):
    path = tmp_path / "a" / "1.wav"
    path.parent.mkdir()
    write_wav(path, [np.zeros(100, np.int16)], RATE)
    write_suspects(
        [
            Suspect(0.5, "two names", "a", "b"),
            Suspect(0.2, "stretch", "a", "b", "a/1.wav", 1.0, 2.5),
        ],
        tmp_path / "exclude.csv",
    )
    (found,) = find_recordings(tmp_path)
    assert [(cut.start, cut.stop) for cut in found.cut] == [(1.0, 2.5)]


def test_times_are_told_as_people_read_them():
    assert [clock(s) for s in (0, 59.6, 3599.7)] == ["0:00", "1:00", "1:00:00"]
