"""Whether the job was asked to stop: by a file named `stop` in its folder, or by SIGTERM.

What it does not do: stop anything by itself; the loop asks after every step.
"""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType

FILE_NAME = "stop"


class StopRequest:
    """Asked after every step and every batch of answers."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._signalled = False

    def listen(self) -> None:
        """From now on SIGTERM means stop; main thread only."""
        signal.signal(signal.SIGTERM, self._on_signal)

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


class Stopped(Exception):
    """A look was broken off because the job was asked to stop; no error."""
