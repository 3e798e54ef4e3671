"""Gradio's part of the page: fields, buttons, and where the answers stand.

Gradio is an extra, so it is imported where it is used. It looks at the types of
arguments themselves, so annotations are no strings here.
"""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from speechbrain_siamese.demo_page.questions import File, Questions
from speechbrain_siamese.demo_page.recordings import (
    ENROL,
    LONG,
    MOST_MEGABYTES,
    spoken,
)

if TYPE_CHECKING:
    import gradio

#: Questions that wait at most.
MOST_WAITING = 32

HEAD = f"""\
# Whose voice is it?

Give recordings of any format, of up to {MOST_MEGABYTES} MB. They stay with this
page: what you give and whom you enrol is deleted when you close or reload it.
An answer is a probability, no proof. Ask people before you enrol their voice.
"""

_SCRIPT = Path(__file__).with_name("time_line.js")


def need_gradio() -> None:
    """Refuse to begin where Gradio is missing.

    Raises
    ------
    ImportError
        Names the extra.
    """
    # Not imported yet: it reads at once where its files shall go.
    if importlib.util.find_spec("gradio") is None:
        raise ImportError(
            "the page needs Gradio, which is not installed: "
            'pip install "speechbrain-siamese[page]"'
        )


def build_page(questions: Questions) -> "gradio.Blocks":
    """Put the page together.

    Arguments
    ---------
    questions : Questions

    Returns
    -------
    gradio.Blocks
    """
    import gradio as gr

    with gr.Blocks(title="Whose voice is it?", analytics_enabled=False) as page:
        gr.Markdown(HEAD)
        # Short enough to stand side by side on a phone.
        with gr.Tabs():
            with gr.Tab("Compare"):
                _compare(questions)
            with gr.Tab("Enrol"):
                _enrol(questions)
            with gr.Tab("Identify"):
                _identify(questions)
            with gr.Tab("Time line"):
                _label(questions)

        def gone(request: gr.Request):
            questions.sessions.end(request.session_hash)

        page.unload(gone)
    page.queue(max_size=MOST_WAITING, api_open=False)
    return page


def _compare(questions: Questions) -> None:
    import gradio as gr

    with gr.Row():
        with gr.Column():
            first = _clip(questions, "First clip")
        with gr.Column():
            second = _clip(questions, "Second clip")
    button = gr.Button("Compare", variant="primary")

    def compare(first: File, second: File, request: gr.Request) -> str:
        return questions.compare(first, second, request.session_hash)

    answer = _answer()
    button.click(compare, [first, second], answer, **_how("compare"))
    _forget(answer, first, second)


def _enrol(questions: Questions) -> None:
    import gradio as gr

    name = gr.Textbox(label="Name", max_length=200, max_lines=1)
    clip = _clip(
        questions,
        f"Their voice, {ENROL.least:g} to {ENROL.most:g} s",
    )
    button = gr.Button("Enrol", variant="primary")

    def enrol(name: str, clip: File, request: gr.Request) -> str:
        return questions.enrol(name, clip, request.session_hash)

    gr.on(
        [button.click, name.submit],
        enrol,
        [name, clip],
        _answer(),
        **_how("enrol"),
    )


def _identify(questions: Questions) -> None:
    import gradio as gr

    clip = _clip(questions, "Somebody's voice")
    button = gr.Button("Who is it?", variant="primary")

    def identify(clip: File, request: gr.Request) -> str:
        return questions.identify(clip, request.session_hash)

    answer = _answer()
    button.click(identify, clip, answer, **_how("identify"))
    _forget(answer, clip)


def _label(questions: Questions) -> None:
    import gradio as gr

    # A player here would decode hours within the browser.
    recording = gr.File(label=f"A recording of up to {spoken(LONG.most)}")
    _claim(questions, recording)
    button = gr.Button("Who speaks when?", variant="primary")

    def label(recording: File, request: gr.Request) -> str:
        return questions.label(recording, request.session_hash)

    answer = _answer(_SCRIPT.read_text(encoding="utf-8"))
    button.click(label, recording, answer, **_how("label"))
    _forget(answer, recording)


def _clip(questions: Questions, label: str) -> "gradio.Audio":
    """A field for a clip, which is dropped or recorded."""
    import gradio as gr

    # The player's own field for files refuses what browsers call video, such
    # as webm.
    dropped = gr.File(label=f"{label}: drop a file", height=150)
    clip = gr.Audio(
        label=f"{label}: or record it", sources="microphone", buttons=[]
    )
    dropped.upload(None, dropped, [clip, dropped], js="file => [file, null]")
    _claim(questions, clip)
    return clip


def _claim(questions: Questions, field: "gradio.components.Component") -> None:
    """Let what is given to a field go with the session, asked about or not."""
    import gradio as gr

    def claim(file: File, request: gr.Request) -> None:
        questions.claim(file, request.session_hash)

    field.change(
        claim,
        field,
        None,
        preprocess=False,
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )


def _forget(
    answer: "gradio.HTML", *fields: "gradio.components.Component"
) -> None:
    """Take an answer away once it is no longer about what the fields hold."""
    for field in fields:
        field.change(
            None,
            None,
            answer,
            js="() => ''",
            show_progress="hidden",
            api_visibility="private",
        )


def _answer(script: str | None = None) -> "gradio.HTML":
    """Where an answer stands; readers of screens are told when it comes."""
    import gradio as gr

    return gr.HTML(
        html_template='<div role="status">${value}</div>',
        js_on_load=script,
        elem_classes="answer",
        apply_default_css=False,
    )


def _how(name: str) -> dict:
    """How a question is asked: files as Gradio has them, one at a time.

    A model is not made to answer several at once.
    """
    return {
        "api_name": name,
        "preprocess": False,
        "concurrency_id": "model",
        "concurrency_limit": 1,
    }
