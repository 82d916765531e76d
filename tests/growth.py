"""How many times as long one piece of work takes as another: in turns, so that what else runs slows both."""

from __future__ import annotations

import time
from collections.abc import Callable


def times_as_long(slow: Callable[[], object], quick: Callable[[], object], rounds: int = 5) -> float:
    """The quickest run of the one, divided by the quickest of the other (processor time)."""
    pairs = [(_seconds(slow), _seconds(quick)) for _ in range(rounds)]
    return min(pair[0] for pair in pairs) / min(pair[1] for pair in pairs)


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
