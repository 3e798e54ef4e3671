"""Spectrogram images: what the Siamese encoder looks at.

The stock inference class computes features over a whole padded batch before
any window exists. So nothing here may depend on the rest of the file or on the
other items of the batch: no decibel ceiling over the file, no statistics. The
end of a recording is found in the samples themselves and marked in the image.
"""

from __future__ import annotations

import torch
from speechbrain.processing.features import STFT, Filterbank
from speechbrain.utils.autocast import fwd_default_precision
from torch.nn import functional as F

from speechbrain_siamese.utils.ranges import check_range

#: Value of every bin of a frame that lies behind the end of a recording. Far
#: below the floor of a real log-mel value (ln 1e-10 = -23), finite so that it
#: survives bfloat16 and arithmetic.
PADDING = -100.0

#: Power below which a mel band counts as empty: the quantisation noise of
#: 16-bit audio lies well above it.
_POWER_FLOOR = 1e-10


def sample_counts(wavs: torch.Tensor) -> torch.Tensor:
    """Number of samples of each waveform before its trailing exact zeros.

    Relative lengths cannot give an exact frame count back (31,000 samples are
    194 frames alone and 195 beside 64,000), the samples can.

    Arguments
    ---------
    wavs : torch.Tensor
        Waveforms, (batch, time), padded with zeros at the end.

    Returns
    -------
    torch.Tensor
        Samples up to and with the last that is not zero, (batch,), int64; all
        of them where nothing but zeros is there: silence, not padding.

    Example
    -------
    >>> sample_counts(torch.tensor([[0.0, 0.5, 0.0], [0.1, 0.2, 0.3]]))
    tensor([2, 3])
    """
    # First the last stretch that is not all zeros, then the place in it.
    stretches = F.pad(wavs, (0, -wavs.shape[-1] % 256)).unflatten(-1, (-1, 256))
    last = _last_true(stretches.abs().amax(dim=-1) != 0)
    index = (last - 1).clamp(min=0)[:, None, None].expand(-1, 1, 256)
    inside = _last_true(stretches.gather(1, index)[:, 0] != 0)
    counts = (last - 1) * 256 + inside
    return torch.where(last > 0, counts, wavs.shape[-1])


def _last_true(found: torch.Tensor) -> torch.Tensor:
    """Place of the last True of each row, from 1 on; 0 without any."""
    places = torch.arange(1, found.shape[-1] + 1, device=found.device)
    return (places * found).amax(dim=-1)


class LogMel(torch.nn.Module):
    """Log-mel spectrogram image with the frames behind the end marked.

    Frame ``i`` is centred at sample ``i * hop``; a waveform of ``n`` samples
    has ``ceil(n / hop)`` frames. Trailing exact zeros are padding: their
    frames hold ``PADDING`` in every bin, so that a recording has the same
    frames alone and beside longer ones. SpeechBrain's ``Fbank`` differs in its
    decibel ceiling relative to the loudest frame of the whole input.

    Arguments
    ---------
    sample_rate : int
        Rate of the waveforms in Hz.
    n_mels : int
        Number of mel bands.
    win_length : float
        Length of the analysis window in milliseconds.
    hop_length : float
        Distance between frames in milliseconds.

    Example
    -------
    >>> images = LogMel(sample_rate=16000, n_mels=80)
    >>> wavs = torch.rand(2, 16000)
    >>> wavs[1, 8000:] = 0.0
    >>> feats = images(wavs)
    >>> feats.shape
    torch.Size([2, 100, 80])
    >>> int((feats[1, :, 0] > PADDING).sum())
    50
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        n_mels: int = 80,
        win_length: float = 25.0,
        hop_length: float = 10.0,
    ):
        super().__init__()
        check_range("n_mels", n_mels, 1, 1024, whole=True)
        self.n_mels = n_mels
        check_range("win_length", win_length, 1, 1000, "ms")
        check_range("hop_length", hop_length, 1, 1000, "ms")
        # The next power of two: the fastest transform that holds a window.
        window_samples = round(sample_rate * win_length / 1000)
        n_fft = 1 << (window_samples - 1).bit_length()
        self.hop_samples = round(sample_rate * hop_length / 1000)
        self.stft = STFT(
            sample_rate=sample_rate,
            win_length=win_length,
            hop_length=hop_length,
            n_fft=n_fft,
        )
        self.filterbank = Filterbank(
            n_mels=n_mels,
            n_fft=n_fft,
            sample_rate=sample_rate,
            f_max=sample_rate / 2,
            log_mel=False,
        )

    def log_power(self, wavs: torch.Tensor) -> torch.Tensor:
        """Compute the images, without looking for the end of an item.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms, (batch, time).

        Returns
        -------
        torch.Tensor
            Natural logarithm of the mel power, (batch, frames, n_mels).
        """
        real, imaginary = self.stft(wavs).unbind(-1)
        # SpeechBrain's spectral_magnitude, in half the time.
        power = real.square().addcmul_(imaginary, imaginary)
        power = self.filterbank(power)
        frames = -(-wavs.shape[-1] // self.hop_samples)
        return power[:, :frames].clamp(min=_POWER_FLOOR).log()

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
            Natural logarithm of the mel power, (batch, frames, n_mels);
            ``PADDING`` in the frames behind the end of an item.
        """
        feats = self.log_power(wavs)
        frames = torch.arange(feats.shape[1], device=wavs.device)
        starts = frames * self.hop_samples
        behind = starts[None, :] >= sample_counts(wavs)[:, None]
        return feats.masked_fill(behind[:, :, None], PADDING)


def frame_is_valid(feats: torch.Tensor) -> torch.Tensor:
    """Tell real frames from those that the feature module marked as padding.

    Arguments
    ---------
    feats : torch.Tensor
        Images, (batch, frames, bins).

    Returns
    -------
    torch.Tensor
        True where a frame is real, (batch, frames), bool.
    """
    return feats.amax(dim=-1) > 0.5 * PADDING


def subtract_mean(feats: torch.Tensor) -> torch.Tensor:
    """Subtract each bin's mean over time: level and channel colour go.

    Arguments
    ---------
    feats : torch.Tensor
        Images, (batch, frames, bins).

    Returns
    -------
    torch.Tensor
        The same shape, each bin with mean 0 over its item's valid frames;
        padding stays as it is.

    Example
    -------
    >>> subtract_mean(torch.tensor([[[1.0], [3.0], [PADDING]]])).flatten()
    tensor([  -1.,    1., -100.])
    """
    valid = frame_is_valid(feats)[:, :, None]
    counts = valid.sum(dim=1, keepdim=True).clamp(min=1)
    mean = feats.masked_fill(~valid, 0.0).sum(dim=1, keepdim=True) / counts
    return torch.where(valid, feats - mean, feats)


class KeepFeatures(torch.nn.Module):
    """Return features as they are.

    Stands where SpeechBrain's inference classes normalise over a whole padded
    file; our encoder normalises each window by itself.

    Example
    -------
    >>> KeepFeatures()(torch.tensor([1.0]), torch.ones(1))
    tensor([1.])
    """

    def forward(
        self, feats: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Return ``feats``; ``lengths`` is SpeechBrain's calling convention."""
        del lengths
        return feats
