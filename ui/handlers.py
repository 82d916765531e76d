"""A handler as Gradio calls it: with the studio's parts and the request, whose cookies say whose it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from ui.studio import Studio


def with_request(studio: Studio, handler: Callable[..., Any]) -> Callable[..., Any]:
    """`handler(studio, request, *values)` as a function of the values; Gradio finds no request in a partial."""

    def handle(request: gr.Request, *values: Any) -> Any:
        return handler(studio, request, *values)

    return handle
