"""``siamese enroll``, ``identify`` and ``gallery``: people who have names."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict

import click

from speechbrain_siamese.commands.common import (
    check_gallery_is_there,
    files_argument,
    gallery_option,
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
@gallery_option
@json_option
@click.option(
    "--keep-audio", is_flag=True, help="Keep the clips in the gallery, too."
)
@click.argument("name")
@files_argument
@told_errors
def enroll(source, trust, gallery_path, as_json, keep_audio, name, files):
    """Add a person, or clips to one who is enrolled.

    A gallery that is not there yet is made. 5 to 30 seconds of speech are
    enough. Exits with 2 if a file was refused; the others are enrolled.

    Example: siamese enroll --source=export --gallery=people.sqlite Sita a.m4a
    """
    # Path.is_file() ends in an error where a name is too long for a file.
    if os.path.isfile(name):
        # Of clips/*.wav the first would be the name of the others.
        raise ValueError(
            f"{name} is a file, expected a person's name before the files: "
            f"siamese enroll NAME {name} ..."
        )
    gallery = open_model(source, trust).gallery(gallery_path)
    done = gallery.enroll(name, files, keep_audio, progress=True)
    for clip, reason in done.refused.items():
        click.echo(f"refused: {clip}: {reason}", err=True)
    for clip, doubts in done.warnings.items():
        for doubt in doubts:
            click.echo(f"doubtful: {clip}: {doubt}", err=True)
    tell(
        asdict(done),
        as_json,
        f"{done.name}: {done.added} new clips, {done.seconds:.1f} s",
    )
    sys.exit(2 if done.refused else 0)


@click.command()
@source_option
@trust_option
@gallery_option
@json_option
@click.option(
    "--top",
    default=5,
    show_default=True,
    type=click.IntRange(1),
    help="Names to tell.",
)
@click.option(
    "--threshold",
    type=float,
    help="Score, of the normalised ones where those are told, above which the "
    "best one is named; without it whoever is more probable than all others "
    "and nobody of them together.",
)
@files_argument
@told_errors
def identify(source, trust, gallery_path, as_json, top, threshold, files):
    """Tell who speaks in files, among those enrolled.

    Exits with 0 if somebody was named in every file, 1 if somebody is unknown,
    2 if a file could not be used.

    Example: siamese identify --source=export --gallery=people.sqlite x.wav
    """
    check_gallery_is_there(gallery_path)
    model = open_model(source, trust)
    gallery = model.gallery(gallery_path)
    if not gallery.list():
        raise ValueError(
            f"nobody is enrolled in {gallery_path}: enroll someone first"
        )
    voices, unusable = model.voices_of_files(files)
    code = 2 if unusable else 0
    for path in dict.fromkeys(files):
        if path in unusable:
            tell_left_out(path, unusable[path], as_json)
            continue
        found = gallery.identify_embedding(voices[path], top, threshold)
        lines = [f"{path}: {found.name or 'unknown'}"] + [
            f"  {one.name}: {100 * one.probability:.1f} %, "
            f"score {one.score:.3f}"
            + (
                ""
                if one.normalised is None
                else f", normalised {one.normalised:.3f}"
            )
            for one in found.candidates
        ]
        tell({"file": path, **asdict(found)}, as_json, "\n".join(lines))
        code = max(code, 0 if found.name else 1)
    sys.exit(code)


@click.group()
def gallery():
    """List, remove and rename enrolled people.

    Example: siamese gallery list --gallery=people.sqlite
    """


def open_store(path):
    """A gallery's file, without any model."""
    from speechbrain_siamese.inference.gallery_store import GalleryStore

    return GalleryStore.any_model(path)


@gallery.command(name="list")
@gallery_option
@json_option
@told_errors
def list_people(gallery_path, as_json):
    """List who is enrolled.

    Example: siamese gallery list --gallery=people.sqlite
    """
    people = open_store(gallery_path).people()
    lines = [f"{p.name}: {p.clips} clips, {p.seconds:.1f} s" for p in people]
    tell(
        {"people": [asdict(person) for person in people]},
        as_json,
        "\n".join(lines) or "nobody is enrolled",
    )


@gallery.command()
@gallery_option
@json_option
@click.argument("name")
@told_errors
def remove(gallery_path, as_json, name):
    """Delete a person with every trace.

    Example: siamese gallery remove --gallery=people.sqlite Sita
    """
    from speechbrain_siamese.inference.enrolled import looked_up_name

    name = looked_up_name(name)
    open_store(gallery_path).remove(name)
    tell({"removed": name}, as_json, f"{name} is removed")


@gallery.command()
@gallery_option
@json_option
@click.argument("old")
@click.argument("new")
@told_errors
def rename(gallery_path, as_json, old, new):
    """Give a person another name.

    Example: siamese gallery rename --gallery=people.sqlite Sita "Sita Devi"
    """
    from speechbrain_siamese.inference.enrolled import (
        checked_name,
        looked_up_name,
    )

    old, new = looked_up_name(old), checked_name(new)
    open_store(gallery_path).rename(old, new)
    tell({"old": old, "new": new}, as_json, f"{old} is now {new}")


@gallery.command(name="re-enroll")
@source_option
@trust_option
@gallery_option
@json_option
@click.argument("new", type=click.Path(dir_okay=False))
@told_errors
def re_enroll(source, trust, gallery_path, as_json, new):
    """Make a gallery anew for another model, from its clips.

    The old one stays as it is. Exits with 2 if clips were lost.

    Example: siamese gallery re-enroll --source=better/export
    --gallery=people.sqlite new.sqlite
    """
    from speechbrain_siamese.inference.re_enrolment import re_enroll
    from speechbrain_siamese.utils.whole_file import remove_partials_of

    remove_partials_of(new)
    made, lost = re_enroll(open_model(source, trust), gallery_path, new)
    for name, clips in lost.items():
        for clip, reason in clips.items():
            # A gallery of somebody else's may hold what commands a terminal.
            click.echo(f"lost: {name!r}: {clip!r}: {reason}", err=True)
    people = len(made.list())
    tell(
        {"gallery": new, "people": people, "lost": lost},
        as_json,
        f"{new}: {people} people",
    )
    sys.exit(2 if lost else 0)
