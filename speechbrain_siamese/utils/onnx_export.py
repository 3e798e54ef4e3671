"""The encoder for machines without PyTorch: one ONNX file, features included.

The file takes waveforms and gives embeddings, for any number and length of
them. It needs the whole encoder without loops over items, whose lengths a
graph cannot know: windows are gathered by their positions instead.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch

from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.features import LogMel
from speechbrain_siamese.lobes.windows import frame_is_loud, frame_power
from speechbrain_siamese.utils.whole_file import whole_file

#: Of ONNX's operators: onnxruntime 1.16 and newer know it.
OPSET = 18


class WaveformEncoder(torch.nn.Module):
    """From waveforms to embeddings in operations that ONNX has.

    What ``encode_batch`` of an export computes, for items that are long enough
    and not silent; others get NaN.

    Arguments
    ---------
    log_mel : LogMel
        The export's features.
    encoder : DenseNetEncoder
        Its encoder, in evaluation mode.

    Example
    -------
    >>> encoder = DenseNetEncoder(
    ...     n_mels=32, window_len=0.32, growth_rate=4, blocks=[1, 1, 1, 1]
    ... ).eval()
    >>> one = WaveformEncoder(LogMel(n_mels=32), encoder)
    >>> one(torch.randn(2, 16000)).shape
    torch.Size([2, 192])
    """

    def __init__(self, log_mel: LogMel, encoder: DenseNetEncoder):
        super().__init__()
        stft = log_mel.stft
        self.hop, self.n_fft = log_mel.hop_samples, stft.n_fft
        self.encoder = encoder
        window = torch.zeros(self.n_fft)
        first = (self.n_fft - stft.win_length) // 2
        window[first : first + stft.win_length] = stft.window
        angles = torch.arange(self.n_fft // 2 + 1, dtype=torch.float64)[:, None]
        angles = angles * torch.arange(self.n_fft) * 2 * math.pi / self.n_fft
        waves = torch.cat([angles.cos(), angles.sin()]) * window
        self.register_buffer("waves", waves.float()[:, None])
        # What the filters make of each frequency alone.
        bins = self.n_fft // 2 + 1
        self.register_buffer(
            "filters", log_mel.filterbank(torch.eye(bins)[None])[0]
        )
        silence = log_mel.log_power(torch.zeros(1, self.hop))
        self.floor = float(silence.min())

    def forward(self, wavs: torch.Tensor) -> torch.Tensor:
        """Encode waveforms.

        Arguments
        ---------
        wavs : torch.Tensor
            At the model's rate, (batch, time), padded with zeros at the end.

        Returns
        -------
        torch.Tensor
            Of length 1, (batch, dim); NaN for items that are too short or
            silent.
        """
        feats = self._log_mel(wavs)
        frames = torch.arange(feats.shape[1], device=wavs.device)
        positions = torch.arange(1, wavs.shape[1] + 1, device=wavs.device)
        samples = ((wavs != 0).to(positions.dtype) * positions).amax(dim=1)
        keep = frames[None] * self.hop < samples[:, None]
        enough = keep.sum(dim=1) >= self.encoder.min_frames
        if self.encoder.silence_range is not None:
            power = frame_power(feats)
            keep = frame_is_loud(power, keep, self.encoder.silence_range)
        windows, weights = self._windows(feats, keep)
        encoded = self.encoder.encode_windows(windows.flatten(0, 1))
        encoded = encoded.unflatten(0, (weights.shape[0], -1))
        total = (encoded * weights[:, :, None]).sum(dim=1)
        unit = total / total.square().sum(dim=1, keepdim=True).sqrt()
        return torch.where(enough[:, None], unit, torch.nan)

    def _log_mel(self, wavs):
        """As ``LogMel.log_power``, by a convolution."""
        half = self.n_fft // 2
        padded = torch.nn.functional.pad(wavs, (half, half))
        parts = torch.nn.functional.conv1d(
            padded[:, None], self.waves, stride=self.hop
        )
        bins = self.waves.shape[0] // 2
        power = parts[:, :bins].square() + parts[:, bins:].square()
        mel = power.transpose(1, 2) @ self.filters
        frames = (wavs.shape[1] + self.hop - 1) // self.hop
        return mel[:, :frames].clamp(min=math.exp(self.floor)).log()

    def _windows(self, feats, keep):
        """Windows of the frames to keep, and what each adds."""
        size, frames = self.encoder.window_frames, feats.shape[1]
        places = torch.arange(frames, device=feats.device)[None]
        # Those to keep first, in their order.
        order = torch.where(keep, places, places + frames).argsort(dim=1)
        count = keep.sum(dim=1, keepdim=True)
        number = torch.arange((frames + size - 1) // size, device=feats.device)
        starts = torch.minimum(number[None] * size, (count - size).clamp(min=0))
        wanted = starts[:, :, None] + torch.arange(size, device=feats.device)
        # What is shorter than a window is repeated.
        wanted = wanted % count.clamp(min=1)[:, :, None]
        rows = order.gather(1, wanted.flatten(1))
        windows = feats.gather(
            1, rows[:, :, None].expand(-1, -1, feats.shape[2])
        )
        weights = (count - number[None] * size).clamp(min=0, max=size)
        return windows.unflatten(1, (-1, size)), weights.float()


def export_onnx(
    log_mel: LogMel, encoder: DenseNetEncoder, path: str | Path
) -> None:
    """Write an encoder as an ONNX file.

    Input ``wavs`` (batch, time), output ``embeddings`` (batch, dim).

    Arguments
    ---------
    log_mel : LogMel
    encoder : DenseNetEncoder
        In evaluation mode.
    path : str or Path
        Where to write it; appears whole or not at all.

    Raises
    ------
    ImportError
        If the packages of ONNX are not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"ONNX is not installed ({error}): "
            "pip install 'speechbrain-siamese[onnx]'"
        ) from error
    model = WaveformEncoder(log_mel, encoder).cpu().eval()
    batch, time = (torch.export.Dim(name) for name in ("batch", "time"))
    with torch.no_grad():
        program = torch.onnx.export(
            model,
            (torch.randn(2, 3 * encoder.window_frames * log_mel.hop_samples),),
            input_names=["wavs"],
            output_names=["embeddings"],
            dynamic_shapes={"wavs": {0: batch, 1: time}},
            opset_version=OPSET,
            dynamo=True,
        )
    with whole_file(path) as partial:
        program.save(partial)
