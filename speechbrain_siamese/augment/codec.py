"""Speech as it comes out of a lossy codec: AAC, Opus, MP3.

Recordings from the internet and from phones have been through one or more of
them. SpeechBrain's ``CodecAugment`` needs ``torchaudio.io``, which torchaudio
2.11 no longer has, and knows only MP3 of these; PyAV, which decodes our
recordings, encodes too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np
import soxr
import torch
from av.codec.context import Flags2

from speechbrain_siamese.utils.ranges import check_range


class _Codec(NamedTuple):
    """FFmpeg's names of a codec, and options."""

    encoder: str
    decoder: str
    sample_format: str
    encoding: dict[str, str]
    decoding: dict[str, str]


# Each encoder at its fastest: the best ones cost three times as much.
CODECS = {
    "aac": _Codec("aac", "aac", "fltp", {"aac_coder": "fast"}, {}),
    # FFmpeg's own decoder of Opus is two samples late at low bit rates.
    "opus": _Codec(
        "libopus",
        "libopus",
        "flt",
        {"compression_level": "0"},
        {"request_sample_fmt": "flt"},
    ),
    "mp3": _Codec(
        "libmp3lame", "mp3float", "fltp", {"compression_level": "9"}, {}
    ),
}
"""Codecs by the names that the YAML uses."""


def round_trip(
    samples: np.ndarray, sample_rate: int, codec: str, bit_rate: float
) -> np.ndarray:
    """Encode and decode mono sound in memory.

    Where the codec does not know the rate (Opus and 22,050 Hz) the sound goes
    through the next higher rate that it knows.

    Arguments
    ---------
    samples : np.ndarray
        float32, (samples,), full scale is 1; what is louder is clipped.
    sample_rate : int
        Hz.
    codec : str
        A key of ``CODECS``.
    bit_rate : float
        Kilobits per second; the encoder takes the nearest that it has.

    Returns
    -------
    np.ndarray
        float32, (samples,): the same length, not shifted in time.

    Example
    -------
    >>> tone = 0.5 * np.sin(np.arange(8000) / 5).astype(np.float32)
    >>> coded = round_trip(tone, 16000, "aac", 32)
    >>> len(coded), bool(np.abs(coded - tone)[1000:-1000].max() < 0.1)
    (8000, True)
    """
    known = av.Codec(CODECS[codec].encoder, "w").audio_rates
    rate = min((r for r in known if r >= sample_rate), default=max(known))
    sound = np.clip(samples, -1, 1, dtype=np.float32)
    sound = _resampled(sound, sample_rate, rate)
    packets, header = _encode(sound, rate, CODECS[codec], bit_rate)
    decoded, decoded_rate = _decode(packets, header, rate, CODECS[codec])
    # What the codec puts in front of the sound has times before 0.
    delay = round(-packets[0].pts * packets[0].time_base * decoded_rate)
    sound = _resampled(decoded[delay:], decoded_rate, sample_rate)
    # Resampling rounds: up to a sample may be missing at the end.
    result = np.zeros(len(samples), dtype=np.float32)
    result[: len(sound)] = sound[: len(samples)]
    return result


def _encode(
    sound: np.ndarray, rate: int, codec: _Codec, bit_rate: float
) -> tuple[list[av.Packet], bytes | None]:
    """Packets, and the header that the decoder needs."""
    encoder = av.CodecContext.create(codec.encoder, "w")
    encoder.sample_rate = rate
    encoder.layout = "mono"
    encoder.format = codec.sample_format
    encoder.bit_rate = round(1000 * bit_rate)
    encoder.time_base = Fraction(1, rate)
    encoder.options = codec.encoding
    frame = av.AudioFrame.from_ndarray(
        sound[None], format=codec.sample_format, layout="mono"
    )
    frame.sample_rate = rate
    frame.time_base = encoder.time_base
    frame.pts = 0
    packets = encoder.encode(frame) + encoder.encode(None)
    return packets, encoder.extradata


def _decode(
    packets: list[av.Packet], header: bytes | None, rate: int, codec: _Codec
) -> tuple[np.ndarray, int]:
    """All that is in the packets, and its rate: Opus always has 48 kHz."""
    decoder = av.CodecContext.create(codec.decoder, "r")
    decoder.sample_rate = rate
    decoder.layout = "mono"
    decoder.extradata = header
    decoder.options = codec.decoding
    # Some codecs would skip their delay themselves and others not.
    decoder.flags2 |= Flags2.skip_manual
    frames = [
        frame for packet in (*packets, None) for frame in decoder.decode(packet)
    ]
    sound = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    return sound, frames[0].sample_rate


def _resampled(sound: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    return sound if rate == new_rate else soxr.resample(sound, rate, new_rate)


class CodecRoundTrip(torch.nn.Module):
    """Pass each clip through a codec at a bit rate drawn for it.

    The upper frequencies of an internet stream cost most of its bits: speech
    that went through 48 kHz AAC at 64 kbit/s a channel has changed, below
    8 kHz, as much as by AAC at 16 kHz and 48 kbit/s, and by Opus at 25 as much
    as by Opus at 16 kHz and 24 kbit/s (1.5 and 2.4 dB, root mean square over
    the log-mel bins). Above that there is little to learn from.

    Arguments
    ---------
    sample_rate : int
        Rate of the waveforms in Hz.
    bit_rates : Mapping[str, Sequence[float]]
        Kilobits per second to draw from, by codec (``CODECS``). Each bit rate
        of each codec is drawn equally often.

    Raises
    ------
    ValueError
        If a codec is unknown, a bit rate is out of its range, or there is
        none; at first use, if this build of PyAV lacks a codec.

    Example
    -------
    >>> coded = CodecRoundTrip(16000, {"aac": [24], "opus": [16, 24]})
    >>> coded(torch.rand(4, 8000) - 0.5).shape
    torch.Size([4, 8000])
    """

    def __init__(
        self, sample_rate: int, bit_rates: Mapping[str, Sequence[float]]
    ):
        super().__init__()
        check_range("sample_rate", sample_rate, 8000, 48000, "Hz", whole=True)
        for codec, rates in bit_rates.items():
            if codec not in CODECS:
                raise ValueError(
                    f"bit_rates names the codec {codec!r}, expected one of "
                    f"{', '.join(CODECS)}"
                )
            for rate in rates:
                check_range(f"bit_rates of {codec}", rate, 8, 256, "kbit/s")
        self.sample_rate = sample_rate
        self._there: set[str] = set()
        self.choices = [
            (codec, rate)
            for codec, rates in bit_rates.items()
            for rate in rates
        ]
        if not self.choices:
            raise ValueError(
                f"bit_rates is {bit_rates}, expected kbit/s by codec, such as "
                "{aac: [24, 32], opus: [16]}"
            )

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Code each clip.

        Arguments
        ---------
        waveforms : torch.Tensor
            (batch, time), full scale is 1.

        Returns
        -------
        torch.Tensor
            (batch, time), on the device of ``waveforms``.
        """
        # Only now: who does not use it may have a PyAV that lacks one.
        for codec in {codec for codec, _ in self.choices} - self._there:
            _check_there(codec)
            self._there.add(codec)
        drawn = torch.randint(len(self.choices), (len(waveforms),))
        clips = waveforms.float().cpu().numpy()
        # FFmpeg works outside Python's lock, and torch's threads are idle.
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            coded = list(pool.map(self._code, clips, drawn.tolist()))
        return torch.from_numpy(np.stack(coded)).to(waveforms)

    def _code(self, clip: np.ndarray, choice: int) -> np.ndarray:
        return round_trip(clip, self.sample_rate, *self.choices[choice])


def _check_there(codec: str) -> None:
    """Refuse a codec that this build of PyAV does not have."""
    try:
        av.Codec(CODECS[codec].encoder, "w")
        av.Codec(CODECS[codec].decoder, "r")
    except av.codec.codec.UnknownCodecError as error:
        raise ValueError(
            f"bit_rates names {codec}, which this build of PyAV lacks "
            f"({error}): leave it out, or install PyAV from PyPI"
        ) from error
