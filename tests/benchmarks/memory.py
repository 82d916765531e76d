"""How long an estimate of memory takes, and a verdict with the change that makes the step fit, nothing cached."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.figure import Figure, quantile

if TYPE_CHECKING:
    from core.memory.workload import Workload
    from core.models.source import Resolved
    from core.spec import Plan

RUNS = 3
LIMIT = 2.0
MODELS = ("LLaVA-1.5 7B", "Qwen2.5-VL 7B", "Llama 3.2 Vision 11B", "Qwen3-VL 30B-A3B")
CARDS = ("L4", "A100, 40 GB", "T4", "RTX 3060", "RTX 4060")
"""From one that a change or two suffices for to one on which nearly everything has to be tried."""


def measure() -> Iterator[Figure]:
    """Processor seconds of an estimate and of a verdict on cards of several sizes, another question each time.

    The first estimate, which loads the model's code, does not count; the shapes that operations made of others before
    are remembered, as they are in a server.
    """
    from core.memory.estimate import estimate
    from tests.memory.big_models import big_source
    from tests.memory.card import WORK
    from tests.memory.measuring import plan_of

    with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
        for name in MODELS:
            resolved = big_source(name, Path(folder))
            plan = plan_of(resolved, "all")
            estimate(resolved, plan, WORK)
            works = [WORK.but(batch=8, text_tokens=100 + run) for run in range((1 + len(CARDS)) * RUNS)]
            estimates = []
            for work in works[:RUNS]:
                began = time.process_time()
                memory = estimate(resolved, plan, work)
                estimates.append(time.process_time() - began)
            size = f"{memory.peak_bytes / 2**30:.1f} GiB, slowest of {RUNS} {max(estimates):.2f} s"
            yield Figure(f"memory of {name}", quantile(estimates, 0.5), "s", LIMIT, more=size)
            yield from _verdicts(name, resolved, plan, works[RUNS:])


def _verdicts(name: str, resolved: Resolved, plan: Plan, works: list[Workload]) -> Iterator[Figure]:
    """The usual verdict, and the slowest card's."""
    from core.memory.cards import CARDS as ALL
    from core.memory.verdict import verdict

    seconds: dict[str, list[float]] = {}
    words: dict[str, str] = {}
    for place, work in enumerate(works):
        card = next(card for card in ALL if CARDS[place % len(CARDS)] in card.name)
        began = time.process_time()
        made = verdict(resolved, plan, work, card)
        seconds.setdefault(card.name, []).append(time.process_time() - began)
        words[card.name] = made.words
    middles = {card: quantile(times, 0.5) for card, times in seconds.items()}
    usual, slowest = next(iter(middles)), max(middles, key=lambda card: middles[card])
    yield Figure(f"verdict on {name}", middles[usual], "s", LIMIT, more=words[usual])
    more = f"of {len(CARDS)} cards; slowest of {RUNS} {max(seconds[slowest]):.2f} s. {words[slowest]}"
    yield Figure(f"slowest verdict on {name}", middles[slowest], "s", LIMIT, more=more)
