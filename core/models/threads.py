"""How many threads a model computes with on a CPU.

What it does not do: bind threads to cores, or look at how busy the machine is.
"""

from __future__ import annotations

import os

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
