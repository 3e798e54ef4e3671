"""Noise to add to clips: voices of the batch, or the user's recordings.

Both are given to SpeechBrain's ``AddNoise`` as its ``noise_funct``, which
scales and adds. Its own ``csv_file`` reads a shuffled list to the end, so that
what a step draws would depend on where the last run stopped, and loads whole
files to the length of the longest.
"""

from __future__ import annotations

from pathlib import Path

import torch

from speechbrain_siamese.dataio.datasets import read_samples
from speechbrain_siamese.dataio.manifests import read_rows


def babble_like(
    waveforms: torch.Tensor, talkers: tuple[int, int] = (3, 6)
) -> torch.Tensor:
    """Many voices at once: for each clip a mixture of others of the batch.

    Another clip of the same speaker may be among them.

    Arguments
    ---------
    waveforms : torch.Tensor
        (batch, time)
    talkers : tuple of int
        Least and greatest number of voices in a mixture, each equally loud;
        all others where the batch has fewer.

    Returns
    -------
    torch.Tensor
        (batch, time); zeros for a clip that is alone.

    Example
    -------
    >>> babble_like(torch.eye(3), talkers=(2, 2))
    tensor([[0.0000, 1.7321, 1.7321],
            [1.7321, 0.0000, 1.7321],
            [1.7321, 1.7321, 0.0000]])
    """
    batch = len(waveforms)
    low, high = talkers
    counts = torch.randint(low, high + 1, (batch, 1)).clamp(max=batch - 1)
    # Each clip ranks the others at random, itself last.
    ranks = torch.rand(batch, batch).fill_diagonal_(2.0).argsort().argsort()
    mixed = (ranks < counts).to(waveforms)
    loudness = waveforms.square().mean(dim=1, keepdim=True).sqrt()
    return mixed @ (waveforms / loudness.clamp(min=1e-8))


class BackgroundNoise:
    """Recorded noise for each clip; without recordings, babble.

    Each clip gets a random stretch of a random file, longer files more often;
    noise that is shorter than the clip is repeated.

    Arguments
    ---------
    noise_folder : str or None
        What the user has; None for babble.
    manifest : str
        The CSV file that ``prepare_noise`` made of it; read at first use.
    sample_rate : int
        Rate of the prepared noise in Hz.

    Example
    -------
    >>> noise = BackgroundNoise(None, "noise.csv", 16000)
    >>> noise(torch.rand(4, 8000)).shape
    torch.Size([4, 8000])
    """

    def __init__(
        self, noise_folder: str | None, manifest: str, sample_rate: int
    ):
        self.noise_folder = noise_folder
        self.manifest = Path(manifest)
        self.sample_rate = sample_rate
        self._files: list[tuple[str, int]] = []

    def __call__(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Draw noise.

        Arguments
        ---------
        waveforms : torch.Tensor
            The clips, (batch, time).

        Returns
        -------
        torch.Tensor
            (batch, time), as loud as it was recorded.
        """
        if self.noise_folder is None:
            return babble_like(waveforms)
        if not self._files:
            self._files = self._read_manifest()
        counts = torch.tensor([count for _, count in self._files])
        batch, time = waveforms.shape
        drawn = torch.multinomial(counts.double(), batch, replacement=True)
        places = torch.rand(batch) * (counts[drawn] - time + 1).clamp(min=1)
        return torch.stack(
            [
                self._stretch(self._files[file][0], int(start), time)
                for file, start in zip(drawn, places, strict=True)
            ]
        ).to(waveforms)

    def _read_manifest(self) -> list[tuple[str, int]]:
        """Path and samples of each file."""
        root = str(self.manifest.parent)
        return [
            (
                row["wav"].replace("$data_root", root),
                round(float(row["duration"]) * self.sample_rate),
            )
            for row in read_rows(self.manifest)
        ]

    @staticmethod
    def _stretch(path: str, start: int, time: int) -> torch.Tensor:
        noise = read_samples(path, start, start + time)
        return noise.repeat(-(-time // len(noise)))[:time]
