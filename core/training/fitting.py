"""How many rows go through the model at a time, and whether layers are computed again: the fastest way that fits.

A batch is cut into equal parts whose gradients are added up, so what is learned is the same. The memory of each way is
estimated, not tried. On a CPU a part that gives its cores enough to do is nearly as fast as the whole batch (2 to 4%
slower where it was measured) and keeps less.
What it does not do: change what a person has set, or refuse what does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from core.memory.workload import Workload

BUSY = 2048
"""Tokens that go through at once from which a GPU is taken to have enough to do. With fewer, keeping less by computing
layers again (a third more work) is cheaper than taking fewer rows."""
FILLED = 256
"""Tokens that go through at once from which a CPU multiplies matrices as fast as it can: with fewer, it waits for the
weights to come from memory."""
ENOUGH = 10**9
"""Multiplications for each core, forward, beside which what every batch costs anew (calls, small sums) is nothing."""
MOST_PARTS = 4096
"""Batches of an optimizer step that the settings take."""

Peak = Callable[[Workload], int]
"""Bytes that a step takes."""


@dataclass(frozen=True)
class Way:
    """A way to compute a step."""

    rows: int
    """At a time."""
    again: bool
    """Whether layers are computed again in the backward pass."""


@dataclass(frozen=True)
class Found:
    """The way that was taken, and what it takes."""

    way: Way
    peak: int
    """Bytes."""
    whole: int
    """Bytes of the step with as many rows as may be, and nothing computed again unless that was set."""
    fits: bool


def batch_of(settings_batch: int, asked: int) -> int:
    """The most rows of at most so many that a batch can be cut into.

    >>> batch_of(12, 5)
    4
    """
    return next(rows for rows in range(min(asked, settings_batch), 0, -1) if settings_batch % rows == 0)


def enough_rows(batch: int, tokens: int, parameters: int, cores: int) -> int:
    """The fewest rows that a batch can be cut into on a CPU without taking notably longer.

    Args:
        batch: rows of the whole.
        tokens: of one row.
        parameters: that a token is multiplied with, pictures' towers apart.
        cores: of the CPU.

    >>> enough_rows(8, 150, 100_000_000, 2), enough_rows(8, 150, 1_000_000, 2)
    (2, 8)
    """
    parts = (rows for rows in range(1, batch) if batch % rows == 0)
    return next((n for n in parts if n * tokens >= max(FILLED, ENOUGH * cores / max(1, parameters))), batch)


def ways(
    work: Workload, rows: int | None, again: bool | None, tokens: int, most: int | None = None
) -> Iterator[list[Way]]:
    """Ladders of ways, the fastest first; on each, every way takes less memory than the one before.

    Args:
        work: the step with the whole batch at a time.
        rows: at a time, as the person has set it.
        again: whether layers are computed again, as the person has set it or the model demands.
        tokens: of one row.
        most: rows, more of which at a time save nothing; None: the whole batch. Not for what a person has set.
    """
    batches = [rows] if rows else [n for n in range(work.batch, 0, -1) if work.batch % n == 0]
    batches = [n for n in batches if work.accumulation * (work.batch // n) <= MOST_PARTS]
    if most and not rows:
        batches = [n for n in batches if n <= most] or batches[-1:]
    if again is not True:
        least = 1 if work.device == "cpu" or again is False else -(-BUSY // tokens)
        yield [Way(n, False) for n in batches if n >= least or n == batches[0]]
    if again is not False:
        yield [Way(n, True) for n in batches]


def stepped(work: Workload, way: Way) -> Workload:
    """The step computed in this way."""
    times = work.accumulation * (work.batch // way.rows)
    return work.but(batch=way.rows, accumulation=min(MOST_PARTS, times), checkpointing=way.again)


def fastest(work: Workload, ladders: Sequence[Sequence[Way]], room: int, peak: Peak) -> Found:
    """The first way that takes no more than the room, else the one that takes least.

    Raises:
        InspectionError: the memory of such a step cannot be estimated.
    """
    known: dict[Way, int] = {}

    def takes(way: Way) -> int:
        if way not in known:
            known[way] = peak(stepped(work, way))
        return known[way]

    first = ladders[0][0]
    for ladder in ladders:
        if takes(ladder[0]) <= room:
            return Found(ladder[0], takes(ladder[0]), takes(first), True)
        if takes(ladder[-1]) > room:
            continue
        low, high = 0, len(ladder) - 1  # the first does not fit, the last does
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if takes(ladder[middle]) <= room else (middle, high)
        return Found(ladder[high], takes(ladder[high]), takes(first), True)
    last = ladders[-1][-1]
    return Found(last, takes(last), takes(first), False)
