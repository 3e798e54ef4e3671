"""Enrols people one after the other, and notes who is confirmed.

    python enrol_many.py <export> <gallery> <log> <first letters> <count>

Run, and killed, by test_gallery_kills.py; those that are noted are left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from speechbrain_siamese.inference.speaker import SiameseRecognition


def main(export: str, path: str, log: str, letters: str, count: str) -> None:
    """Enrol ``<letters>0`` and so on."""
    torch.set_num_threads(1)
    gallery = SiameseRecognition.from_pretrained(export).gallery(path)
    done = set(Path(log).read_text().split())
    with open(log, "a") as file:
        for number in range(int(count)):
            name = f"{letters}{number}"
            if name in done:
                continue
            generator = torch.Generator().manual_seed(number)
            clips = 0.1 * torch.randn(2, 12_000, generator=generator)
            gallery.enroll(name, [*clips])
            file.write(f"{name}\n")
            file.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
