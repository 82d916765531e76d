"""How long the inspection of a 72 B model takes when the libraries are loaded and nothing is cached."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.big_config import write_big_config
from tests.benchmarks.figure import Figure, quantile

RUNS = 5
LIMIT = 1.0


def measure() -> Iterator[Figure]:
    """Seconds of `inspect_source`; the first one loads the model's own code as well."""
    from core.models.inspection import build_on_meta, inspect_source
    from core.models.source import DEMO_MODEL, resolve
    from core.spec import Source

    build_on_meta(resolve(DEMO_MODEL))
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
        source = Source("folder", str(write_big_config(Path(folder))))
        took = []
        for _ in range(RUNS + 1):
            began = time.monotonic()
            made = inspect_source(source)
            took.append(time.monotonic() - began)
    size = f"{made.total_params / 1e9:.1f} B, {len(made.modules):,} modules"
    worst, first = max(took[1:]), took[0]
    yield Figure(
        "inspection of 72 B, warm",
        quantile(took[1:], 0.5),
        "s",
        LIMIT,
        more=f"{size}; slowest of {RUNS} {worst:.2f} s, first in the process {first:.2f} s",
    )
