"""Training speech in a few large files: WebDataset shards.

Shared file systems suffer from hundreds of thousands of small files. A shard
is a tar file of samples as SpeechBrain's VoxLingua107 recipe reads them
(``<key>.audio.pth``, a tensor, and ``<key>.spk_id``, text), so any WebDataset
pipeline can stream it. Beside the shards lies an index of where in them the
samples of each recording are: training here draws windows of P x K speakers,
which no stream can give, and reads just these. The result is the same as from
the cleaned files.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from speechbrain.dataio import audio_io
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

#: Seconds of speech in one sample: a part of a recording of hours.
PIECE_SECONDS = 60.0

#: Bytes after which a new shard is begun: WebDataset's advice is 1 GB.
SHARD_BYTES = 1_000_000_000

META = "meta.json"
INDEX = "index.json"


def write_shards(
    rows: Sequence[Mapping[str, str]],
    data_root: str | Path,
    folder: str | Path,
    sample_rate: int,
    seed: int,
) -> None:
    """Write the speech of a training manifest as shards, whole or not at all.

    Does nothing where the same rows were written before.

    Arguments
    ---------
    rows : Sequence[Mapping[str, str]]
        With ``ID, wav, start, stop, spk_id`` as in the manifest.
    data_root : str or Path
        Stands for ``$data_root`` in ``wav``.
    folder : str or Path
        Where ``shard-000000.tar`` ..., ``meta.json`` and ``index.json`` go.
    sample_rate : int
        Of the cleaned audio, Hz.
    seed : int
        Decides the order, in which speakers are mixed: who streams the shards
        sees many of them at a time.

    Raises
    ------
    ImportError
        If WebDataset is not installed; the message names the extra.
    """
    folder = Path(folder)
    pieces = [
        (row, first, min(first + length, int(row["stop"])))
        for length in [round(PIECE_SECONDS * sample_rate)]
        for row in rows
        for first in range(int(row["start"]), int(row["stop"]), length)
    ]
    meta = {
        "num_data_samples": len(pieces),
        "speaker_ids": sorted({row["spk_id"] for row in rows}),
        "sample_rate": sample_rate,
        "seed": seed,
        "rows": _stretches(rows),
        "audio": _stamps(rows, data_root),
    }
    if _read_json(folder / META) == meta and (folder / INDEX).is_file():
        logger.info("%s: the shards are up to date", folder)
        return
    new = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    order = np.random.default_rng(seed).permutation(len(pieces))
    places = _write_tars(new, [pieces[i] for i in order], data_root)
    index: dict[str, list] = {}
    for (row, first, stop), place in zip(
        (pieces[i] for i in order), places, strict=True
    ):
        index.setdefault(row["wav"], []).append([first, stop, *place])
    for found in index.values():
        found.sort()
    (new / INDEX).write_text(json.dumps(index), encoding="utf-8")
    (new / META).write_text(json.dumps(meta), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)
    logger.info("%s: %d samples written", folder, len(pieces))


def _write_tars(folder: Path, pieces, data_root) -> list[tuple[str, int]]:
    """Shard and byte of the first audio sample of each piece, in order."""
    try:
        import webdataset
    except ImportError as error:
        raise ImportError(
            "shards is True, but WebDataset is not installed: "
            'pip install "speechbrain-siamese[shards]"'
        ) from error
    pattern = str(folder / "shard-%06d.tar")
    with webdataset.ShardWriter(
        pattern, maxsize=SHARD_BYTES, verbose=0, mtime=0
    ) as sink:
        for number, (row, first, stop) in enumerate(pieces):
            path = row["wav"].replace("$data_root", str(data_root))
            samples, _ = audio_io.load(
                path, frame_offset=first, num_frames=stop - first
            )
            # A period would end the key.
            key = f"{row['ID'].replace('.', '_')}&{number:08d}"
            sink.write(
                {
                    "__key__": key,
                    "audio.pth": samples,
                    "spk_id": row["spk_id"],
                }
            )
    return [
        place for tar in sorted(folder.glob("*.tar")) for place in _places(tar)
    ]


def _places(tar: Path) -> Iterator[tuple[str, int]]:
    """Where the samples of each tensor in a shard begin."""
    with tarfile.open(tar) as shard, open(tar, "rb") as raw:
        for member in shard:
            if not member.name.endswith(".audio.pth"):
                continue
            raw.seek(member.offset_data)
            # torch.save writes a zip file whose data are not compressed.
            content = io.BytesIO(raw.read(member.size))
            with zipfile.ZipFile(content) as saved:
                (info,) = (
                    item
                    for item in saved.infolist()
                    if item.filename.endswith("/data/0")
                )
            content.seek(info.header_offset + 26)
            name, extra = np.frombuffer(content.read(4), dtype="<u2")
            begin = info.header_offset + 30 + int(name) + int(extra)
            yield tar.name, member.offset_data + begin


class ReadShards:
    """Read samples ``start`` to ``stop`` of a recording from its shards.

    Stands in a manifest's pipeline where ``ReadStretch`` reads files.

    Arguments
    ---------
    folder : str or Path
        As given to ``write_shards``.
    data_root : str or Path
        As the manifest was opened with.

    rows : Sequence[Mapping[str, str]] or None
        Of the manifest, as ``write_shards`` was given them.

    Raises
    ------
    ValueError
        If there are no shards, or they were written from other rows.
    """

    def __init__(
        self,
        folder: str | Path,
        data_root: str | Path,
        rows: Sequence[Mapping[str, str]] | None = None,
    ):
        self.folder = Path(folder)
        self.data_root = str(data_root)
        self.index = _read_json(self.folder / INDEX)
        if self.index is None:
            raise ValueError(
                f"there are no shards in {folder}: prepare with shards: True"
            )
        written = (_read_json(self.folder / META) or {}).get("rows")
        if rows is not None and written != _stretches(rows):
            raise ValueError(
                f"the shards in {folder} were written from another manifest: "
                "prepare with shards: True and without skip_prep"
            )

    def __call__(self, wav: str, start: int, stop: int) -> torch.Tensor:
        """Read one stretch.

        Arguments
        ---------
        wav : str
            Path of the cleaned recording; the file itself is not opened.
        start : int
            First sample in it.
        stop : int
            Sample after the last.

        Returns
        -------
        torch.Tensor
            (time,), float32.
        """
        parts = []
        name = wav.replace(self.data_root, "$data_root", 1)
        for first, last, shard, offset in self.index[name]:
            begin, end = max(start, first), min(stop, last)
            if begin < end:
                parts.append(
                    np.fromfile(
                        self.folder / shard,
                        dtype="<f4",
                        count=end - begin,
                        offset=offset + 4 * (begin - first),
                    )
                )
        return torch.from_numpy(np.concatenate(parts))


def _stretches(rows) -> list[list[str]]:
    """What of which recording a manifest holds."""
    return [[row["ID"], row["start"], row["stop"]] for row in rows]


def _stamps(rows, data_root) -> list:
    """Size and time of the audio: cleaned files change only as a whole."""
    paths = sorted(
        {row["wav"].replace("$data_root", str(data_root)) for row in rows}
    )
    stats = [Path(path).stat() for path in paths]
    return [[stat.st_size, stat.st_mtime_ns] for stat in stats]


def _read_json(path: Path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
