"""The one seam between the page and whatever runs jobs: a local process today, a cluster later.

What it does not do: train, keep records or know a file name; a backend does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from core.spec import Spec, State, Status


@dataclass(frozen=True)
class JobRow:
    """A job in the list."""

    id: str
    owner: str
    name: str
    state: State
    created: float
    """Seconds since 1970."""
    folder: Path
    reason: str | None = None
    """Why it was lost or ended by force, and what to do: a plain sentence."""


class JobBackend(Protocol):
    """What a page or a command needs of whatever runs jobs.

    Every method but `submit`, `jobs` and `warm_up` raises `JobError` for a job that is unknown or another's; both
    are the same sentence, so that nobody learns which ids exist.
    """

    def submit(self, spec: Spec, owner: str) -> str:
        """Starts a job and returns its id. Raises JobError: one runs already, no space, nothing may be written."""
        ...

    def status(self, job: str, owner: str) -> Status:
        """Where it stands; a worker that is gone without a result is `lost`, with the reason."""
        ...

    def metrics(self, job: str, owner: str, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """The points after a byte offset and the offset to ask for next; a half-written line waits for next time."""
        ...

    def log(self, job: str, owner: str, offset: int = 0) -> tuple[str, int]:
        """The worker's own words after a byte offset and the offset to ask for next."""
        ...

    def stop(self, job: str, owner: str, force: bool = False) -> None:
        """Asks it to save and end; `force` signals it at once. Nothing happens to a job that has ended."""
        ...

    def spec(self, job: str, owner: str) -> Spec:
        """What it was started with."""
        ...

    def jobs(self, owner: str) -> list[JobRow]:
        """The owner's jobs, newest first."""
        ...

    def artifact(self, job: str, owner: str) -> Path:
        """The adapter as one zip. Raises AdapterError: there is none yet."""
        ...

    def folder(self, job: str, owner: str) -> Path:
        """The job's folder."""
        ...

    def delete(self, job: str, owner: str) -> None:
        """Removes an ended job and its folder. Raises JobError: it still runs."""
        ...

    def warm_up(self) -> None:
        """Prepares for a quick start of the next job; costs nothing to call again."""
        ...
