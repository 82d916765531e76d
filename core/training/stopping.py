"""Whether the job was asked to stop: by a file named `stop` in its folder, or by SIGTERM.

What it does not do: stop anything by itself once there is something to save; the loop asks after every step.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from core.job_files import STOP

STOPPED_EARLY = "stopped before the first step"


class StopRequest:
    """Asked after every step and every batch of answers."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / STOP
        self._signalled = False
        self._at_once: Callable[[], None] | None = None

    def listen(self, at_once: Callable[[], None] | None = None) -> None:
        """From now on SIGTERM means stop, and calls `at_once` until `be_patient`; main thread only."""
        self._at_once = at_once
        signal.signal(signal.SIGTERM, self._on_signal)

    def be_patient(self) -> None:
        """From now on a signal is only noted, for whoever asks."""
        self._at_once = None

    def made(self) -> bool:
        """Whether someone asked."""
        return self._signalled or self._path.exists()

    def hurried(self) -> bool:
        """Whether a signal asked: whoever sends one does not wait long."""
        return self._signalled

    def check(self) -> None:
        """Raises Stopped when someone asked."""
        if self.made():
            raise Stopped

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signalled = True
        if self._at_once is not None:
            self._at_once()


class Stopped(Exception):
    """A look was broken off because the job was asked to stop; no error."""
