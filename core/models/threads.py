"""How many threads a model computes with on a CPU.

What it does not do: bind threads to cores, or look at how busy the machine is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

SMALL = 20_000_000
"""Parameters below which one thread is used."""


def choose_threads(parameters: int) -> tuple[int | None, str]:
    """The number of threads (None: as torch has it), and why.

    A small model computes in pieces of well under a millisecond; with several threads each piece waits for the
    slowest, and on a busy machine that wait is many times the work (measured with the demo model on two cores, one
    busy: 64 answers in 0.7 s with one thread, 3.4 to 21 s with two).
    """
    if os.environ.get("OMP_NUM_THREADS"):
        return None, "as many threads as OMP_NUM_THREADS says"
    if parameters < SMALL:
        return 1, "one thread: the model is so small that more would wait for each other"
    return None, "one thread for each core"


def settle_threads(parameters: int) -> str:
    """Sets torch's threads for the rest of the process and says why; for the worker, whose only work the model is."""
    import torch

    threads, reason = choose_threads(parameters)
    if threads is not None:
        torch.set_num_threads(threads)
    return reason


@contextmanager
def threads_for(parameters: int) -> Iterator[None]:
    """Sets torch's threads inside only; for a server, which has other work too. One caller at a time."""
    import torch

    before = torch.get_num_threads()
    threads, _ = choose_threads(parameters)
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
