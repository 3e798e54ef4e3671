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
