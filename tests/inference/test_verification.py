"""Scores of pairs, by the measure that an export has learnt."""

from __future__ import annotations

import pytest
import torch

from speechbrain_siamese.inference.speaker import SiameseRecognition


@pytest.fixture(scope="module")
def model(trained):
    return SiameseRecognition.from_pretrained(trained / "export")


@pytest.fixture(scope="module")
def waves(tiny):
    return torch.stack(
        [torch.from_numpy(tiny.voice(voice, 9, 4.0)) for voice in (0, 2, 7)]
    )


@pytest.mark.parametrize("measure", ["cosine", "euclidean"])
def test_pairs_are_scored_by_the_measure(model, waves, monkeypatch, measure):
    monkeypatch.setattr(model.hparams, "measure", measure, raising=False)
    embeddings = model.encode_batch(waves)[:, 0]
    first = embeddings[0]
    for one, many in ((waves[:1], waves), (waves, waves[:1])):
        scores, same = model.verify_batch(one, many, threshold=-0.5)
        assert scores.shape == same.shape == (3, 1)
        for score, other in zip(scores, embeddings, strict=True):
            expected = (
                float(first @ other)
                if measure == "cosine"
                else -float((first - other).norm())
            )
            assert float(score) == pytest.approx(expected, abs=1e-5)
        assert torch.equal(same, scores > -0.5)


@pytest.mark.parametrize("measure", ["cosine", "euclidean"])
def test_verifying_and_comparing_decide_alike(
    model, tiny, tmp_path, monkeypatch, measure
):
    monkeypatch.setattr(model.hparams, "measure", measure, raising=False)
    files = [
        tiny.write(tmp_path / f"{voice}.wav", tiny.voice(voice, 9, 4.0))
        for voice in (0, 2, 7)
    ]
    for other in files:
        # To the last bit: a threshold may be the score of a pair.
        score, same = model.verify_files(files[0], other)
        found = model.compare_files(files[0], other)
        assert (found.score, found.same) == (score.item(), same.item())


def test_many_pairs_are_compared_as_each_alone(model, tiny, tmp_path):
    files = [
        tiny.write(tmp_path / f"{voice}.wav", tiny.voice(voice, 9, 4.0))
        for voice in (0, 2, 7)
    ]
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound")
    pairs = [(files[0], files[1]), (bad, files[2]), (str(files[2]), files[0])]
    found, unusable = model.compare_pairs(pairs, prior=0.1)
    assert unusable.keys() == {str(bad)}
    assert found[1] is None
    for pair, own in ((pairs[0], found[0]), (pairs[2], found[2])):
        alone = model.compare_files(*pair, prior=0.1)
        assert own.score == pytest.approx(alone.score, abs=1e-4)
        assert own.llr == pytest.approx(alone.llr, abs=1e-2)
        assert own.probability == pytest.approx(alone.probability, abs=1e-2)
    with pytest.raises(ValueError, match="no file is given"):
        model.compare_pairs([])
    with pytest.raises(ValueError, match="none of 1 files"):
        model.compare_pairs([(bad, bad)])
