"""The look of Gradio's own widgets, in the colours of assets/css/base.css; fonts come with Gradio, none is fetched."""

from __future__ import annotations

import gradio as gr
from gradio.themes.utils.fonts import LocalFont


def studio_theme() -> gr.themes.Base:
    """The theme, for light and dark."""
    return gr.themes.Base(
        primary_hue="blue",
        neutral_hue="stone",
        radius_size="md",
        font=(LocalFont("IBM Plex Sans", (400, 700)), "system-ui", "sans-serif"),
        font_mono=(LocalFont("IBM Plex Mono", (400, 700)), "ui-monospace", "monospace"),
    ).set(
        body_background_fill="#f6f5f2",
        body_background_fill_dark="#14151a",
        body_text_color="#1d1b18",
        body_text_color_dark="#eceae6",
        body_text_color_subdued="#625d55",
        body_text_color_subdued_dark="#aba69d",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#1d1f26",
        background_fill_secondary="#fbfaf8",
        background_fill_secondary_dark="#23262f",
        border_color_primary="#e2dfd8",
        border_color_primary_dark="#31343d",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1d1f26",
        block_border_width="0px",
        block_shadow="none",
        block_label_text_color="#625d55",
        block_label_text_color_dark="#aba69d",
        block_title_text_weight="600",
        block_info_text_color="#625d55",
        block_info_text_color_dark="#aba69d",
        input_background_fill="#ffffff",
        input_background_fill_dark="#23262f",
        input_border_color="#8f897e",
        input_border_color_dark="#757a88",
        input_border_width="1px",
        input_placeholder_color="#716b62",
        input_placeholder_color_dark="#9d988f",
        color_accent="#1f5fd0",
        color_accent_soft="#e6eefb",
        color_accent_soft_dark="#263148",
        button_primary_background_fill="#1f5fd0",
        button_primary_background_fill_dark="#8db2ff",
        button_primary_background_fill_hover="#194fae",
        button_primary_background_fill_hover_dark="#a9c5ff",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#10131c",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_dark="#1d1f26",
        button_secondary_border_color="#8f897e",
        button_secondary_border_color_dark="#757a88",
        slider_color="#1f5fd0",
        slider_color_dark="#8db2ff",
    )
