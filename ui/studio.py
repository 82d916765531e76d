"""What the page's handlers and routes share: the backend, the inspections at hand, whose request it is.

What it does not do: hold anything of one visitor; that stands in the job store, keyed by owner.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe

from core.errors import JobError, SourceNotFound
from core.jobs.backend import JobBackend
from core.jobs.home import LOCAL_OWNER, Home
from core.models.inspection import cached_inspection, inspect_source
from core.models.libraries import import_what_is_slow
from core.models.source import DEMO_MODEL
from core.spec import Inspection, Source, to_json
from ui.data.desk import Desk

OWNER_COOKIE = "studio-owner"
OWNER_LENGTH = 43
"""Characters of what `new_owner` makes."""
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
    """Those that were opened, by their keys."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while a model is built: two at once would fill the memory."""
    desk: Desk = field(default_factory=Desk)
    """The drafts of data that are open, and what is being done with them."""

    def open(self, source: Source) -> Inspection:
        """The inspection of a source, from the cache where it can be. Raises like `inspect_source`."""
        inspection = cached_inspection(source, self.cache)
        if inspection is None:
            import_what_is_slow()
            with self.lock:
                inspection = inspect_source(source, self.cache, token=not self.shared)
        self.inspections[key_of(inspection)] = inspection
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
        """Whose request it is: everybody's on one's own machine, the browser's where several people come.

        Nobody's, an empty string, when a browser of a shared server shows no cookie that `new_owner` can have made.
        """
        if not self.shared:
            return LOCAL_OWNER
        shown = cookies.get(OWNER_COOKIE, "")
        return shown if len(shown) == OWNER_LENGTH else ""

    def known_owner(self, cookies: Mapping[str, str], asked: str = "Training was asked for") -> str:
        """Whose request it is, where it must be somebody's: what nobody owns, every visitor would own.

        Raises:
            JobError: it is nobody's.
        """
        owner = self.owner(cookies)
        if not owner:
            raise JobError(
                asked,
                "your browser keeps no cookie of this page, by which things here are known as yours",
                "Allow its cookies, or open it in a tab of its own, and reload",
            )
        return owner

    def data(self, owner: str) -> Path:
        """The folder of an owner's own data."""
        return Home(self.cache.parent).data(owner)

    def everybodys_data(self) -> tuple[Path, ...]:
        """The folders of all owners who have brought data."""
        return Home(self.cache.parent).everybodys_data()


def new_owner() -> str:
    """A name for a browser that is new to a shared server; long enough that nobody guesses it."""
    return token_urlsafe(32)


def key_of(inspection: Inspection) -> str:
    """An inspection's name on the page. The source counts too: a copy of a model has the same config."""
    return sha256(f"{inspection.config_hash} {to_json(inspection.source)}".encode()).hexdigest()
