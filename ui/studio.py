"""What the page's handlers and routes share: the backend, the inspections at hand, whose request it is.

What it does not do: hold anything of one visitor; that stands in the job store, keyed by owner.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import SourceNotFound
from core.jobs.backend import JobBackend
from core.jobs.home import LOCAL_OWNER
from core.models.inspection import cached_inspection, inspect_source
from core.models.source import DEMO_MODEL
from core.spec import Inspection, Source

OWNER_COOKIE = "studio-owner"
log = logging.getLogger("studio")


@dataclass
class Studio:
    """One server's parts."""

    backend: JobBackend
    cache: Path
    """Folder of inspections; can be emptied at any time."""
    shared: bool = False
    """Whether several people use this server (a Space): each browser is then an owner of its own."""
    inspections: dict[str, Inspection] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, source: Source) -> Inspection:
        """The inspection of a source, from the cache where it can be. Raises like `inspect_source`."""
        with self.lock:
            inspection = cached_inspection(source, self.cache) or inspect_source(source, self.cache)
            self.inspections[inspection.config_hash] = inspection
        return inspection

    def inspection(self, key: str) -> Inspection:
        """An inspection that was opened before, by its key.

        Raises:
            SourceNotFound: it was opened before the server's last start.
        """
        if key not in self.inspections:
            self.open(DEMO_MODEL)
        if key not in self.inspections:
            raise SourceNotFound("A model was asked for", "this server has not opened it yet", "Open it again")
        return self.inspections[key]

    def owner(self, cookies: Mapping[str, str]) -> str:
        """Whose request it is: everybody's on one's own machine, the browser's where several people come."""
        return cookies.get(OWNER_COOKIE, "") if self.shared else LOCAL_OWNER
