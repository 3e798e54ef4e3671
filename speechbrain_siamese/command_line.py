"""``siamese``: verify, enrol, identify and label from the command line.

Exit codes: 0 for yes or done, 1 for no (another voice, unknown), 2 for an
error, which is told in one line, and where a file was left out, 130 where the
keyboard interrupted.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from speechbrain_siamese.commands.common import (
    files_argument,
    json_option,
    open_model,
    source_option,
    tell,
    tell_left_out,
    told_errors,
    trust_option,
)
from speechbrain_siamese.commands.corpus import audit
from speechbrain_siamese.commands.demo import demo
from speechbrain_siamese.commands.hub import push
from speechbrain_siamese.commands.people import enroll, gallery, identify
from speechbrain_siamese.commands.time_line import changes, label


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="speechbrain-siamese")
def main():
    """Who speaks? With a model that train.py has exported.

    Example: siamese verify --source=results/mine/export a.m4a b.wav
    """


for command in (
    audit,
    enroll,
    identify,
    gallery,
    changes,
    label,
    demo,
    push,
):
    main.add_command(command)


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
@click.argument("first", type=click.Path())
@files_argument
@told_errors
def verify(source, trust, as_json, prior, first, files):
    """Tell whether a file is of one voice with another, or with each of many.

    Exits with 0 for one voice, 1 if any is another one, 2 if a file could not
    be used.

    Example: siamese verify --source=export a.m4a b.wav
    """
    model, code = open_model(source, trust), 0
    if len(files) == 1:
        # A text might be asked for at the hub.
        pair = Path(first), Path(files[0])
        compared, unusable = [model.compare_files(*pair, prior)], {}
    else:
        compared, unusable = model.compare_pairs(
            [(first, file) for file in files], prior
        )
        if first in unusable:
            raise ValueError(unusable[first])
    for file, found in zip(files, compared, strict=True):
        if found is None:
            tell_left_out(file, unusable[file], as_json)
            code = 2
            continue
        answer = "one voice" if found.same else "two voices"
        text = (
            f"{answer}: score {found.score:.3f}, probability of one voice "
            f"{100 * found.probability:.1f} %"
        )
        several = len(files) > 1
        tell(
            {**({"file": file} if several else {}), **asdict(found)},
            as_json,
            f"{file}: {text}" if several else text,
        )
        code = max(code, 0 if found.same else 1)
    sys.exit(code)


@main.command()
@source_option
@trust_option
@json_option
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False),
    help="NumPy file with files, embeddings and fingerprint.",
)
@files_argument
@told_errors
def embed(source, trust, as_json, output, files):
    """Write the embeddings of many files.

    Files that cannot be embedded are told and left out; it then exits with 2.

    Example: siamese embed --source=export --output=all.npz clips/*.wav
    """
    import numpy as np

    from speechbrain_siamese.utils.whole_file import (
        check_writable,
        remove_partials_of,
        whole_file,
    )

    # Of --output clips/*.wav the first would be overwritten.
    if Path(output).suffix != ".npz":
        raise ValueError(
            f"embeddings cannot be written to {output}: its name has to end "
            "in .npz (NumPy)"
        )
    check_writable(output)
    remove_partials_of(output)
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
    tell(
        {"output": output, "embeddings": len(found), "left_out": unusable},
        as_json,
        f"{output}: {len(found)} embeddings",
    )
    sys.exit(2 if unusable else 0)


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
    evaluate.py of the repository makes a whole report. Trials of a file that
    cannot be used are left out; it then exits with 2.

    Example: siamese evaluate --source=export --audio-folder=clips trials.txt
    """
    from speechbrain_siamese.inference.evaluate import score_trials

    found, unusable = score_trials(
        open_model(source, trust), trials, audio_folder or Path(trials).parent
    )
    for name, reason in unusable.items():
        click.echo(f"left out: {name}: {reason}", err=True)
    lines = [f"{key}: {value}" for key, value in found.items()]
    tell(found, as_json, "\n".join(lines))
    sys.exit(2 if unusable else 0)


@main.command()
@source_option
@trust_option
@json_option
@click.option(
    "--onnx",
    type=click.Path(dir_okay=False),
    required=True,
    help="Where to write the ONNX file.",
)
@told_errors
def export(source, trust, as_json, onnx):
    """Write the encoder for machines without PyTorch.

    Input wavs (batch, time), output embeddings (batch, dim). Needs [onnx].

    Example: siamese export --source=export --onnx=model.onnx
    """
    from speechbrain_siamese.inference.long_files import batches_exactly
    from speechbrain_siamese.utils.onnx_export import export_onnx
    from speechbrain_siamese.utils.whole_file import remove_partials_of

    remove_partials_of(onnx)
    model = open_model(source, trust)
    if not batches_exactly(model):
        modules = model.mods
        raise ValueError(
            f"{source} encodes by {type(modules.embedding_model).__name__} on "
            f"{type(modules.compute_features).__name__}, expected the DenseNet "
            "of hparams/siamese.yaml on LogMel: only that can be written as "
            "ONNX. Train one, or run this model with PyTorch"
        )
    export_onnx(model.mods.compute_features, model.mods.embedding_model, onnx)
    tell({"onnx": onnx}, as_json, f"{onnx}: written")


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell):
    """Print what makes a shell complete this command.

    Example: siamese completion bash >
    ~/.local/share/bash-completion/completions/siamese
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)(main, {}, "siamese", "_SIAMESE_COMPLETE")
    click.echo(made.source())


if __name__ == "__main__":
    main()
