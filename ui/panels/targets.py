"""The second step: what learns. All of it happens in the browser; the server counts again at Start."""

from __future__ import annotations

import gradio as gr

from ui import words
from ui.islands import heading, island


def build_targets() -> None:
    """Builds the step: the picture of the model as the switchboard, what it costs, the module tree, and exports."""
    with gr.Column(elem_id="step-targets", elem_classes=["step"]):
        heading(words.TARGETS_HEAD, words.TARGETS_LEAD)
        for place in ("switchboard", "memory", "compare", "tree", "export"):
            island(place)
