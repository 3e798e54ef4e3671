"""Data preparation: from a folder of recordings to SpeechBrain manifests.

    <data_folder>/<speaker>/<recording>.<ext>     long recordings, any format
    <data_folder>/speakers.csv                    optional: speaker,name,gender

become, in the save folder,

    clean/<speaker>/<session>.wav      silence and ends removed
    held_out/<role>/<speaker>/*.wav    utterances for validation and test
    train.csv, valid.csv, test.csv     manifests
    trials_<question>.txt              trial lists, VoxCeleb's format
    rejected.csv                       recordings that could not be used
    README.md                          dataset card, with its gaps named
    report.html, report.csv            what the corpus holds, and what to check
    speakers.csv                       ids and display names
    preparation.json                   what all this was made from
    shards/                            training speech again, if asked for

The logic is in ``speechbrain_siamese.dataio``; this file connects it. train.py
begins with it. To prepare and look at the report without training, with the
same arguments:

> python youtube_prepare.py hparams/siamese.yaml --data_folder=<your recordings>
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path

import speechbrain as sb
from hyperpyyaml import load_hyperpyyaml, resolve_references
from ruamel.yaml import YAML
from speechbrain.utils.logger import get_logger

from speechbrain_siamese.corpus_report.card import write_dataset_card
from speechbrain_siamese.corpus_report.page import write_report
from speechbrain_siamese.dataio.clean_recording import CleanRecording
from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.corpus import clean_corpus, write_rejected
from speechbrain_siamese.dataio.manifests import read_rows
from speechbrain_siamese.dataio.preparation import (
    NOTE,
    check_prepared,
    claim_prepared,
    fingerprint_of,
    is_prepared,
    would_replace,
    write_preparation,
)
from speechbrain_siamese.dataio.recordings import CLIP, find_corpus
from speechbrain_siamese.dataio.shards import write_shards
from speechbrain_siamese.dataio.split_files import write_split_files
from speechbrain_siamese.dataio.splits import SplitSettings
from speechbrain_siamese.dataio.user_tables import nfc
from speechbrain_siamese.utils.resume import DATA, check_no_other_training
from speechbrain_siamese.utils.whole_file import remove_partials

logger = get_logger(__name__)

#: What a training's YAML file says of its preparation.
SETTINGS = (
    "data_folder",
    "demo_folder",
    "clips_folder",
    "exclude_speakers",
    "shards",
    "n_jobs",
    "joblib_backend",
    "prepared_folder",
    "save_folder",
    "cleaning",
    "splits",
    "seed",
)


def prepare_youtube(
    data_folder: str,
    save_folder: str,
    cleaning: CleaningSettings,
    splits: SplitSettings,
    seed: int,
    clips_folder: str | None = None,
    exclude_speakers: str | None = None,
    n_jobs: int = 1,
    joblib_backend: dict | None = None,
    shards: bool = False,
    skip_prep: bool = False,
    check: Callable[[str], object] | None = None,
) -> None:
    """Prepare recordings for training; does nothing where nothing changed.

    Arguments
    ---------
    data_folder : str
        The recordings, one folder per speaker.
    save_folder : str
        Where everything is written.
    cleaning : CleaningSettings
        Rate, cuts and silence removal of the recordings.
    splits : SplitSettings
        What is held out.
    seed : int
        Decides who is held out.
    clips_folder : str or None
        Further speakers of whom there are only short clips, in the same
        layout. Their ends are not cut, and they only train.
    exclude_speakers : str or None
        Text file with the name of a speaker's folder per line: these are left
        out of both folders.
    n_jobs : int
        Recordings cleaned at the same time, -1 for one per core.
    joblib_backend : dict or None
        Settings of ``joblib.parallel_config`` for a cluster, such as
        ``{"backend": "dask", "scheduler_host": "host:8786"}``.
    shards : bool
        Also write the training speech as WebDataset shards.
    skip_prep : bool
        Take what an earlier run has prepared.
    check : Callable or None
        Called with the fingerprint of what is to be prepared, before anything
        that training reads is replaced; may raise.

    Raises
    ------
    ValueError
        If the input is unusable: no recordings, fewer than two speakers, or
        nothing prepared with ``skip_prep``; or if ``save_folder`` holds files
        of the user's that would be replaced.
    """
    save = Path(save_folder)
    if skip_prep:
        check_prepared(save, cleaning.sample_rate)
        return
    claim_prepared(save, data_folder, clips_folder)
    remove_partials(save)
    recordings, of_clips = _find(
        data_folder, clips_folder, _read_names(exclude_speakers)
    )
    settings = {
        "cleaning": asdict(cleaning),
        "splits": asdict(splits),
        "seed": seed,
    }
    sessions = [item.session for item in chain(recordings, of_clips)]
    if check and would_replace(save, settings, sessions):
        check("other settings")
    long_ones, rejected_long = clean_corpus(
        recordings,
        save / "clean",
        cleaning,
        n_jobs,
        joblib_backend,
    )
    rejected = list(rejected_long)
    short_ones: list[CleanRecording] = []
    # Also without any: clips that are no longer given are removed.
    if of_clips or (save / "clean_clips").is_dir():
        uncut = replace(
            cleaning, trim_start=0.0, trim_end=0.0, cut_recurring=False
        )
        short_ones, rejected_clips = clean_corpus(
            of_clips,
            save / "clean_clips",
            uncut,
            n_jobs,
            joblib_backend,
        )
        rejected += [_as_clip(item) for item in rejected_clips]
    if rejected:
        logger.warning(
            "%d recording(s) cannot be used, for example %s (%s); all are "
            "listed in %s",
            len(rejected),
            rejected[0].recording.path,
            rejected[0].reason,
            save / "rejected.csv",
        )

    fingerprint = fingerprint_of(long_ones, short_ones, rejected, settings)
    if is_prepared(save, fingerprint):
        logger.info("%s: nothing has changed, nothing to prepare", save)
    else:
        if check:
            check(fingerprint)
        (save / NOTE).unlink(missing_ok=True)
        write_rejected(rejected, save / "rejected.csv")
        # Before what may refuse the corpus: then it is needed most.
        clips = [_as_clip(item) for item in short_ones]
        write_report(long_ones, rejected, cleaning.sample_rate, save, clips)
        write_dataset_card(
            [*long_ones, *clips], cleaning.sample_rate, save / "README.md"
        )
        write_split_files(
            save, long_ones, clips, cleaning.sample_rate, splits, seed
        )
        write_preparation(save, fingerprint, settings, sessions)
    if shards:
        write_shards(
            read_rows(save / "train.csv"),
            save,
            save / "shards",
            cleaning.sample_rate,
            seed,
        )


def _as_clip(item):
    """The same with its session in the corpus: a recording may be called so."""
    session = item.recording.session + CLIP
    return replace(item, recording=replace(item.recording, session=session))


def _find(data_folder: str, clips_folder: str | None, excluded: set[str]):
    """Recordings and clips, without those of excluded people."""
    found = find_corpus(data_folder, clips_folder)

    def names(item):
        return {nfc(item.path.parent.name), item.speaker}

    unknown = excluded.difference(*map(names, chain(*found)))
    if unknown:
        logger.warning(
            "exclude_speakers names %d people of whom there is no folder: %s",
            len(unknown),
            ", ".join(sorted(unknown)[:10]),
        )
    return [
        [item for item in items if not names(item) & excluded]
        for items in found
    ]


def _read_names(path: str | None) -> set[str]:
    """Names in a text file, one per line."""
    if not path:
        return set()
    if not Path(path).is_file():
        raise ValueError(
            f"exclude_speakers names {path}, which is not a file; expected a "
            "text file with the name of a speaker's folder per line"
        )
    try:
        # Editors on Windows put a byte order mark in front of UTF-8.
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"exclude_speakers names {path}, which is not UTF-8 ({error}): "
            "save it as UTF-8"
        ) from error
    return {nfc(line.strip()) for line in lines if line.strip()}


def read_settings(hparams_file: str, overrides: str) -> dict:
    """What a YAML file says of the preparation; nothing else of it is built.

    Its model may want weights from the net, and its checkpointer would tidy up
    the folder of a training that runs.
    """
    with open(hparams_file, encoding="utf-8") as file:
        text = resolve_references(file, overrides, overrides_must_match=True)
    yaml, asked = YAML(), io.StringIO()
    told = yaml.load(text)
    yaml.dump({name: told[name] for name in SETTINGS if name in told}, asked)
    return load_hyperpyyaml(asked.getvalue())


def main(argv: list[str]) -> None:
    """Prepare as the YAML file and the command line say, and no more."""
    hparams_file, _, overrides = sb.parse_arguments(argv)
    hparams = read_settings(hparams_file, overrides)
    if hparams["data_folder"] == hparams.get("demo_folder"):
        raise ValueError(
            "no recordings are named: give --data_folder=<folder>, with one "
            "folder per speaker in it"
        )
    save = Path(hparams["prepared_folder"])
    try:
        prepare_youtube(
            data_folder=hparams["data_folder"],
            save_folder=str(save),
            cleaning=hparams["cleaning"],
            splits=hparams["splits"],
            seed=hparams["seed"],
            clips_folder=hparams["clips_folder"],
            exclude_speakers=hparams["exclude_speakers"],
            n_jobs=hparams["n_jobs"],
            joblib_backend=hparams["joblib_backend"],
            shards=hparams["shards"],
            # Before what the checkpoints were trained on is replaced.
            check=lambda fingerprint: check_no_other_training(
                hparams["save_folder"], {DATA: fingerprint}
            ),
        )
    finally:
        # It is written before what may refuse the corpus.
        if (save / "report.html").is_file():
            print(f"what the corpus holds: {save / 'report.html'}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError, ImportError) as user_error:
        print(f"error: {user_error}", file=sys.stderr)
        sys.exit(2)
