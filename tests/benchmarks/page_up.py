"""How long after the server's start the page and its first data are there."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from urllib.request import urlopen

from tests.benchmarks.figure import Figure
from tests.benchmarks.studio import end
from tests.browser.conftest import Server

RUNS = 3
LIMIT = 10.0


def measure() -> Iterator[Figure]:
    """Seconds from the start of the process to an answer of `/` and of `/studio/home`."""
    took = [_once() for _ in range(RUNS)]
    yield Figure("page up", median(took), "s", LIMIT, more=f"median of {RUNS}: {', '.join(f'{s:.1f}' for s in took)}")


def _once() -> float:
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as home:
        server = Server(Path(home))
        began = time.monotonic()
        try:
            server.start()
            for path in ("/", "/studio/home"):
                with urlopen(server.address + path, timeout=30) as answer:  # noqa: S310 - our own address
                    answer.read()
            return time.monotonic() - began
        finally:
            end(server)
