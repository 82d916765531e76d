"""Bytes that optimizers keep and need for a moment, from the shapes of what is trained.

What it does not do: step. Sizes of 8-bit states are those of bitsandbytes 0.50.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.memory.workload import Device, Optimizer

BLOCK = 256
"""Numbers of an 8-bit state that share one fp32 scale (`blocksize` in `bitsandbytes.optim.optimizer`)."""
MIN_8BIT = 4096
"""Parameters with fewer numbers keep fp32 states (`min_8bit_size`)."""


@dataclass(frozen=True)
class Trained:
    """Parameters of one shape that are trained."""

    numbers: int
    """Of one of them."""
    itemsize: int
    """Bytes of a number."""
    times: int = 1

    @property
    def nbytes(self) -> int:
        """Of all of them."""
        return self.numbers * self.itemsize * self.times


def state_bytes(trained: Iterable[Trained], optimizer: Optimizer) -> int:
    """Bytes on the device between two steps.

    AdamW keeps two numbers for each trained one, in its precision. In 8 bits these take a byte each and a scale for
    every 256, and small parameters stay as they are. Paged states can be moved to the machine's memory, so none counts.
    """
    if optimizer == "sgd" or optimizer.startswith("paged"):
        return 0
    if optimizer == "adamw":
        return 2 * sum(part.nbytes for part in trained)
    return sum(_eight_bit(part.numbers) * part.times for part in trained)


def _eight_bit(numbers: int) -> int:
    if numbers < MIN_8BIT:
        return 2 * 4 * numbers
    return 2 * (numbers + 4 * -(-numbers // BLOCK))


def step_bytes(trained: Iterable[Trained], optimizer: Optimizer, device: Device) -> int:
    """Bytes that come and go while the optimizer steps.

    torch's AdamW takes the root of all second moments at once on CUDA (foreach), and on a CPU one parameter after the
    other, with two numbers for each of its own.
    """
    parts = list(trained)
    if optimizer != "adamw" or not parts:
        return 0
    if device == "cuda":
        return sum(part.nbytes for part in parts)
    return 2 * max(part.numbers * part.itemsize for part in parts)
