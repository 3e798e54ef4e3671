"""``siamese changes`` and ``label``: who speaks when in a recording."""

from __future__ import annotations

import itertools
import sys
from dataclasses import asdict
from pathlib import Path

import click
from click.core import ParameterSource

from speechbrain_siamese.commands.common import (
    check_gallery_is_there,
    files_argument,
    json_option,
    open_model,
    source_option,
    tell,
    tell_left_out,
    told_errors,
    trust_option,
)


@click.command()
@source_option
@trust_option
@json_option
@click.option(
    "--recall",
    type=float,
    help="Share of the changes to find, 0.5 to 0.99: a higher one finds more, "
    "and more that are none.",
)
@click.argument("path", type=click.Path(exists=True, dir_okay=False))
@told_errors
def changes(source, trust, as_json, recall, path):
    """Tell where the speaker changes in a recording, in seconds.

    Example: siamese changes --source=export --recall=0.95 interview.m4a
    """
    found = open_model(source, trust).detect_changes(
        path, recall, progress=True
    )
    tell(
        {"file": path, "changes": found},
        as_json,
        "\n".join(f"{time:.2f}" for time in found),
    )


@click.command()
@source_option
@trust_option
@json_option
@click.option(
    "--gallery",
    "gallery_path",
    envvar="SIAMESE_GALLERY",
    type=click.Path(dir_okay=False),
    help="File of enrolled people, whose names are told where they speak; "
    "without it voices have numbers. [environment: SIAMESE_GALLERY]",
)
@click.option(
    "--recall",
    type=float,
    help="Share of the changes to find, 0.5 to 0.99; not with --online.",
)
@click.option(
    "--online",
    is_flag=True,
    help="As for a live stream, which knows nothing of what comes later.",
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    type=click.Path(dir_okay=False),
    help="File to write, of one recording: .rttm, .txt (Audacity's labels), "
    ".vtt (WebVTT), .json or .png (a picture). May be given several times.",
)
@click.option(
    "--output-folder",
    type=click.Path(file_okay=False),
    help="Folder for an .rttm file of each recording.",
)
@files_argument
@told_errors
def label(
    source,
    trust,
    as_json,
    gallery_path,
    recall,
    online,
    outputs,
    output_folder,
    files,
):
    """Tell who speaks when.

    Files that cannot be labelled are told and left out; it then exits with 2.

    Example: siamese label --source=export --output=talk.rttm talk.m4a
    """
    from speechbrain_siamese.inference.label_files import write_labels
    from speechbrain_siamese.utils.whole_file import remove_partials_of

    files = list(dict.fromkeys(files))
    targets = label_targets(files, outputs, output_folder)
    if gallery_path and not Path(gallery_path).is_file():
        given = click.get_current_context().get_parameter_source("gallery_path")
        if given is ParameterSource.COMMANDLINE:
            check_gallery_is_there(gallery_path)
        click.echo(f"there is no {gallery_path}: nobody is named", err=True)
        gallery_path = None
    model = open_model(source, trust)
    gallery = model.gallery(gallery_path) if gallery_path else None
    model.check_label(gallery, recall, online)

    code = 0
    for path in files:
        try:
            found = model.label(path, gallery, recall, online, progress=True)
        except (ValueError, OSError) as error:
            if len(files) == 1:
                raise
            tell_left_out(path, error, as_json)
            code = 2
            continue
        told = [asdict(one) for one in found]
        lines = [f"{path}:"] + [
            f"{one.start:9.2f} {one.end:9.2f}  {one.speaker}" for one in found
        ]
        # Before it is written: the disk may be full by then, which ends it.
        tell({"file": path, "segments": told}, as_json, "\n".join(lines))
        for target, recording in targets[path]:
            remove_partials_of(target)
            write_labels(target, found, recording)
    sys.exit(code)


def label_targets(files, outputs, folder):
    """What is written of each file, by its path: paths, recording's name."""
    from speechbrain_siamese.inference.label_files import check_ending
    from speechbrain_siamese.utils.whole_file import check_writable

    for output in outputs:
        check_ending(output)
    if outputs and len(files) > 1:
        raise ValueError(
            f"--output is for one recording, {len(files)} are given: use "
            "--output-folder"
        )
    targets = {}
    for path, name in zip(files, names_apart(files), strict=True):
        targets[path] = [(output, Path(path).stem) for output in outputs]
        if folder:
            targets[path].append((Path(folder) / f"{name}.rttm", name))
        for target, _ in targets[path]:
            check_writable(target)
    return targets


def names_apart(files):
    """Names of recordings; those after the first of a name are numbered."""
    seen = set()
    for path in files:
        stem = name = Path(path).stem
        for number in itertools.count(2):
            if name not in seen:
                break
            name = f"{stem}_{number}"
        seen.add(name)
        yield name
