"""The third step: which data."""

from __future__ import annotations

import gradio as gr

from ui import words
from ui.islands import heading, island


def build_data() -> None:
    """Builds the step: bringing data, how they were understood, the sets as cards, and what the model gets of one."""
    with gr.Column(elem_id="step-data", elem_classes=["step"]):
        heading(words.DATA_HEAD, words.DATA_LEAD)
        island("bring")
        island("draft")
        island("sets")
        island("set-in-tokens")
