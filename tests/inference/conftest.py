"""A gallery of a real export, and clips of voice-like sound."""

from __future__ import annotations

import pytest

from speechbrain_siamese.inference.speaker import SiameseRecognition


@pytest.fixture(scope="module")
def model(trained):
    return SiameseRecognition.from_hparams(source=str(trained / "export"))


@pytest.fixture(scope="module")
def clips(tiny, tmp_path_factory):
    """Two files each of four voices: ``clips[voice][number]``."""
    folder = tmp_path_factory.mktemp("clips")
    return [
        [
            tiny.write(folder / f"{n}-{r}.wav", tiny.voice(n, 50 + r, 8.0))
            for r in range(2)
        ]
        for n in (0, 2, 5, 7)
    ]


@pytest.fixture
def gallery(model, tmp_path):
    return model.gallery(tmp_path / "people.sqlite")
