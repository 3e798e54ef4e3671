"""SpeechBrain datasets over manifests, whose items may be single windows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from speechbrain.dataio import audio_io
from speechbrain.dataio.dataset import DynamicItemDataset

from speechbrain_siamese.dataio.manifests import read_rows
from speechbrain_siamese.dataio.sampler import Draw


def read_samples(wav: str, start: int, stop: int) -> torch.Tensor:
    """Read samples ``start`` to ``stop`` of a file as mono.

    Arguments
    ---------
    wav : str
    start : int
        First sample.
    stop : int
        Sample after the last.

    Returns
    -------
    torch.Tensor
        (time,), float32; shorter where the file ends.
    """
    samples, _ = audio_io.load(wav, frame_offset=start, num_frames=stop - start)
    return samples.mean(dim=0)


class ReadStretch:
    """Read samples ``start`` to ``stop`` of a mono file.

    An object with a call instead of a decorated function: those do not pickle,
    so they break DataLoader workers that are spawned (macOS, Windows).

    Arguments
    ---------
    window_samples : int or None
        A shorter stretch is repeated until it has this many samples.
    read : Callable
        Called with path, first sample and the one after the last: from files,
        or from shards.
    """

    def __init__(
        self,
        window_samples: int | None = None,
        read: Callable[[str, int, int], torch.Tensor] = read_samples,
    ):
        self.window_samples = window_samples
        self.read = read

    def __call__(self, wav: str, start: str, stop: str) -> torch.Tensor:
        """Read one stretch.

        Arguments
        ---------
        wav : str
            Path of the file.
        start : str or int
            First sample.
        stop : str or int
            Sample after the last.

        Returns
        -------
        torch.Tensor
            (time,), float32.

        Raises
        ------
        ValueError
            If the file holds fewer samples than the manifest says.
        """
        first, count = int(start), int(stop) - int(start)
        samples = self.read(wav, first, int(stop))
        if len(samples) != count:
            raise ValueError(
                f"{wav} gave {len(samples)} samples from {first} on, the "
                f"manifest says {count}: the file has changed since "
                "preparation; delete the save folder and start again"
            )
        if self.window_samples is None or count >= self.window_samples:
            return samples
        repeats = -(-self.window_samples // count)
        return samples.repeat(repeats)[: self.window_samples]


class WindowDataset(DynamicItemDataset):
    """A manifest whose items can be asked for by a ``Draw``.

    An integer gives the whole row, a ``Draw`` gives one window of it.
    """

    def __getitem__(self, index: int | Draw) -> dict:
        """Compute one item.

        Arguments
        ---------
        index : int or Draw

        Returns
        -------
        dict
            The output keys that were set.
        """
        if not isinstance(index, Draw):
            return super().__getitem__(index)
        data_id = self.data_ids[index.row]
        return self.pipeline.compute_outputs(
            {
                "id": data_id,
                **self.data[data_id],
                "start": index.start,
                "stop": index.stop,
            }
        )


def read_manifest(
    path: str,
    data_root: str,
    window_samples: int | None = None,
    read: Callable[[str, int, int], torch.Tensor] = read_samples,
) -> WindowDataset:
    """Open a manifest with its audio.

    Arguments
    ---------
    path : str
        The CSV file: ``ID, duration, wav, start, stop, spk_id, gender,
        session``.
    data_root : str
        Replaces ``$data_root`` in the column ``wav``.
    window_samples : int or None
        Shorter stretches are repeated up to this many samples.
    read : Callable
        As for ``ReadStretch``.

    Returns
    -------
    WindowDataset
        With the items ``id``, ``sig`` (time,) and the manifest's columns.

    Raises
    ------
    ValueError
        If the manifest is damaged, or leads out of its folder.
    """
    columns = ("ID", "duration", "wav", "start", "stop", "spk_id")
    if not read_rows(path, columns):
        raise ValueError(f"{path} holds no row: prepare the recordings again")
    try:
        dataset = WindowDataset.from_csv(
            csv_path=path, replacements={"data_root": data_root}
        )
    except KeyError as error:
        raise ValueError(
            f"{path} is damaged ({error}): prepare the recordings again"
        ) from error
    dataset.add_dynamic_item(
        ReadStretch(window_samples, read),
        takes=["wav", "start", "stop"],
        provides="sig",
    )
    return dataset
