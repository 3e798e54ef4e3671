"""``siamese``: verify, enrol, identify and label from the command line.

Exit codes: 0 for yes or done, 1 for no (another voice, unknown), 2 for an
error, which is told in one line.
"""

from __future__ import annotations

import functools
import itertools
import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

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
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else text)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="speechbrain-siamese")
def main():
    """Who speaks? With a model that train.py has exported.

    Example: siamese verify --source=results/mine/export a.m4a b.wav
    """


@main.command()
@source_option
@trust_option
@json_option
@click.option(
    "--prior",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Probability of one voice before anything was heard.",
)
@click.argument("first", type=click.Path(exists=True, dir_okay=False))
@click.argument("second", type=click.Path(exists=True, dir_okay=False))
@told_errors
def verify(source, trust, as_json, prior, first, second):
    """Tell whether two files are one voice.

    Exits with 0 for one voice, 1 for two.

    Example: siamese verify --source=export a.m4a b.wav
    """
    found = open_model(source, trust).compare_files(first, second, prior)
    answer = "one voice" if found.same else "two voices"
    tell(
        asdict(found),
        as_json,
        f"{answer}: score {found.score:.3f}, probability of one voice "
        f"{100 * found.probability:.1f} %",
    )
    sys.exit(0 if found.same else 1)


@main.command()
@source_option
@trust_option
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False),
    help="NumPy file with files, embeddings and fingerprint.",
)
@files_argument
@told_errors
def embed(source, trust, output, files):
    """Write the embeddings of many files.

    Files that cannot be embedded are told and left out.

    Example: siamese embed --source=export --output=all.npz clips/*.wav
    """
    import numpy as np

    from speechbrain_siamese.utils.whole_file import whole_file

    model = open_model(source, trust)
    found, unusable = model.embed_files(files)
    for name, reason in unusable.items():
        click.echo(f"left out: {name}: {reason}", err=True)
    with whole_file(output) as partial, open(partial, "wb") as file:
        np.savez(
            file,
            files=np.array(list(found)),
            embeddings=np.stack(list(found.values())),
            fingerprint=np.array(model.fingerprint),
        )
    click.echo(f"{output}: {len(found)} embeddings")


@main.command()
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

    5 to 30 seconds of speech are enough.

    Example: siamese enroll --source=export --gallery=people.sqlite Sita a.m4a
    """
    gallery = open_model(source, trust).gallery(gallery_path)
    done = gallery.enroll(name, files, keep_audio)
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


@main.command()
@source_option
@trust_option
@gallery_option
@json_option
@click.option("--top", default=5, show_default=True, help="Names to tell.")
@click.option(
    "--threshold",
    type=float,
    help="Score above which the best one is named; without it whoever is more "
    "probable than all others and nobody of them together.",
)
@files_argument
@told_errors
def identify(source, trust, gallery_path, as_json, top, threshold, files):
    """Tell who speaks in files, among those enrolled.

    Exits with 0 if somebody was named in every file, 1 if somebody is unknown,
    2 if a file could not be used.

    Example: siamese identify --source=export --gallery=people.sqlite x.wav
    """
    gallery = open_model(source, trust).gallery(gallery_path)
    code = 0
    for path in files:
        try:
            found = gallery.identify(path, top, threshold)
        except (ValueError, OSError) as error:
            if len(files) == 1:
                raise
            click.echo(f"left out: {path}: {error}", err=True)
            code = 2
            continue
        lines = [f"{path}: {found.name or 'unknown'}"] + [
            f"  {one.name}: {100 * one.probability:.1f} %, "
            f"score {one.score:.3f}"
            for one in found.candidates
        ]
        tell({"file": path, **asdict(found)}, as_json, "\n".join(lines))
        code = max(code, 0 if found.name else 1)
    sys.exit(code)


@main.group()
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
@click.argument("name")
@told_errors
def remove(gallery_path, name):
    """Delete a person with every trace.

    Example: siamese gallery remove --gallery=people.sqlite Sita
    """
    open_store(gallery_path).remove(name)
    click.echo(f"{name} is removed")


@gallery.command()
@gallery_option
@click.argument("old")
@click.argument("new")
@told_errors
def rename(gallery_path, old, new):
    """Give a person another name.

    Example: siamese gallery rename --gallery=people.sqlite Sita "Sita Devi"
    """
    from speechbrain_siamese.inference.gallery import checked_name

    open_store(gallery_path).rename(old, checked_name(new))
    click.echo(f"{old} is now {new}")


@gallery.command(name="re-enroll")
@source_option
@trust_option
@gallery_option
@click.argument("new", type=click.Path(dir_okay=False))
@told_errors
def re_enroll(source, trust, gallery_path, new):
    """Make a gallery anew for another model, from its clips.

    The old one stays as it is. Exits with 1 if clips were lost.

    Example: siamese gallery re-enroll --source=better/export
    --gallery=people.sqlite new.sqlite
    """
    from speechbrain_siamese.inference.re_enrolment import re_enroll

    made, lost = re_enroll(open_model(source, trust), gallery_path, new)
    for name, clips in lost.items():
        for clip, reason in clips.items():
            click.echo(f"lost: {name}: {clip}: {reason}", err=True)
    click.echo(f"{new}: {len(made.list())} people")
    sys.exit(1 if lost else 0)


@main.command()
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


@main.command()
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

    targets = label_targets(files, outputs, output_folder)
    model = open_model(source, trust)
    gallery = None
    if gallery_path and Path(gallery_path).exists():
        gallery = model.gallery(gallery_path)
    elif gallery_path:
        click.echo(f"there is no {gallery_path}: nobody is named", err=True)
    model.check_label(gallery, recall, online)
    code = 0
    for path, own in zip(files, targets, strict=True):
        try:
            found = model.label(path, gallery, recall, online, progress=True)
        except (ValueError, OSError) as error:
            if len(files) == 1:
                raise
            click.echo(f"left out: {path}: {error}", err=True)
            code = 2
            continue
        for target, recording in own:
            write_labels(target, found, recording)
        told = [asdict(one) for one in found]
        lines = [f"{path}:"] + [
            f"{one.start:9.2f} {one.end:9.2f}  {one.speaker}" for one in found
        ]
        tell({"file": path, "segments": told}, as_json, "\n".join(lines))
    sys.exit(code)


def label_targets(files, outputs, folder):
    """What is written of each file: paths, and the recording's name."""
    from speechbrain_siamese.inference.label_files import check_ending

    for output in outputs:
        check_ending(output)
    if outputs and len(files) > 1:
        raise ValueError(
            f"--output is for one recording, {len(files)} are given: use "
            "--output-folder"
        )
    targets = []
    for path, name in zip(files, names_apart(files), strict=True):
        targets.append([(output, Path(path).stem) for output in outputs])
        if folder:
            targets[-1].append((Path(folder) / f"{name}.rttm", name))
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


@main.command()
@source_option
@trust_option
@json_option
@click.option(
    "--audio-folder",
    type=click.Path(exists=True, file_okay=False),
    help="Where the list's paths begin; its own folder if not given.",
)
@click.argument("trials", type=click.Path(exists=True, dir_okay=False))
@told_errors
def evaluate(source, trust, as_json, audio_folder, trials):
    """Score a trial list: EER, minDCF and more.

    Lines of the list are "1 enrol.wav test.wav" (1 for one voice, 0 for two).
    evaluate.py of the repository makes a whole report.

    Example: siamese evaluate --source=export --audio-folder=clips trials.txt
    """
    from speechbrain_siamese.inference.evaluate import score_trials

    found = score_trials(
        open_model(source, trust), trials, audio_folder or Path(trials).parent
    )
    lines = [f"{key}: {value}" for key, value in found.items()]
    tell(found, as_json, "\n".join(lines))


@main.command()
@source_option
@trust_option
@click.option(
    "--onnx",
    type=click.Path(dir_okay=False),
    required=True,
    help="Where to write the ONNX file.",
)
@told_errors
def export(source, trust, onnx):
    """Write the encoder for machines without PyTorch.

    Input wavs (batch, time), output embeddings (batch, dim). Needs [onnx].

    Example: siamese export --source=export --onnx=model.onnx
    """
    from speechbrain_siamese.utils.onnx_export import export_onnx

    model = open_model(source, trust)
    export_onnx(model.mods.compute_features, model.mods.embedding_model, onnx)
    click.echo(f"{onnx}: written")


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell):
    """Print what makes a shell complete this command.

    Example: siamese completion bash > ~/.local/share/bash-completion/siamese
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)(main, {}, "siamese", "_SIAMESE_COMPLETE")
    click.echo(made.source())


if __name__ == "__main__":
    main()
