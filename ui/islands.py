"""An island: a place that Gradio lays out and a module of assets/js draws into, from data of our own routes.

What it does not do: carry a value. Big values inside a Gradio component make every update slow; islands fetch theirs.
"""

from __future__ import annotations

import gradio as gr

ENTRY = "studio/static/js/main.js"


def island(place: str) -> gr.HTML:
    """The island that `mount(place)` of assets/js/main.js fills."""
    mount = (
        f"import(new URL('{ENTRY}', document.baseURI).href)"
        f".then((page) => page.mount('{place}', element.querySelector('.island-root')));"
    )
    return gr.HTML(
        value="",
        html_template='<div class="island-root"></div>',
        js_on_load=mount,
        apply_default_css=False,
        elem_id=place,
        elem_classes=["island"],
    )


def heading(title: str, lead: str) -> gr.HTML:
    """A step's heading with one sentence below."""
    return gr.HTML(f"<h2>{title}</h2><p class='lead'>{lead}</p>", apply_default_css=False, elem_classes=["island"])
