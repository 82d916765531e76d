"""How often something may be done beside the training, so that it takes a small share of the time.

What it does not do: do it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

SHARE = 0.01
"""Of the time."""


class Seldom:
    """One thing that is done now and then: at first, and then as often as its cost allows.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next = float("-inf")
        self._took = 0.0

    def due(self) -> bool:
        """Whether it may be done again; from then on counts what `taking` measures."""
        if self._clock() < self._next:
            return False
        self._took = 0.0
        return True

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Measures a part of it, and not what a GPU was asked for before: a copy to the machine would wait for that."""
        _wait_for_gpu()
        start = self._clock()
        yield
        _wait_for_gpu()
        end = self._clock()
        self._took += end - start
        self._next = end + self._took / SHARE


def _wait_for_gpu() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
