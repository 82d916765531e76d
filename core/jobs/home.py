"""The data folder: where jobs, people's data and caches live. It says so in a sentence when it cannot be written.

What it does not do: hold a job (store.py, local.py) or decide what goes into a cache.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from core.errors import JobError

LOCAL_OWNER = "local"
"""The owner of every job where nobody signs in: a page on one's own machine, the command line."""


@dataclass(frozen=True)
class Home:
    """The data folder and what stands in it."""

    root: Path

    @property
    def jobs(self) -> Path:
        """One folder a job."""
        return self.root / "jobs"

    def data(self, owner: str) -> Path:
        """Uploads, drafts and stored data sets of one owner, whatever signs the owner's name is made of."""
        return self.root / "data" / hashlib.sha256(owner.encode()).hexdigest()[:16]

    def everybodys_data(self) -> tuple[Path, ...]:
        """The folders that `data` gives, of every owner who has one."""
        return tuple(sorted((self.root / "data").glob("[0-9a-f]*")))

    @property
    def cache(self) -> Path:
        """What can be made again: inspections, features."""
        return self.root / "cache"

    @property
    def database(self) -> Path:
        """Order, owner and state of the jobs; can be rebuilt from the folders."""
        return self.root / "jobs.sqlite3"


def data_home() -> Path:
    """The data folder's path: STUDIO_HOME, else `.vlm-lora-studio` in the home folder. Touches nothing."""
    named = os.environ.get("STUDIO_HOME", "").strip()
    return Path(named).expanduser().absolute() if named else Path.home() / ".vlm-lora-studio"


def open_home(root: Path | None = None) -> Home:
    """The data folder, made where it is missing and proven to be writable.

    Raises:
        JobError: it cannot be made or written.
    """
    home = Home((root or data_home()).expanduser().absolute())
    try:
        for folder in (home.root, home.jobs, home.cache):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home.jobs) as probe:
            probe.write(b"can be written")
    except OSError as error:
        raise JobError(
            f"The data folder {home.root} was opened",
            f"it cannot be written ({error.strerror or 'unknown reason'})",
            "Set STUDIO_HOME to a folder that you may write, with free space",
        ) from None
    return home
