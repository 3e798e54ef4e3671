"""Reverberation of rooms that nobody has measured.

SpeechBrain's ``AddReverb`` needs recorded room impulse responses, which have
to be downloaded, and neither it nor torchaudio simulates any.
"""

from __future__ import annotations

import torch
from speechbrain.processing.signal_processing import convolve1d

from speechbrain_siamese.utils.ranges import check_range


def room_responses(
    decay: torch.Tensor,
    direct_ratio: torch.Tensor,
    samples: int,
    sample_rate: int,
) -> torch.Tensor:
    """Random impulse responses of rooms.

    A direct sound, then noise that dies away exponentially: Polack's model of
    a room (J.-D. Polack, "La transmission de l'énergie sonore dans les
    salles", Université du Maine, 1988).

    Arguments
    ---------
    decay : torch.Tensor
        Seconds until the echoes are 60 dB down (RT60), (batch,).
    direct_ratio : torch.Tensor
        Energy of the direct sound to that of the echoes, dB, (batch,).
    samples : int
        Length of the responses, at least 2.
    sample_rate : int
        Hz.

    Returns
    -------
    torch.Tensor
        (batch, samples), each of energy 1; the direct sound is sample 0.

    Example
    -------
    >>> rooms = room_responses(
    ...     torch.tensor([0.3]), torch.tensor([0.0]), 4800, 16000
    ... )
    >>> rooms.square().sum(), rooms[:, 0] ** 2
    (tensor(1.0000), tensor([0.5000]))
    """
    time = torch.arange(samples) / sample_rate
    echoes = torch.randn(len(decay), samples) * 10 ** (
        -3 * time / decay[:, None]
    )
    echoes[:, 0] = 0.0
    echoes *= 10 ** (-direct_ratio[:, None] / 20) / echoes.norm(
        dim=1, keepdim=True
    )
    echoes[:, 0] = 1.0
    return echoes / echoes.norm(dim=1, keepdim=True)


class SyntheticReverb(torch.nn.Module):
    """Put each clip into a room of its own.

    The end of a clip echoes at its start: a window is cut from the middle of
    speech, so that its start has echoes of something too, and the transform
    stays as short as the clip. The direct sound stays in its place.

    Arguments
    ---------
    sample_rate : int
        Rate of the waveforms in Hz.
    decay : tuple of float
        Shortest and longest time in which echoes fall by 60 dB, in seconds.
        A furnished room has about 0.3, a classroom 0.6.
    direct_ratio : tuple of float
        Least and greatest energy of the direct sound, in dB against the
        echoes: 0 across a room, above 10 for a phone near the mouth.

    Raises
    ------
    ValueError
        If a value is out of its range or the lesser is above the greater.

    Example
    -------
    >>> SyntheticReverb(16000)(torch.rand(2, 16000) - 0.5).shape
    torch.Size([2, 16000])
    """

    def __init__(
        self,
        sample_rate: int,
        decay: tuple[float, float] = (0.1, 0.6),
        direct_ratio: tuple[float, float] = (0.0, 12.0),
    ):
        super().__init__()
        for key, (low, high), least, greatest, unit in (
            ("decay", decay, 0.01, 5, "s"),
            ("direct_ratio", direct_ratio, -30, 60, "dB"),
        ):
            check_range(key, low, least, greatest, unit)
            check_range(key, high, low, greatest, unit)
        self.sample_rate = sample_rate
        self.decay = decay
        self.direct_ratio = direct_ratio

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Add echoes.

        Arguments
        ---------
        waveforms : torch.Tensor
            (batch, time)

        Returns
        -------
        torch.Tensor
            (batch, time), about as loud.
        """
        batch = len(waveforms)
        rooms = room_responses(
            torch.empty(batch).uniform_(*self.decay),
            torch.empty(batch).uniform_(*self.direct_ratio),
            round(self.decay[1] * self.sample_rate),
            self.sample_rate,
        ).to(waveforms.device)
        return convolve1d(
            waveforms.unsqueeze(-1), rooms.unsqueeze(-1), use_fft=True
        ).squeeze(-1)
