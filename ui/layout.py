"""Places the panels: a header, the steps on the left, the step in hand, the budget on the right."""

from __future__ import annotations

import gradio as gr

from ui import words
from ui.islands import island
from ui.panels.data import build_data
from ui.panels.model import build_model
from ui.panels.result import build_result
from ui.panels.targets import build_targets
from ui.panels.train import build_train
from ui.studio import Studio

STYLES = ("base", "switchboard", "recipe", "tree", "costs", "budget", "run", "watching", "data", "widgets")
HEAD = "".join(f'<link rel="stylesheet" href="studio/static/css/{name}.css">' for name in STYLES)


def build_page(studio: Studio) -> gr.Blocks:
    """The page, to be launched with `HEAD` and the theme."""
    with gr.Blocks(title=words.TITLE, fill_width=True, analytics_enabled=False) as page:
        island("top")
        with gr.Row(elem_id="frame"):
            with gr.Column(min_width=0):
                island("nav")
            with gr.Column(elem_id="main"):
                build_model(studio)
                build_targets()
                build_data()
                build_train(studio)
                build_result(studio)
            with gr.Column(min_width=0):
                island("aside")
    return page
