"""How long steps and looks take, and what remains of a job.

Three things make steps unequal, and each is told apart: the first one warms up and does not count; what is only done
while caches fill, in the first epoch, is asked for and not expected again; and one step that stumbled, by another
program's doing, counts as no more than the next longest.
What it does not do: know how long looks take before there was one; it is told.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW = 200
"""Steps whose mean is taken: many, since batches differ; not all, since a machine gets other work."""


class Pace:
    """The pace of one job.

    Args:
        look_seconds: that a look on the way is likely to take.
        last_look: seconds that the look after the training is likely to take.
        ending: seconds that the rest of the end is likely to take: saving, and the proof of what changed.
        filling: seconds so far that went into filling caches.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        look_seconds: float = 0.0,
        last_look: float = 0.0,
        ending: float = 0.0,
        filling: Callable[[], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._expected, self._look, self._last = look_seconds, look_seconds, last_look
        self._ending = ending
        self._filling, self._clock = filling or (lambda: 0.0), clock
        self._steps: deque[float] = deque(maxlen=WINDOW)
        """Seconds of each, filling apart."""
        self._filled: deque[float] = deque(maxlen=WINDOW)
        """Seconds of filling in each, in the first epoch."""
        self._mark: float | None = None
        self._filled_before = 0.0
        self.took: float | None = None
        """Seconds of the newest step; None for the first, of which a part lies before it is known."""

    def step(self) -> None:
        """A step has ended."""
        now, filled = self._clock(), self._filling()
        if self._mark is not None:
            self.took = now - self._mark
            extra = min(self.took, max(0.0, filled - self._filled_before))
            self._steps.append(self.took - extra)
            self._filled.append(extra)
        self._mark, self._filled_before = now, filled

    def look(self, seconds: float) -> None:
        """A look has ended; its time belongs to no step, and says how long the others will take."""
        if self._expected > 0:
            self._last *= seconds / self._look if self._look else 1.0
        self._look = seconds
        if self._mark is not None:
            self._mark += seconds

    @property
    def step_seconds(self) -> float | None:
        """Of a step with full caches; None before the second step."""
        return _mean(self._steps)

    def remaining(self, steps: int, looks: int, first_epoch: int = 0) -> float | None:
        """Seconds until the job's end; None before the second step.

        Args:
            steps: that are left.
            looks: that are left on the way.
            first_epoch: of these steps, those in which caches still fill.
        """
        each = self.step_seconds
        if each is None:
            return None
        filling = first_epoch * (_mean(self._filled) or 0.0)
        return steps * each + filling + looks * self._look + self._last + self._ending


def _mean(values: deque[float]) -> float | None:
    """The mean, the largest value counted as the next largest."""
    if not values:
        return None
    if len(values) < 3:
        return sum(values) / len(values)
    first, second = sorted(values)[-2:]
    return (sum(values) - second + first) / len(values)
