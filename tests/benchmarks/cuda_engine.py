"""The training engine against TRL's SFTTrainer on a CUDA device: a model of 2.2 B random weights in bfloat16.

Seconds are the wall's, in turns, A B A B. What it does not do: hold a limit; the aims are those of `engine`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

from tests.benchmarks.engine import CASES, run, spec_of
from tests.benchmarks.engine_model import save_model
from tests.benchmarks.figure import Figure

ROUNDS = 2
ROWS = 64


def measure() -> Iterator[Figure]:
    """How many times the seconds and the memory of ours TRL takes, and how far losses differ."""
    with tempfile.TemporaryDirectory(prefix="studio-engine-") as name:
        folder = Path(name)
        save_model(folder / "model", large=True, device="cuda")
        for case in CASES:
            spec = spec_of(folder, case, ROWS)
            spec = replace(spec, settings=replace(spec.settings, learning_rate=1e-4))
            for other in ("trl", "trl-kept") if case is CASES[0] else ("trl",):
                runs = [(run(folder, spec, other), run(folder, spec, "worker")) for _ in range(ROUNDS)]
                times = median(theirs["wall"] / ours["wall"] for theirs, ours in runs)
                sizes = [side["peak"] / 2**30 for side in runs[0]]
                walls = [side["wall"] for side in runs[0]]
                losses = [side["losses"] for side in runs[0]]
                apart = max(abs(a - b) for a, b in zip(*losses, strict=True))
                more = "{:.1f} s against {:.1f} s; {:.2f} GiB against {:.2f}".format(*walls, *sizes)
                more += f"; losses apart at most {apart:.4f} of {losses[0][0]:.2f}"
                yield Figure(f"{case.name}: {other} / ours", times, "times", more=more)
