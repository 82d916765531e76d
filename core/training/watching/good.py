"""The last good weights: a copy of what is trained, kept until a newer one has proved sound, put back when it breaks.

Weights are proved by the step that is taken from them: its loss and its gradient are theirs. Small ones are copied in
the machine's memory, large ones into a file, as seldom as that takes a hundredth of the time.
What it does not do: judge a step (see `health`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from core.training.watching.keeping import GOOD, put_back, read_tensors, write_tensors
from core.training.watching.parts import Part, flat, size_of, unflat
from core.training.watching.seldom import Seldom

IN_MEMORY = 256 * 2**20
"""Bytes of trained tensors up to which the copies stay in memory."""


class LastGood:
    """The last good weights of one job.

    Args:
        parts: what is trained.
        folder: for copies on disk.
        clock: seconds that only grow.
    """

    def __init__(self, parts: Sequence[Part], folder: Path, clock: Callable[[], float] = time.perf_counter) -> None:
        self._parts, self._folder = parts, folder
        self._on_disk = size_of(parts) > IN_MEMORY
        self._seldom = Seldom(clock)
        self._offered: torch.Tensor | None = None
        self._offered_step: int | None = None
        self._kept: torch.Tensor | None = None
        self.step: int | None = None
        """Whose weights they are; None before the first."""

    def offer(self, step: int) -> None:
        """The weights after this step are about to be changed; whether they were good is told next."""
        if not self._seldom.due():
            return
        with self._seldom.taking():
            if self._on_disk:
                write_tensors(self._parts, self._folder / f"new-{GOOD}")
            else:
                self._offered = flat(self._parts).cpu()
        self._offered_step = step

    def told(self, sound: bool) -> None:
        """Whether the step that was taken from the offered weights was sound."""
        if self._offered_step is None:
            return
        if sound:
            self.step, self._kept = self._offered_step, self._offered
            if self._on_disk:
                (self._folder / f"new-{GOOD}").replace(self._folder / GOOD)
        self._offered, self._offered_step = None, None

    def put_back(self) -> int:
        """Makes the model what it was -> the step whose weights they are; 0 where nothing good was learned."""
        if self.step is None:
            return 0
        tensors = read_tensors(self._folder / GOOD) if self._kept is None else unflat(self._parts, self._kept)
        put_back(self._parts, tensors)
        return self.step
