"""What takes seconds to import is imported after the page is up: in a warm worker first, then in the server."""

from __future__ import annotations

import logging
import threading
import time

from core.errors import StudioError
from core.models.libraries import import_what_is_slow
from ui.studio import Studio

WORKER_FIRST = 8.0
"""Seconds between the warm worker's start and the server's own imports, so that they do not share the cores."""
log = logging.getLogger("studio")


def _warm_up(studio: Studio) -> None:
    try:
        studio.backend.warm_up()
    except StudioError as error:
        log.warning("%s", error)  # the next job starts cold, a few seconds later
    time.sleep(WORKER_FIRST)
    import_what_is_slow()


def warm_up_soon(studio: Studio) -> None:
    """Starts the imports in the background."""
    threading.Thread(target=_warm_up, args=(studio,), daemon=True, name="warm-up").start()
