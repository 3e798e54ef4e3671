"""``siamese push``: share a model."""

from __future__ import annotations

import click

from speechbrain_siamese.commands.common import json_option, tell, told_errors


@click.command()
@json_option
@click.option(
    "--language",
    multiple=True,
    required=True,
    help="Code of a language that it has heard: ne. May be given again.",
)
@click.option(
    "--license",
    "licence",
    required=True,
    help="As the hub calls it: cc-by-4.0.",
)
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    help="On the hub, from which it has learnt. May be given again.",
)
@click.option(
    "--keep-names",
    is_flag=True,
    help="Publish the names of the training speakers; numbers otherwise.",
)
@click.option("--private", is_flag=True, help="For your own eyes.")
@click.argument("export", type=click.Path(exists=True, file_okay=False))
@click.argument("hub_id")
@told_errors
def push(
    as_json, language, licence, datasets, keep_names, private, export, hub_id
):
    """Put an export on the hub, where others load it by its name.

    Only what training has exported is sent, no gallery. You must be logged in
    (hf auth login), and those who speak must have agreed: what their voices
    are like is in the model.

    Example: siamese push --language=ne --license=cc-by-4.0 export sita/voices
    """
    from speechbrain_siamese.utils.push import push as push_export

    address = push_export(
        export, hub_id, language, licence, datasets, keep_names, private
    )
    tell({"address": address}, as_json, address)
