"""How long an estimate of memory takes, and a verdict with the change that makes the step fit, nothing cached."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figure import Figure, quantile

RUNS = 5
LIMIT = 2.0


def measure() -> Iterator[Figure]:
    """Processor seconds of `estimate` and of both; the first one, which loads the model's code, does not count."""
    from core.memory.cards import CARDS
    from core.memory.estimate import estimate
    from core.memory.verdict import verdict
    from tests.memory.big_models import big_source
    from tests.memory.measuring import plan_of
    from tests.memory.table import LARGE

    card = next(card for card in CARDS if "24 GB" in card.name)
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
        for name in ("LLaVA-1.5 7B", "Qwen2.5-VL 7B"):
            resolved = big_source(name, Path(folder))
            plan = plan_of(resolved, "all")
            estimate(resolved, plan, LARGE)
            estimates, verdicts = [], []
            for run in range(RUNS):
                work = LARGE.but(batch=8, text_tokens=100 + run)  # another question each time
                began = time.process_time()
                memory = estimate(resolved, plan, work)
                estimates.append(time.process_time() - began)
                made = verdict(resolved, plan, work, card)
                verdicts.append(time.process_time() - began)
            size = f"{memory.peak_bytes / 2**30:.1f} GiB, slowest of {RUNS} {max(estimates):.2f} s"
            yield Figure(f"memory of {name}", quantile(estimates, 0.5), "s", LIMIT, more=size)
            yield Figure(f"verdict on {name}", quantile(verdicts, 0.5), "s", LIMIT, more=made.words)
