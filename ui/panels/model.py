"""The first step: which model. Opening one reads its config only."""

from __future__ import annotations

from functools import partial
from html import escape

import gradio as gr

from core.errors import SourceRefused
from core.models.source import WELL_KNOWN, parse_source
from ui import words
from ui.islands import heading, island
from ui.plainly import sentence
from ui.studio import Studio, key_of


def open_model(studio: Studio, text: str, revision: str) -> tuple[str, str]:
    """A source as a person typed it -> (the inspection's key or nothing, the reason why not as HTML)."""
    try:
        source = parse_source((text or "demo").strip(), (revision or "").strip() or None)
        if studio.shared and source.kind == "folder":
            raise SourceRefused(
                "A folder was asked for", "others use this server too", "Give a model of the Hub, such as owner/name"
            )
        return key_of(studio.open(source)), ""
    except Exception as error:
        return "", f'<div class="note bad" role="alert">{escape(sentence(error))}</div>'


def build_model(studio: Studio) -> None:
    """Builds the step; see `open_model` for what its button does."""
    with gr.Column(elem_id="step-model", elem_classes=["step"]):
        heading(words.MODEL_HEAD, words.MODEL_LEAD)
        island("model-picture")
        with gr.Column(elem_classes=["sheet"]):
            with gr.Row(equal_height=False):
                source = gr.Textbox(
                    "demo",
                    label=words.MODEL_LABEL,
                    info=words.MODEL_INFO,
                    elem_id="model-source",
                    scale=3,
                    max_length=400,
                )
                revision = gr.Textbox(
                    label=words.MODEL_REVISION, info=words.MODEL_REVISION_INFO, scale=2, max_length=200
                )
            with gr.Row(equal_height=False, elem_classes=["end"]):
                known = gr.Dropdown(
                    [
                        ("demo: the built-in model", "demo"),
                        *((f"{m.name} · {m.size}{' · gated' if m.gated else ''}", m.name) for m in WELL_KNOWN),
                    ],
                    value="demo",
                    label=words.MODEL_KNOWN,
                    scale=3,
                )
                button = gr.Button(words.MODEL_OPEN, variant="primary", scale=1, min_width=120, elem_id="model-open")
            reason = gr.HTML("", elem_id="model-error", elem_classes=["island"], apply_default_css=False)
        key = gr.Textbox(visible="hidden", elem_id="model-key")
    known.input(lambda name: (name, ""), known, [source, revision], queue=False, api_visibility="private")
    newest = gr.State("")
    for event, inputs in (
        (button.click, [source, revision]),
        (source.submit, [source, revision]),
        (known.input, [known, newest]),
    ):
        event(
            partial(open_model, studio),
            inputs,
            [key, reason],
            api_visibility="private",
            concurrency_limit=4,
            show_progress_on=reason,
        ).then(None, key, None, js="(key) => key && window.studio.openModel(key)")
