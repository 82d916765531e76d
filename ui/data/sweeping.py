"""Takes away what nobody comes back for: uploads that stopped, drafts that were stored or left lying.

What it does not do: touch a stored set or a job.
"""

from __future__ import annotations

import logging
import threading
import time

from ui.studio import Studio

HOUR = 3600.0
ENDED_KEPT = 24 * HOUR
"""Seconds without a change for which an upload that stopped is kept, and a draft that was stored: its files lie twice
on the disk."""
DRAFTS_KEPT = 14 * 24 * HOUR
"""The same for any other draft."""
log = logging.getLogger("studio")


def sweep(studio: Studio) -> None:
    """One look at everybody's uploads and drafts."""
    from core.data.storing.drafts import Drafts

    for folder in studio.everybodys_data():
        try:
            Drafts(folder, studio.shared).sweep(ENDED_KEPT, DRAFTS_KEPT)
        except Exception as error:  # one owner's damaged folder does not keep the others' from being looked at
            log.warning("a data folder could not be swept: %s", error)


def _sweep_for_ever(studio: Studio) -> None:
    while True:
        sweep(studio)
        time.sleep(HOUR)


def sweep_every_hour(studio: Studio) -> None:
    """Sweeps now and from now on, in the background."""
    threading.Thread(target=_sweep_for_ever, args=(studio,), daemon=True, name="sweep").start()
