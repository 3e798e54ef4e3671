"""Decodes audio of any format into blocks of mono samples.

PyAV (FFmpeg) decodes, NumPy averages the channels at the native rate and
soxr resamples as a stream, so that a recording of hours never sits in memory
and blocks join without clicks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import soxr
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)


# fmt: off
_CONTAINERS = (
    "aac", "aiff", "amr", "asf", "au", "avi",
    "caf",  # codespell:ignore caf
    "flac", "flv", "loas", "matroska", "mov", "mp3", "mpeg", "mpegts", "ogg",
    "w64", "wav", "wv",
)
# fmt: on
"""FFmpeg's demuxers that hold sound themselves. Playlists and scripts, which
open other files, and pictures are not among them."""

_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(_CONTAINERS),
}
"""A playlist in disguise must reach for nothing else."""

JOINED = 8192
"""Samples that a decoded piece holds at least: codecs give 20 ms at a time."""


RATES = (1000, 800_000)
"""Rates of sound in Hz, with room to spare. At 1 Hz, which a header may claim,
a file of some kilobytes would become gigabytes."""


class DecodingError(ValueError):
    """A file can't be decoded; the message names the file and the reason."""


def decode(path: str | Path, sample_rate: int) -> np.ndarray:
    """A whole file as mono samples.

    Arguments
    ---------
    path : str | Path
        Audio (or video with sound) of any format that FFmpeg knows.
    sample_rate : int
        Rate of the result in Hz.

    Returns
    -------
    np.ndarray
        float32, (samples,), full scale is 1.

    Raises
    ------
    DecodingError
        If the file is missing, empty or holds nothing that can be decoded.
    """
    return np.concatenate(list(decode_blocks(path, sample_rate)))


def audio_format(path: str | Path) -> str:
    """Codec and rate of a file's sound.

    Arguments
    ---------
    path : str | Path

    Returns
    -------
    str
        Such as ``opus, 48 kHz``.

    Raises
    ------
    DecodingError
        If the file is missing or holds no sound.
    """
    try:
        with av.open(os.path.abspath(path), options=_OPTIONS) as container:
            stream = container.streams.best("audio")
            if stream is None:
                raise DecodingError(f"{path}: no audio stream")
            context = stream.codec_context
            if context is None:
                raise DecodingError(f"{path}: no decoder knows its sound")
            return f"{context.name}, {context.sample_rate / 1000:g} kHz"
    except (av.FFmpegError, OSError) as error:
        raise DecodingError(f"{path}: {error}") from error


def copy_stretch(
    path: str | Path, target: str | Path, start: float, stop: float | None
) -> None:
    """Cut a stretch out of a file as it is, without decoding it.

    Arguments
    ---------
    path : str | Path
        As for ``decode``.
    target : str | Path
        Where the sound goes, as Matroska, which holds every codec; pictures
        are left out.
    start : float
        Seconds; the packet that begins there or next is the first, so that a
        cut is some hundredths of a second late.
    stop : float | None
        Seconds; None for the end.

    Raises
    ------
    DecodingError
        If nothing lies there, or the file cannot be read.
    """
    first = seconds = None
    try:
        source = av.open(os.path.abspath(path), options=_OPTIONS)
        with source, av.open(os.fspath(target), "w", format="matroska") as made:
            stream = source.streams.best("audio")
            if stream is None or stream.codec_context is None:
                raise DecodingError(f"{path}: no sound that a decoder knows")
            copied = made.add_stream_from_template(stream)
            for packet in source.demux(stream):
                if packet.pts is None or packet.dts is None:
                    continue
                # Broadcasts begin at any time.
                ticks = packet.pts - (stream.start_time or 0)
                seconds = float(ticks * packet.time_base)
                if seconds < start:
                    continue
                if stop is not None and seconds >= stop:
                    break
                if first is None:
                    first = packet.dts
                packet.pts -= first
                packet.dts -= first
                packet.stream = copied
                made.mux(packet)
    except DecodingError:
        raise
    except Exception as error:
        # As in ``_checked``: a broken file can meet any of PyAV's errors.
        raise DecodingError(f"{path}: {error}") from error
    if first is None:
        length = "has no sound" if seconds is None else f"ends at {seconds:g} s"
        raise DecodingError(
            f"{path}: it {length}, the stretch begins at {start:g} s"
        )


def decode_blocks(
    path: str | Path,
    sample_rate: int,
    block_seconds: float = 30.0,
    hear_channels: Callable[[np.ndarray, int], object] | None = None,
) -> Iterator[np.ndarray]:
    """A file as consecutive blocks of mono samples, in bounded memory.

    Channels are averaged at the native rate. Packets that can't be decoded
    are skipped and counted in one warning; another warning tells if clearly
    less came out than the container promises. NaN and infinite samples of
    float files pass through.

    Arguments
    ---------
    path : str | Path
        Audio (or video with sound) of any format that FFmpeg knows.
    sample_rate : int
        Rate of the result in Hz.
    block_seconds : float
        Duration of every block but the last.
    hear_channels : Callable | None
        Is given all sound as it is in the file, piece by piece, (channels,
        samples), full scale is 1, and its rate in Hz: what is clipped in one
        channel is no more so in their mean.

    Yields
    ------
    np.ndarray
        float32, (samples,), full scale is 1.

    Raises
    ------
    DecodingError
        If the file is missing, empty or holds nothing that can be decoded.
    """
    path = Path(path)
    size = max(1, round(block_seconds * sample_rate))
    pending: list[np.ndarray] = []
    waiting = total = 0
    for piece in _resampled(_checked(path, hear_channels), sample_rate):
        pending.append(piece)
        waiting += len(piece)
        total += len(piece)
        if waiting >= size:
            joined = np.concatenate(pending)
            whole = len(joined) - len(joined) % size
            for start in range(0, whole, size):
                yield joined[start : start + size]
            pending, waiting = [joined[whole:]], len(joined) - whole
    if waiting:
        yield np.concatenate(pending)
    if not total:
        raise DecodingError(f"{path}: no samples could be decoded")


def check_is_file(path: Path) -> None:
    """Refuse what is no file, a folder for example.

    Arguments
    ---------
    path : Path

    Raises
    ------
    DecodingError
    """
    if path.is_dir():
        raise DecodingError(f"{path}: a folder, expected an audio file")
    if not path.is_file():
        raise DecodingError(f"{path}: no such file")


def _checked(path: Path, hear_channels) -> Iterator[tuple[np.ndarray, int]]:
    """Mono frames of a file with any failure told as DecodingError."""
    check_is_file(path)
    try:
        if path.stat().st_size == 0:
            raise DecodingError(f"{path}: zero bytes")
        yield from _mono_frames(path, hear_channels)
    except DecodingError:
        raise
    except Exception as error:
        # FFmpeg's errors derive from many built-in types, and a broken file
        # can meet others in PyAV: to the caller all say "can't be decoded".
        # Only this process's own want of memory is no fault of the file.
        if isinstance(error, MemoryError) and not isinstance(
            error, av.FFmpegError
        ):
            raise
        reason = getattr(error, "strerror", None) or error
        raise DecodingError(
            f"{path}: no audio that can be decoded, or cut off "
            f"({type(error).__name__}: {reason})"
        ) from error


def _mono_frames(path: Path, hear_channels) -> Iterator[tuple[np.ndarray, int]]:
    """Decoded sound as mono float32 pieces with their sample rate."""
    av.logging.set_level(av.logging.PANIC)
    seconds = 0.0
    problems: list[str] = []
    options = dict(_OPTIONS)
    if path.suffix.lower() == ".wav":
        # Whether it is DTS in disguise costs more than to decode a clip.
        options["max_probe_packets"] = "1"
    # An absolute path can't be mistaken for a URL ("a:b.wav").
    with av.open(os.path.abspath(path), options=options) as container:
        stream = container.streams.best("audio")
        if stream is None:
            raise DecodingError(f"{path}: no audio stream")
        if stream.codec_context is None:
            # PyAV 17.0 crashes where it is asked to decode it.
            raise DecodingError(f"{path}: no decoder knows its sound")
        promised = _promised_seconds(container, stream)
        for frame in _joined(_frames(container, stream, problems)):
            rate = frame.sample_rate
            if not RATES[0] <= rate <= RATES[1]:
                raise DecodingError(
                    f"{path}: its sample rate is {rate} Hz, expected "
                    f"{RATES[0]} to {RATES[1]} Hz"
                )
            seconds += frame.samples / rate
            channels = _channels(frame)
            if hear_channels:
                hear_channels(channels, rate)
            yield _mono(channels), rate
    if seconds == 0:
        reason = f" ({problems[-1]})" if problems else ""
        raise DecodingError(f"{path}: nothing in it could be decoded{reason}")
    if problems:
        logger.warning(
            "%s: skipped %d packets that could not be decoded (%s)",
            path,
            len(problems),
            problems[-1],
        )
    missing = promised - seconds
    if missing > 1 and missing > 0.02 * promised:
        logger.warning(
            "%s: %.1f s could be decoded of the %.1f s which the file "
            "promises; it may be cut off",
            path,
            seconds,
            promised,
        )


def _frames(
    container: av.container.InputContainer,
    stream: av.AudioStream,
    problems: list[str],
) -> Iterator[av.AudioFrame]:
    """Decoded frames; what can't be decoded is told in ``problems``."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            # Nothing can be read behind this point.
            problems.append(error.strerror)
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except av.EOFError:
            return
        except av.FFmpegError as error:
            problems.append(error.strerror)
            continue
        yield from frames


def _joined(frames: Iterator[av.AudioFrame]) -> Iterator[av.AudioFrame]:
    """The same samples in longer frames: NumPy's calls cost time, not data."""
    fifo, kind = None, None
    for frame in frames:
        own = (frame.format.name, frame.layout.name, frame.sample_rate)
        if fifo is None or own != kind:
            if fifo is not None and fifo.samples:
                yield fifo.read()
            fifo, kind = av.AudioFifo(), own
        # The queue insists on gapless times; holes in a stream are skipped.
        frame.pts = None
        fifo.write(frame)
        if fifo.samples >= JOINED:
            yield fifo.read()
    if fifo is not None and fifo.samples:
        yield fifo.read()


def _promised_seconds(
    container: av.container.InputContainer, stream: av.AudioStream
) -> float:
    """Duration that the container tells, 0 if it tells none."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return container.duration / av.time_base
    return 0.0


def _channels(frame: av.AudioFrame) -> np.ndarray:
    """(channels, samples); integers scaled so that full scale is 1."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    if samples.dtype.kind in "iu":
        bits = 8 * samples.dtype.itemsize
        offset = 128.0 if samples.dtype.kind == "u" else 0.0
        samples = (samples - np.float64(offset)) / 2.0 ** (bits - 1)
    return samples


def _mono(samples: np.ndarray) -> np.ndarray:
    """Mean of the channels."""
    with np.errstate(invalid="ignore", over="ignore"):
        return samples.mean(axis=0, dtype=np.float64).astype(np.float32)


def _resampled(
    frames: Iterator[tuple[np.ndarray, int]], sample_rate: int
) -> Iterator[np.ndarray]:
    """Streams frames through soxr; a new stream where the rate changes."""
    resampler, rate = None, None
    nothing = np.zeros(0, dtype=np.float32)
    for samples, frame_rate in frames:
        if frame_rate != rate:
            if resampler is not None:
                yield resampler.resample_chunk(nothing, last=True)
            rate, resampler = frame_rate, None
            if rate != sample_rate:
                resampler = soxr.ResampleStream(
                    rate, sample_rate, 1, dtype="float32"
                )
        if resampler is None:
            yield samples
        else:
            yield resampler.resample_chunk(samples)
    if resampler is not None:
        yield resampler.resample_chunk(nothing, last=True)
