"""Errors on their way to the page: a sentence for what a person can mend, a general one for what is our mistake."""

from __future__ import annotations

import logging

from core.errors import StudioError
from ui import words

log = logging.getLogger("studio")


def sentence(error: Exception) -> str:
    """What to say of an error; one that is no StudioError goes to the server's log, never to the page."""
    if isinstance(error, StudioError):
        return str(error)
    log.error("a handler failed", exc_info=error)
    return words.BROKEN
