"""Shows the page until it is told to end, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from speechbrain_siamese.demo_page.page import build_page, need_gradio
from speechbrain_siamese.demo_page.questions import Questions
from speechbrain_siamese.demo_page.recordings import MOST_MEGABYTES
from speechbrain_siamese.demo_page.sessions import Sessions, own_folder

if TYPE_CHECKING:
    import gradio

    from speechbrain_siamese.inference.speaker import SiameseRecognition

#: Seconds between two looks at what nobody uses.
SWEEP_EVERY = 60.0

#: Pages whose fields Gradio remembers.
MOST_PAGES = 64

#: Signals that end the page; Windows has no SIGHUP.
ENDS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
]

#: What systems have: no font is fetched.
FONTS = ("system-ui", "Noto Sans", "Noto Sans Devanagari", "sans-serif")

_STYLE = Path(__file__).with_name("page.css")

#: Style sheets reach only what is within the page's outermost margin.
_NARROW = """<style>@media (max-width: 640px) {
.gradio-container .main { padding: 1rem .75rem !important; }
}</style>"""


def serve(
    model: SiameseRecognition,
    host: str = "127.0.0.1",
    port: int | None = None,
    ready: Callable[[str], None] = print,
) -> None:
    """Show the page until the process is told to end.

    Call it in the main thread, before Gradio is imported.

    Arguments
    ---------
    model : SiameseRecognition
    host : str
        Address to listen on: that of this machine alone unless told.
    port : int or None
        None for 7860, or the next one that is free.
    ready : Callable
        Is told the page's address.

    Raises
    ------
    ImportError
        If Gradio is missing.
    ValueError
        If the model cannot tell probabilities, or the port is taken.
    """
    _ = model.decision  # of an old export: says what to do
    with own_folder() as folder:
        sessions = Sessions(folder)
        # Gradio reads these when it is imported; the second keeps it from
        # sending out how it is used.
        os.environ["GRADIO_TEMP_DIR"] = str(sessions.uploads)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        need_gradio()
        over = threading.Event()
        # Whoever ends it with kill, too, leaves no voices behind.
        before = {
            number: signal.signal(number, lambda *_: over.set())
            for number in ENDS
        }
        page = build_page(Questions(model, sessions))
        try:
            ready(_launch(page, host, port))
            while not over.wait(SWEEP_EVERY):
                sessions.sweep()
        finally:
            page.close(verbose=False)
            sessions.end_all()
            for number, handler in before.items():
                signal.signal(number, handler)


def _launch(page: gradio.Blocks, host: str, port: int | None) -> str:
    """Begin to listen; gives the address."""
    import gradio as gr

    # It asks itself whether it is up: no proxy knows this machine.
    for name in ("NO_PROXY", "no_proxy"):
        known = [os.environ.get(name), host, "localhost", "127.0.0.1"]
        os.environ[name] = ",".join(filter(None, known))
    try:
        _, address, _ = page.launch(
            server_name=host,
            server_port=port,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            max_file_size=f"{MOST_MEGABYTES}mb",
            state_session_capacity=MOST_PAGES,
            ssr_mode=False,
            run_history=False,
            footer_links=[],
            # Colours that white letters, and white paper, stand out from.
            theme=gr.themes.Default(
                primary_hue="blue", font=FONTS, font_mono="monospace"
            ).set(
                color_accent="*primary_700",
                button_primary_background_fill="*primary_700",
                button_primary_background_fill_hover="*primary_800",
                button_primary_background_fill_dark="*primary_700",
                button_primary_background_fill_hover_dark="*primary_800",
            ),
            css_paths=_STYLE,
            head=_NARROW,
        )
    except OSError as error:
        raise ValueError(
            f"{host}, port {port or '7860 and the next 99'}: cannot be used "
            "for the page. Give another one with --port, or the address of "
            "this machine with --host"
        ) from error
    return address
