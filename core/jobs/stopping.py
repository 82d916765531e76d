"""When a worker that was asked to stop is signalled: first nothing, then SIGTERM, then SIGKILL.

A step may be long and saving takes its time, so the first wait is generous; a person in a hurry forces it.
What it does not do: send the signal, or look at a clock that can jump.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable


class Patience:
    """How long each stopping job has been waited for. Kept in memory: a restarted server waits anew."""

    def __init__(
        self, term_after: float = 300.0, kill_after: float = 20.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._term_after, self._kill_after, self._clock = term_after, kill_after, clock
        self._asked: dict[str, float] = {}
        self._termed: dict[str, float] = {}

    def force(self, job: str) -> None:
        """Ends the first wait."""
        self._asked[job] = -math.inf

    def due(self, job: str) -> signal.Signals | None:
        """The signal that is due now, if any; begins the first wait when the job is new."""
        now = self._clock()
        if job not in self._termed:
            if now - self._asked.setdefault(job, now) < self._term_after:
                return None
            self._termed[job] = now
            return signal.SIGTERM
        return signal.SIGKILL if now - self._termed[job] >= self._kill_after else None

    def forget(self, job: str) -> None:
        """The job has ended."""
        self._asked.pop(job, None)
        self._termed.pop(job, None)
