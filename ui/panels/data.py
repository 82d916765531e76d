"""The third step: which data."""

from __future__ import annotations

import gradio as gr

from ui import words
from ui.islands import heading, island


def build_data() -> None:
    """Builds the step: the demo data sets as cards."""
    with gr.Column(elem_id="step-data", elem_classes=["step"]):
        heading(words.DATA_HEAD, words.DATA_LEAD)
        island("sets")
