"""Labels of a file: whole and as a stream, with names and without."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_siamese.inference.enrolled import Person
from speechbrain_siamese.inference.identification import (
    Candidate,
    Identification,
)
from speechbrain_siamese.inference.label import (
    Names,
    Voice,
    embed_pieces,
    joined_segments,
    piece_ends,
)
from speechbrain_siamese.inference.label_files import (
    Segment,
    plot_timeline,
    rttm,
    write_labels,
)
from speechbrain_siamese.inference.long_files import SpeechFrames
from speechbrain_siamese.inference.speaker import SiameseRecognition
from speechbrain_siamese.inference.stream import SpeakerStream, join_segments
from speechbrain_siamese.processing.voices import rightly_labelled

TURN, PAUSE = 5.0, 1.0


@pytest.fixture(scope="module")
def model(trained):
    """The export of seconds of training, with limits that part its voices."""
    return SiameseRecognition.from_hparams(
        source=str(trained / "export"),
        overrides={
            "voice_threshold": 0.65,
            "online_threshold": 0.8,
            "calibration_slope": 30.0,
            "calibration_intercept": -25.0,
        },
    )


@pytest.fixture(scope="module")
def talk(tiny, tmp_path_factory):
    """Two voices in turns of 5 s with pauses of 1 s, from 2 s of silence on."""
    quiet = lambda seconds: np.zeros(round(tiny.RATE * seconds), np.float32)  # noqa: E731
    parts, size = [quiet(2.0)], round(tiny.RATE * TURN)
    takes = [tiny.voice(voice, 70, 3 * TURN) for voice in (0, 7)]
    for turn in range(6):
        first = turn // 2 * size
        parts += [takes[turn % 2][first : first + size], quiet(PAUSE)]
    path = tmp_path_factory.mktemp("talk") / "talk.flac"
    return tiny.write(path, np.concatenate(parts))


def right_share(segments):
    """Share of the labelled time that is rightly labelled, and the voices."""
    times = np.arange(2.0, 2.0 + 6 * (TURN + PAUSE), 0.05)
    said = [
        next((s.speaker for s in segments if s.start <= t < s.end), None)
        for t in times
    ]
    both = [
        (own, truth(time))
        for own, time in zip(said, times, strict=True)
        if own and truth(time) is not None
    ]
    names = sorted({own for own, _ in both})
    labels = np.array([names.index(own) for own, _ in both])
    shares = np.eye(2)[[true for _, true in both]]
    return rightly_labelled(labels, shares) / len(both), len(names)


def truth(time):
    turn, within = divmod(time - 2.0, TURN + PAUSE)
    return int(turn) % 2 if within < TURN else None


def test_turns_are_told_apart_and_silence_is_dropped(model, talk):
    found = model.label(talk)
    assert all(
        one.start < one.end <= other.start
        for one, other in itertools.pairwise(found)
    )
    assert found[0].start >= 1.8
    silent = sum(
        min(one.end, start + PAUSE) - max(one.start, start)
        for start in np.arange(2.0 + TURN, 38.0, TURN + PAUSE)
        for one in found
        if one.end > start and one.start < start + PAUSE
    )
    # A tenth of a second at both sides of each turn is kept.
    assert silent < 6 * 0.3
    assert sum(one.end - one.start for one in found) > 0.9 * 6 * TURN
    assert found[0].speaker == "speaker 1"
    share, voices = right_share(found)
    assert share > 0.8
    assert voices == 2


def test_enrolled_people_are_named(model, tiny, talk, tmp_path):
    gallery = model.gallery(tmp_path / "people.sqlite")
    voices = {}
    for name, voice in (("A", 0), ("speaker 1", 7)):
        path = tiny.write(tmp_path / f"{voice}.wav", tiny.voice(voice, 3, 15.0))
        gallery.enroll(name, path)
        voices[name] = model.voice_of_file(path).flatten().numpy()
    names = Names(gallery)
    for number, (name, embedding) in enumerate(voices.items()):
        found = names.of(number, embedding)
        assert (found.speaker, found.enrolled) == (name, True)
        assert 0.5 < found.probability <= 1
    # Like neither: its number is none that somebody enrolled is called.
    stranger = names.of(2, -voices["A"] - voices["speaker 1"])
    assert (stranger.speaker, stranger.enrolled) == ("speaker 2", False)
    for online in (False, True):
        for one in model.label(talk, gallery, online=online):
            assert one.enrolled == (one.speaker in voices)
            assert one.enrolled == (one.probability is not None)


def test_a_gallery_of_another_model_is_refused(model, trained, talk, tmp_path):
    other = SiameseRecognition.from_hparams(source=str(trained / "export"))
    other.mods.embedding_model.trunk.conv0.weight.data += 0.1
    gallery = other.gallery(tmp_path / "people.sqlite")
    for use in (model.label, lambda _, them: SpeakerStream(model, them)):
        with pytest.raises(ValueError, match="open for another model"):
            use(talk, gallery)


def test_a_stream_is_the_file_labelled_online(model, talk):
    whole = model.label(talk, online=True)
    sound = model.load_audio(talk).numpy()
    rng = np.random.default_rng(0)
    for most in (300, 30_000):
        stream, found, at = SpeakerStream(model), [], 0
        while at < len(sound):
            size = int(rng.integers(1, most))
            decided = stream.push(sound[at : at + size])
            at += size
            if decided:
                # Nothing is said later than promised, nor twice.
                assert found == [] or decided[0].start >= found[-1].end - 1e-6
                now = min(at, len(sound)) / 16000
                late = now - decided[0].start - stream.delay
                assert late <= size / 16000 + 1e-6
            found += decided
        found += stream.finish()
        assert join_segments(found) == whole
    assert stream.delay == 1.5  # windows of 0.64 s, context, a step


def test_what_was_said_is_labelled_within_the_delay(model, talk):
    sound = model.load_audio(talk).numpy()
    stream = SpeakerStream(model)
    found = []
    for second in range(2, 12):
        found += stream.push(sound[16000 * (second - 1) : 16000 * second])
        heard = sound[16000 : 16000 * second]
        if second - 1 - stream.delay > 1.5:
            loud = np.abs(heard[: -round(16000 * stream.delay)]) > 0.01
            last = 0 if not loud.any() else np.flatnonzero(loud)[-1] / 16000
            assert found[-1].end >= last - 0.1


def test_both_forms_of_an_export_label_alike(tiny, trained, talk):
    safe = SiameseRecognition.from_pretrained(trained / "export")
    stock = SiameseRecognition.from_hparams(source=str(trained / "export"))
    assert safe.label(talk) == stock.label(talk)
    config = json.loads((trained / "export" / "config.json").read_text())
    assert isinstance(config["voice_threshold"], float)
    assert isinstance(config["online_threshold"], float)
    report = json.loads((trained / "metrics.json").read_text())
    assert 0 <= report["turns"]["changes_f1"] <= 1
    assert 0 < report["turns"]["rightly_labelled"] <= 1
    # One of everybody, three of half the length of some.
    seconds = 2.5 * tiny.QUICK["change_seconds"]
    assert seconds <= report["turns"]["seconds"] < 1.5 * seconds
    assert "F1 of speaker changes" in (
        (trained / "export" / "README.md").read_text()
    )


def test_pieces_are_embedded_as_if_each_were_alone(small):
    wav = small.sound(16000 * 60)  # more windows than are encoded at once
    encoder, log_mel = small.encoder(40.0), small.features()
    read = lambda: np.split(wav, range(7000, len(wav), 7000))  # noqa: E731
    speech = SpeechFrames(read, log_mel, encoder, "cpu")
    ends = piece_ends(np.array([50, 200, 260]), int(speech.keep.sum()), 300)
    found, _ = embed_pieces(speech, ends, encoder)
    images = log_mel.log_power(torch.from_numpy(wav)[None])[0][speech.keep]
    start = 0
    for embedding, end in zip(found, ends, strict=True):
        with torch.no_grad():
            encoder = small.encoder(None)
            own = encoder.mean_embeddings(images[None, start:end])[0][0, 0]
        assert embedding == pytest.approx(own.numpy(), abs=1e-4)
        start = end


def test_frames_of_one_person_under_two_voices_are_one_segment():
    voices = [Voice("A", True, 0.9), Voice("speaker 1"), Voice("A", True, 0.7)]
    labels = np.array([0, 0, 2, 1, 1])
    found = joined_segments(np.arange(5), voices, labels, 0.01)
    assert [one.speaker for one in found] == ["A", "speaker 1"]
    assert found[0].end == pytest.approx(0.03)
    assert joined_segments(np.zeros(0, int), voices, labels[:0], 0.01) == []


def test_without_a_gallery_voices_have_numbers():
    names = Names(None)
    found = [names.of(number, np.ones(3)) for number in (2, 0, 2)]
    told = [one.speaker for one in found]
    assert told == ["speaker 1", "speaker 2", "speaker 1"]
    assert not any(one.enrolled for one in found)


def test_nobody_else_has_the_number_of_somebody_enrolled_meanwhile():
    class Gallery:
        """Whoever is enrolled is heard in ones, nobody in zeros."""

        def __init__(self):
            self.names = []

        def list(self):
            return [Person(name, 1, 5.0) for name in self.names]

        def identify_embedding(self, embedding, top):
            assert top == 1
            best = Candidate(self.names[0], 0.9, None, 0.9)
            known = embedding[0] == 1
            return Identification(best.name if known else None, [best], 0.1)

    gallery = Gallery()
    gallery.names = ["sita"]
    names = Names(gallery)
    stranger, other = np.zeros(3), np.ones(3)
    assert names.of(0, stranger).speaker == "speaker 1"
    gallery.names = ["speaker 1"]
    found = [names.of(1, other), names.of(0, stranger), names.of(2, stranger)]
    told = [(one.speaker, one.enrolled) for one in found]
    assert told == [
        ("speaker 1", True),
        ("speaker 2", False),
        ("speaker 3", False),
    ]
    one = Segment(0, 1, "speaker 1", True, 0.9)
    assert len(join_segments([one, Segment(1, 2, "speaker 1")])) == 2
    (both,) = join_segments([one, Segment(1, 2, "speaker 1", True, 0.6)])
    assert both == Segment(0, 2, "speaker 1", True, 0.9)


def test_bad_files_and_settings(model, talk, tiny, tmp_path, monkeypatch):
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    silent = tiny.write(tmp_path / "silent.wav", np.zeros(32000, np.float32))
    for online in (False, True):
        with pytest.raises(ValueError, match=r"text\.wav"):
            model.label(text, online=online)
        with pytest.raises(ValueError, match=r"silent\.wav.*is silent"):
            model.label(silent, online=online)
    short = tiny.write(tmp_path / "short.wav", tiny.voice(0, 1, 0.2))
    broken = tiny.voice(0, 1, 3.0)
    broken[4000:5000] = np.nan
    soundfile.write(tmp_path / "nan.wav", broken, 16000, subtype="FLOAT")
    for online in (False, True):
        with pytest.raises(ValueError, match=r"short\.wav.*too short"):
            model.label(short, online=online)
        with pytest.raises(ValueError, match="NaN"):
            model.label(tmp_path / "nan.wav", online=online)
    with pytest.raises(ValueError, match=r"recall is 0\.2"):
        model.label(talk, recall=0.2)
    with pytest.raises(ValueError, match="Leave one of"):
        model.label(talk, recall=0.9, online=True)
    with pytest.raises(ValueError, match="expected mono samples as floats"):
        SpeakerStream(model).push(np.zeros(100, dtype=np.int16))
    with pytest.raises(ValueError, match="NaN"):
        SpeakerStream(model).push(np.full(100, np.nan))
    monkeypatch.setattr(model.hparams, "voice_threshold", None)
    for make in (model.label, lambda _: SpeakerStream(model)):
        with pytest.raises(ValueError, match="has not learnt which pieces"):
            make(talk)


def test_a_finished_stream_takes_no_more(model, tiny):
    stream = SpeakerStream(model)
    stream.push(tiny.voice(0, 1, 3.0))
    assert stream.finish()
    assert stream.finish() == []
    with pytest.raises(ValueError, match="the stream is finished"):
        stream.push(np.zeros(100, np.float32))


def test_noise_after_a_voice_is_silence(model, tiny):
    rng = np.random.default_rng(0)
    noise = 1e-5 * rng.standard_normal(16000 * 90).astype(np.float32)
    voice = tiny.voice(0, 1, 3.0)
    stream = SpeakerStream(model)
    found = stream.push(np.concatenate([voice, noise, voice, noise[:32000]]))
    found = join_segments([*found, *stream.finish()])
    spoken = len(voice) / 16000
    assert sum(one.end - one.start for one in found) < 2 * spoken + 1.0
    assert found[-1].start > 90


def test_a_stream_of_silence_has_no_speaker(model):
    stream = SpeakerStream(model)
    assert stream.push(np.zeros(48000, np.float32)) == []
    assert stream.finish() == []
    assert SpeakerStream(model).finish() == []


@pytest.mark.parametrize("ending", [".rttm", ".txt", ".vtt", ".json", ".png"])
def test_every_format_appears_whole(ending, tmp_path):
    segments = [
        Segment(0.25, 1.5, "सीता देवी", True, 0.75),
        Segment(1.5, 9.0, "speaker 1 <$x_1>"),
    ]
    path = tmp_path / "new" / f"talk{ending}"
    write_labels(path, segments, "my talk")
    assert path.stat().st_size > 50
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    write_labels(path, [], "silence")  # nothing was said


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has to end in one of \.rttm"):
        write_labels(tmp_path / "talk.doc", [], "talk")
    assert not [*tmp_path.iterdir()]


def test_the_timeline_has_a_row_for_each_voice():
    segments = [Segment(0, 2, "A"), Segment(2, 3, "B"), Segment(3, 7, "A")]
    axes = plot_timeline(segments, "talk").axes[0]
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown == ["A (6 s)", "B (1 s)"]


def test_people_whose_names_differ_in_a_space_stay_two():
    segments = [
        Segment(0, 1, "Sita Devi"),
        Segment(1, 2, "Sita_Devi"),
        Segment(2, 3, "Sita Devi"),
    ]
    names = [line.split()[7] for line in rttm(segments, "t").splitlines()]
    assert names == ["Sita_Devi", "Sita_Devi_", "Sita_Devi"]
