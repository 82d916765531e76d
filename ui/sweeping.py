"""Takes away what nobody comes back for: uploads that stopped, drafts that were stored or left lying.

What it does not do: touch a stored set or a job.
"""

from __future__ import annotations

import logging
import threading
import time

from ui.studio import Studio

HOUR = 3600.0
UPLOADS_KEPT = 24 * HOUR
STORED_KEPT = 24 * HOUR
"""Seconds for which a draft is kept that has been stored: its files lie twice on the disk."""
DRAFTS_KEPT = 14 * 24 * HOUR
log = logging.getLogger("studio")


def sweep(studio: Studio) -> None:
    """One look at everybody's uploads and drafts."""
    from core.data.storing.drafts import Drafts

    for folder in studio.everybodys_data():
        drafts = Drafts(folder, studio.shared)
        try:
            drafts.sweep(UPLOADS_KEPT)
            for draft in drafts.list():
                if time.time() - draft.kept.created > (STORED_KEPT if draft.stored else DRAFTS_KEPT):
                    drafts.remove(draft.id)
        except Exception as error:  # one owner's damaged folder does not keep the others' from being looked at
            log.warning("a data folder could not be swept: %s", error)


def _sweep_for_ever(studio: Studio) -> None:
    while True:
        sweep(studio)
        time.sleep(HOUR)


def sweep_every_hour(studio: Studio) -> None:
    """Sweeps now and from now on, in the background."""
    threading.Thread(target=_sweep_for_ever, args=(studio,), daemon=True, name="sweep").start()
