"""What the commands of ``siamese`` have in common: options, errors, answers."""

from __future__ import annotations

import functools
import json
import sys
import traceback
from pathlib import Path

import click
from click.exceptions import Exit

#: Exit code of who was told to stop by the keyboard, as shells have it.
INTERRUPTED = 130

# PyTorch takes seconds to import: what needs it is imported where it is used,
# so that --help and completion answer at once.


def told_errors(command):
    """Tell users' mistakes in one line instead of a traceback.

    Nothing that goes wrong ends with 1, which is an answer.
    """

    @functools.wraps(command)
    def run(*args, **kwargs):
        try:
            return command(*args, **kwargs)
        except (ValueError, OSError, ImportError) as error:
            failure = click.ClickException(str(error))
            failure.exit_code = 2
            raise failure from error
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            sys.exit(INTERRUPTED)
        except Exception as error:
            if not isinstance(error, (click.ClickException, Exit, click.Abort)):
                # A mistake of ours, or of the machine.
                traceback.print_exc()
                sys.exit(2)
            raise

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
    help="File of enrolled people. [environment: SIAMESE_GALLERY]",
)
json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON: one object, of several files one a line.",
)
# What is not there is told and left out as any other bad file is.
files_argument = click.argument(
    "files", nargs=-1, required=True, type=click.Path()
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


def tell_left_out(path: str, reason: object, as_json: bool) -> None:
    """Tell that a file could not be used, to programs in its own row."""
    click.echo(f"left out: {path}: {reason}", err=True)
    if as_json:
        tell({"file": path, "error": str(reason)}, as_json, "")


def check_gallery_is_there(path: str) -> None:
    """Refuse a path of no gallery: a typing mistake must not make one."""
    if not Path(path).is_file():
        raise ValueError(
            f"there is no gallery {path}: enroll someone first, or mend the "
            "path"
        )
