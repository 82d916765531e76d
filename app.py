"""Starts the studio: reads the environment, makes the job backend, builds the page with its routes, launches.

Environment:
    STUDIO_HOME         data folder (jobs, data sets, caches); `.vlm-lora-studio` in the home folder by default
    STUDIO_MODEL_ROOT   when set, model folders must lie inside of it
    STUDIO_DATA_ROOT    when set, data folders must lie inside of it; on a Space none is read without it
    STUDIO_MAX_UPLOAD   bytes of one upload; 20 GiB by default, 2 GiB on a Space
    STUDIO_STANDBY      0 keeps no warm worker
    GRADIO_SERVER_NAME, GRADIO_SERVER_PORT   address; 127.0.0.1 and 7860 (or the next free one) by default
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

import gradio as gr

from core.jobs.home import open_home
from core.jobs.local import LocalBackend
from ui.data.sweeping import sweep_every_hour
from ui.layout import HEAD, build_page
from ui.routes import ASSETS, studio_routes
from ui.studio import Studio
from ui.theme import studio_theme
from ui.warmup import warm_up_soon

MAX_UPLOAD = "20mb"
CALM, CALM_PROGRESS = 0.05, 0.1
"""Seconds between two looks of Gradio's queue for events and progress, those that it has on Windows. Elsewhere it
looks a thousand times a second: a twentieth of a core, taken from the training even when no page is open."""


def launch(block: bool = True) -> tuple[gr.Blocks, Studio, str]:
    """Launches the server -> (page, studio, address). With `block` it returns when the server ends."""
    home = open_home()
    shared = bool(os.environ.get("SPACE_ID"))
    studio = Studio(LocalBackend(home.root, shared=shared), home.cache, shared=shared)
    page = build_page(studio)
    # Gradio publishes what lies in its working directory on request: give it an empty one.
    empty = tempfile.mkdtemp(prefix="vlm-lora-studio-")
    atexit.register(shutil.rmtree, empty, ignore_errors=True)
    os.chdir(empty)
    page.queue(default_concurrency_limit=8)
    page._queue.sleep_when_free, page._queue.progress_update_sleep_when_free = CALM, CALM_PROGRESS
    _, address, _ = page.launch(
        theme=studio_theme(),
        head=HEAD,
        app_kwargs={"routes": studio_routes(studio), "docs_url": None, "redoc_url": None, "openapi_url": None},
        favicon_path=str(ASSETS / "pictures" / "favicon.png"),
        footer_links=[],
        max_file_size=MAX_UPLOAD,
        show_error=False,
        enable_monitoring=False,
        ssr_mode=False,
        prevent_thread_lock=True,
        quiet=True,
    )
    print(f"VLM LoRA Studio is up: {address}", flush=True)
    warm_up_soon(studio)
    sweep_every_hour(studio)
    if block:
        page.block_thread()
    return page, studio, address


if __name__ == "__main__":
    launch()
