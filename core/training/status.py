"""`status.json`: where the job stands, replaced at most twice a second and on every change of phase.

What it does not do: decide anything; it says what others found.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.job_files import STATUS
from core.spec import State, Status, write

INTERVAL = 0.5
"""Shortest time (s) between two writes that are not forced."""


class StatusFile:
    """The worker's own view of its job, and the file that shows it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / STATUS
        self._written = 0.0
        now = time.time()
        self.value = Status(state="starting", phase="starting", pid=os.getpid(), started=now, updated=now)

    def enter(self, phase: str, **changes: Any) -> None:
        """A new phase, in words; always written at once."""
        self._set(phase=phase, **changes)
        self._write()

    def show(self, **changes: Any) -> None:
        """Changes that may wait half a second."""
        self._set(**changes)
        if time.monotonic() - self._written >= INTERVAL:
            self._write()

    def ended(self, state: State) -> Status:
        """How the status will read at the end, for the card that is written before."""
        return replace(self.value, state=state, phase=state, eta_seconds=None, updated=time.time())

    def _set(self, **changes: Any) -> None:
        self.value = replace(self.value, **changes, updated=time.time())

    def _write(self) -> None:
        write(self.value, self._path)
        self._written = time.monotonic()
