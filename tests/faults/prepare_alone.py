"""The preparation that train.py begins with, and nothing else.

python prepare_alone.py hparams/siamese.yaml --data_folder=<folder> ...
"""

from __future__ import annotations

import sys
from pathlib import Path

import speechbrain as sb
from hyperpyyaml import load_hyperpyyaml

RECIPE = Path(__file__).parents[2] / "recipes" / "YouTubeSpeakers"
sys.path.insert(0, str(RECIPE))

KEYS = (
    "data_folder",
    "clips_folder",
    "exclude_speakers",
    "cleaning",
    "splits",
    "seed",
    "n_jobs",
    "joblib_backend",
    "shards",
)


def main(argv: list[str]) -> None:
    """Prepare as the YAML file and the command line say."""
    from youtube_prepare import prepare_youtube

    hparams_file, _, overrides = sb.parse_arguments(argv)
    with open(hparams_file, encoding="utf-8") as file:
        hparams = load_hyperpyyaml(file, overrides)
    prepare_youtube(
        save_folder=hparams["prepared_folder"],
        **{key: hparams[key] for key in KEYS},
    )


if __name__ == "__main__":
    main(sys.argv[1:])
