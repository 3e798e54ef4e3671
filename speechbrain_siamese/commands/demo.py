"""``siamese demo``: a page where anyone can try a voice."""

from __future__ import annotations

import click

from speechbrain_siamese.commands.common import (
    open_model,
    source_option,
    told_errors,
    trust_option,
)


@click.command()
@source_option
@trust_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. 0.0.0.0 lets in everybody who reaches this "
    "machine.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="7860 or the next one that is free, if not given.",
)
@told_errors
def demo(source, trust, host, port):
    """Show a page where anyone can try a voice.

    Compare two clips, enrol people, ask who it is, see who speaks when in a
    long recording. What visitors give is deleted when they close the page.
    Needs [page].

    Example: siamese demo --source=results/mine/export
    """
    from speechbrain_siamese.demo_page.page import need_gradio
    from speechbrain_siamese.demo_page.serving import serve

    def ready(address):
        click.echo(f"open {address} in a browser; Ctrl-C ends the page")

    # Before the model is loaded, which takes long.
    need_gradio()
    serve(open_model(source, trust), host, port, ready)
