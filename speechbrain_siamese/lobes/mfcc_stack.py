"""The 2019 design's features as an image, and their way into the trunk.

40 MFCC, zero-crossing rate, level and spectral roll-off of each frame with
librosa's values, but computed in torch on whole batches, with the promises of
``lobes.features``: no ceiling over the file, and the end of a recording found
in its samples.
"""

from __future__ import annotations

import numpy as np
import torch
import torchaudio
from scipy.fft import dct
from speechbrain.utils.autocast import fwd_default_precision
from torch.nn import functional as F

from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.features import (
    PADDING,
    sample_counts,
    subtract_mean,
)
from speechbrain_siamese.utils.ranges import check_range

#: Values of a frame that are no MFCC: crossings, level, roll-off.
OTHERS = 3

#: librosa's defaults: mel bands below the cepstrum, the power that counts as
#: nothing, the amplitude that counts as zero, the share below the roll-off.
_MEL_BANDS = 128
_POWER_FLOOR = 1e-10
_ZERO = 1e-10
_ROLL_OFF = 0.85


def mel_filters(sample_rate: int, n_fft: int, bands: int) -> torch.Tensor:
    """Triangular mel filters on Slaney's scale, each of area 1.

    Arguments
    ---------
    sample_rate : int
        Hz.
    n_fft : int
        Samples of a frame.
    bands : int

    Returns
    -------
    torch.Tensor
        (n_fft // 2 + 1, bands)
    """
    # torchaudio places the bins up to sample_rate // 2, which is wrong by half
    # a hertz at 11,025 Hz. Of twice the rate the lower half is exact.
    return torchaudio.functional.melscale_fbanks(
        n_freqs=n_fft + 1,
        f_min=0.0,
        f_max=sample_rate / 2,
        n_mels=bands,
        sample_rate=2 * sample_rate,
        norm="slaney",
        mel_scale="slaney",
    )[: n_fft // 2 + 1]


def crossing_rate(
    wavs: torch.Tensor, counts: torch.Tensor, frame: int, hop: int
) -> torch.Tensor:
    """Changes of sign per sample, frame by frame.

    As in librosa the signal goes on at both ends with its first and its last
    sample, and what is next to zero counts as positive.

    Arguments
    ---------
    wavs : torch.Tensor
        (batch, time)
    counts : torch.Tensor
        Samples of each before its padding, (batch,), int64.
    frame, hop : int
        Samples of a frame and between frames.

    Returns
    -------
    torch.Tensor
        (batch, at least one frame for each begun hop)

    Example
    -------
    >>> wavs = torch.tensor([[1.0, -1.0, 1.0, -1.0, 0.0, 0.0]])
    >>> crossing_rate(wavs, torch.tensor([4]), frame=4, hop=2)
    tensor([[0.2500, 0.7500, 0.2500, 0.0000]])
    """
    positions = torch.arange(wavs.shape[-1], device=wavs.device)
    last = wavs.gather(1, counts[:, None] - 1)
    # A sign does not change in padding, whatever the last sample was.
    wavs = torch.where(positions >= counts[:, None], last, wavs)
    negative = wavs < -_ZERO
    changes = (negative[:, 1:] != negative[:, :-1]).to(wavs.dtype)
    # Between the samples of a frame there is one place less than samples.
    return _frame_means(changes, frame // 2, frame - 1, hop) * (
        (frame - 1) / frame
    )


def frame_level(wavs: torch.Tensor, frame: int, hop: int) -> torch.Tensor:
    """Root mean square of each frame, with zeros beyond both ends.

    Arguments
    ---------
    wavs : torch.Tensor
        (batch, time)
    frame, hop : int
        Samples of a frame and between frames.

    Returns
    -------
    torch.Tensor
        (batch, at least one frame for each begun hop)

    Example
    -------
    >>> frame_level(torch.tensor([[3.0, 3.0, 3.0, 3.0]]), frame=2, hop=2)
    tensor([[2.1213, 3.0000, 2.1213]])
    """
    return _frame_means(wavs.square(), frame // 2, frame, hop).sqrt()


def roll_off(magnitudes: torch.Tensor) -> torch.Tensor:
    """Bin below which 85 % of a frame's spectrum lie.

    Arguments
    ---------
    magnitudes : torch.Tensor
        Of the spectrum, (..., bins).

    Returns
    -------
    torch.Tensor
        Number of the bin, (...), int64; 0 for a silent frame.

    Example
    -------
    >>> roll_off(torch.tensor([[1.0, 1.0, 1.0, 0.1], [0.0, 0.0, 0.0, 0.0]]))
    tensor([2, 0])
    """
    sums = magnitudes.cumsum(dim=-1)
    return (sums < _ROLL_OFF * sums[..., -1:]).sum(dim=-1)


def _frame_means(
    values: torch.Tensor, pad: int, frame: int, hop: int
) -> torch.Tensor:
    """Mean of each frame, without holding overlapping frames in memory."""
    padded = F.pad(values, (pad, pad))
    return F.avg_pool1d(padded[:, None], frame, stride=hop)[:, 0]


class MfccStack(torch.nn.Module):
    """MFCC, zero-crossing rate, level and roll-off, as an image.

    Takes the place of ``LogMel``. Frame ``i`` is centred at sample
    ``i * hop``; a waveform of ``n`` samples has ``ceil(n / hop)`` frames,
    which hold what librosa gives for its first ones. Trailing exact zeros are
    padding: their frames hold ``PADDING`` in every bin.

    The bins are librosa's: decibels (MFCC, without the ceiling of 80 dB below
    the loudest frame of the file), crossings per sample, full scale is 1, and
    Hz. An encoder needs them standardised: see ``StandardisedDenseNet``.

    With a ``window_len`` short recordings are padded in the time domain, as
    the design has it, instead of being repeated by the encoder: up to that
    length their frames hold what the zeros behind them sound like.

    Arguments
    ---------
    sample_rate : int
        Rate of the waveforms in Hz.
    n_mfcc : int
        Number of cepstral coefficients, at most 128.
    win_length : float
        Length of a frame in milliseconds; at 16 kHz the default is librosa's
        2,048 samples.
    hop_length : float
        Distance between frames in milliseconds; at 16 kHz the default is
        librosa's 512 samples.
    window_len : float or None
        Seconds up to which short recordings are padded; None for not at all.
    min_len : float
        Seconds; what is shorter stays marked as it is, for the encoder to
        refuse: silence around a click is no voice.

    Example
    -------
    >>> images = MfccStack(sample_rate=16000)
    >>> wavs = torch.rand(2, 16000)
    >>> wavs[1, 8000:] = 0.0
    >>> feats = images(wavs)
    >>> feats.shape
    torch.Size([2, 32, 43])
    >>> int((feats[1, :, 42] > PADDING).sum())
    16
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        n_mfcc: int = 40,
        win_length: float = 128.0,
        hop_length: float = 32.0,
        window_len: float | None = None,
        min_len: float = 0.4,
    ):
        super().__init__()
        check_range("n_mfcc", n_mfcc, 1, _MEL_BANDS, whole=True)
        check_range("win_length", win_length, 1, 1000, "ms")
        check_range("hop_length", hop_length, 1, 1000, "ms")
        self.frame_samples = round(sample_rate * win_length / 1000)
        self.hop_samples = round(sample_rate * hop_length / 1000)
        self.bin_width = sample_rate / self.frame_samples
        # Whole hops, as the encoder counts its window.
        self.padded_samples = self.hop_samples * round(
            1000 * (window_len or 0) / hop_length
        )
        self.min_samples = round(sample_rate * min_len)
        # They follow from the settings: a checkpoint need not hold them.
        # torchaudio's create_dct has the angles in single precision, which
        # would cost three quarters of the tolerance to librosa.
        cosines = dct(np.eye(_MEL_BANDS), norm="ortho")[:, :n_mfcc]
        window = torch.hann_window(self.frame_samples, dtype=torch.float64)
        filters = mel_filters(sample_rate, self.frame_samples, _MEL_BANDS)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer(
            "cosines", torch.from_numpy(cosines), persistent=False
        )

    @fwd_default_precision(cast_inputs=torch.float32)
    def forward(self, wavs: torch.Tensor) -> torch.Tensor:
        """Compute the images.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms, (batch, time), padded with zeros at the end.

        Returns
        -------
        torch.Tensor
            (batch, frames, n_mfcc + 3): MFCC, zero crossings per sample, root
            mean square, roll-off in Hz; ``PADDING`` in the frames behind the
            end of an item (or of what it is padded to).
        """
        frame, hop = self.frame_samples, self.hop_samples
        wavs = F.pad(wavs, (0, max(0, self.padded_samples - wavs.shape[-1])))
        frames = -(-wavs.shape[-1] // hop)
        counts = sample_counts(wavs)
        # librosa transforms in double precision too: in single the rounding of
        # a loud vowel shows in its quiet bands, by 0.01 dB.
        spectrum = torch.stft(
            wavs.double(),
            n_fft=frame,
            hop_length=hop,
            window=self.window,
            pad_mode="constant",
            return_complex=True,
        )
        magnitudes = spectrum[:, :, :frames].abs().float().transpose(1, 2)
        power = magnitudes.square() @ self.filters
        decibels = 10 * power.clamp(min=_POWER_FLOOR).log10()
        others = (
            crossing_rate(wavs, counts, frame, hop)[:, :frames],
            frame_level(wavs, frame, hop)[:, :frames],
            self.bin_width * roll_off(magnitudes),
        )
        mfcc = (decibels.double() @ self.cosines).float()
        feats = torch.cat([mfcc, torch.stack(others, dim=-1)], dim=-1)
        starts = torch.arange(frames, device=wavs.device) * hop
        ends = torch.where(
            counts < self.min_samples,
            counts,
            counts.clamp(min=self.padded_samples),
        )
        behind = starts[None, :] >= ends[:, None]
        return feats.masked_fill(behind[:, :, None], PADDING)


class StandardisedDenseNet(DenseNetEncoder):
    """A ``DenseNetEncoder`` whose bins each have deviation 1.

    Hertz, decibels and shares side by side: unscaled the roll-off would be all
    that the trunk sees. The deviation of each bin around its mean over the
    window is learnt from the training data as in batch normalisation, as the
    plain mean over all steps, and is saved with the weights; constants would
    fit one corpus and one sample rate.

    Arguments
    ---------
    n_mels : int
        Bins of the images, at least 32.
    **settings
        As for ``DenseNetEncoder``, except ``silence_range``: it takes the
        bins for mel powers.

    Raises
    ------
    ValueError
        If there is a ``silence_range``.

    Example
    -------
    >>> encoder = StandardisedDenseNet(window_len=2.0, hop_length=32.0)
    >>> encoder(torch.rand(2, 70, 43)).shape
    torch.Size([2, 1, 192])
    """

    def __init__(self, n_mels: int = 40 + OTHERS, **settings):
        if settings.get("silence_range") is not None:
            raise ValueError(
                f"silence_range is {settings['silence_range']!r}, expected "
                "null: it takes the bins for mel powers, which these are not"
            )
        super().__init__(n_mels=n_mels, **settings)
        # The level of quiet speech has a variance of 1e-6, and torch's own
        # eps of 1e-5 would drown it.
        self.standardise = torch.nn.BatchNorm1d(
            n_mels, eps=1e-8, momentum=None, affine=False
        )

    def encode_windows(self, windows: torch.Tensor) -> torch.Tensor:
        """Encode windows of the training length, each alone.

        Arguments
        ---------
        windows : torch.Tensor
            (windows, window_frames, bins)

        Returns
        -------
        torch.Tensor
            Embeddings of length 1, (windows, embedding_dim), float32.
        """
        # Without the mean first, the deviation would hold what the windows
        # differ in, which the encoder takes off anyway.
        bins = subtract_mean(windows).transpose(1, 2)
        return super().encode_windows(self.standardise(bins).transpose(1, 2))
