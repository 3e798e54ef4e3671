"""What the commands of ``siamese`` have in common: options, errors, answers."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from typing import TypeVar

import click

Answer = TypeVar("Answer")

# PyTorch takes seconds to import: what needs it is imported where it is used,
# so that --help and completion answer at once.


def told_errors(command):
    """Tell users' mistakes in one line instead of a traceback."""

    @functools.wraps(command)
    def run(*args, **kwargs):
        try:
            return command(*args, **kwargs)
        except (ValueError, OSError, ImportError) as error:
            failure = click.ClickException(str(error))
            failure.exit_code = 2
            raise failure from error

    return run


source_option = click.option(
    "--source",
    envvar="SIAMESE_SOURCE",
    required=True,
    metavar="EXPORT",
    help="Export folder, or <user>/<name> on the hub. Loaded without running "
    "any code of it. [environment: SIAMESE_SOURCE]",
)
trust_option = click.option(
    "--trust",
    is_flag=True,
    help="Load the export's hyperparams.yaml, which runs what it says: for "
    "exports without config.json that you have made yourself.",
)
gallery_option = click.option(
    "--gallery",
    "gallery_path",
    envvar="SIAMESE_GALLERY",
    type=click.Path(dir_okay=False),
    required=True,
    help="File of enrolled people; made where it is missing. [environment: "
    "SIAMESE_GALLERY]",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object."
)
files_argument = click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True)
)


def open_model(source: str, trust: bool = False):
    """The model of an export."""
    from speechbrain_siamese.inference.speaker import SiameseRecognition

    if trust:
        return SiameseRecognition.from_hparams(source=source)
    return SiameseRecognition.from_pretrained(source)


def tell(found: dict, as_json: bool, text: str) -> None:
    """Print an answer for a program or for a person."""
    answer = json.dumps(found, ensure_ascii=False) if as_json else text
    # It names files, whose names need not be UTF-8.
    click.echo(click.format_filename(answer))


def each_file(
    files: Sequence[str],
    ask: Callable[[str], Answer],
    answer: Callable[[str, Answer], bool],
) -> int:
    """Ask about each file; those that cannot be used are told and left out.

    What ``answer`` does with the answers says whether they are a yes; its
    errors, such as a full disk, end the job. Returns the exit code: 0 if all
    answers were yes, 1 if one was no, 2 if a file was left out. The error of a
    single file is raised.
    """
    code = 0
    for path in files:
        try:
            found = ask(path)
        except (ValueError, OSError) as error:
            if len(files) == 1:
                raise
            click.echo(f"left out: {path}: {error}", err=True)
            code = 2
            continue
        code = max(code, 0 if answer(path, found) else 1)
    return code
