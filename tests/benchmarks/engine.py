"""The training engine against TRL's SFTTrainer as it comes, on the same rows in the same order, in turns: A B A B.

Each run is a process of its own with one thread (`engine_run`); seconds are the processor's, so that other work on the
machine counts little. Filling the caches is part of the time. Ratios are medians over the rounds. A second figure
counts what comes before as well, from when the model is loaded: ours tries its levers and hashes the frozen weights,
TRL prepares the rows (see `engine_run`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from core.lora.budget import budget
from core.lora.plan import make_plan
from core.models.inspection import inspect_source
from core.spec import Recipe, Selection, Settings, Source, Spec, write
from tests.benchmarks.engine_model import LAST, save_model, save_rows
from tests.benchmarks.figure import Figure

ROUNDS = 2
ROWS = 8
LANGUAGE = ("language.attention", "language.mlp")
VISION = ("vision.attention", "vision.mlp")


@dataclass(frozen=True)
class Case:
    """What is trained on what, and how much faster than TRL it is to be."""

    name: str
    cells: tuple[str, ...]
    questions: int
    """Rows that share a picture."""
    at_least: float


CASES = (
    Case("language only", LANGUAGE, 1, 4.0),
    Case("four questions a picture", LANGUAGE, 4, 8.0),
    Case("vision + language", (*VISION, *LANGUAGE), 1, 2.2),
)


def measure() -> Iterator[Figure]:
    """How many times the seconds of ours TRL takes, the peak of memory against TRL's, and how far losses differ."""
    with tempfile.TemporaryDirectory(prefix="studio-engine-") as name:
        folder = Path(name)
        save_model(folder / "model")
        for case in CASES:
            spec = spec_of(folder, case, precision="fp32")
            programs = ("trl", "trl-kept", "worker", "trainer") if case.questions == 1 else ("trl", "worker")
            runs = [{program: run(folder, spec, program) for program in programs} for _ in range(ROUNDS)]
            yield from figures(case, runs)


def figures(case: Case, runs: list[dict[str, dict[str, Any]]]) -> Iterator[Figure]:
    ours = [run["worker"] for run in runs]
    for other, limit in (("trl", case.at_least), ("trl-kept", 2.2 if case.cells == LANGUAGE else None)):
        if other not in runs[0]:
            continue
        pairs = [(run[other]["cpu"], run["worker"]["cpu"]) for run in runs]
        more = f"at least {limit:g}; " if limit else ""
        more += ", ".join(f"{theirs:.1f} s against {mine:.1f} s" for theirs, mine in pairs)
        ratio = median(mine / theirs for theirs, mine in pairs)
        yield Figure(
            f"{case.name}: ours / {other}", ratio, "x", limit and 1 / limit, more=f"{1 / ratio:.2f} times; {more}"
        )
    whole = [(run["worker"]["whole"], run["trl"]["whole"]) for run in runs]
    seconds = ", ".join(f"{theirs:.1f} s against {mine:.1f} s" for mine, theirs in whole)
    ratio = median(mine / theirs for mine, theirs in whole)
    yield Figure(
        f"{case.name}: from the loaded model on, ours / trl", ratio, "x", more=f"{1 / ratio:.2f} times; {seconds}"
    )
    peak = median(run["worker"]["peak"] / run["trl"]["peak"] for run in runs)
    sizes = f"{ours[0]['peak'] / 2**30:.2f} GiB against {runs[0]['trl']['peak'] / 2**30:.2f}, Python included"
    yield Figure(f"{case.name}: peak memory / trl", peak, "x", 0.7, more=sizes)
    apart = max(abs(a - b) for run in runs for a, b in zip(run["trl"]["losses"], run["worker"]["losses"], strict=True))
    yield Figure(f"{case.name}: losses apart", apart, "nats", 1e-4, more=f"{len(ours[0]['losses'])} steps")
    if "trainer" in runs[0]:
        over = median(run["worker"]["cpu"] / run["trainer"]["cpu"] for run in runs)
        yield Figure(f"{case.name}: worker / its trainer", over, "x", 1.02)


def spec_of(folder: Path, case: Case, rows: int = ROWS, **settings: Any) -> Spec:
    """The case as a job, with nothing to look at on the way."""
    data = folder / f"rows-{case.questions}"
    if not data.exists():
        save_rows(data, rows, case.questions)
    model, selection = Source("folder", str(folder / "model")), Selection(case.cells)
    inspection = inspect_source(model)
    plan = make_plan(inspection, selection, Recipe(rank=16, alpha=32.0))
    chosen = Settings(
        **LAST, learning_rate=1e-3, eval_every=10_000, eval_rows=1, final_rows=1, sample_count=0, max_new_tokens=1,
        keep="last", order="pictures" if case.questions > 1 else "rows", **settings,
    )  # fmt: skip
    cost = budget(inspection, plan).trainable
    return Spec(case.name, model, Source("folder", str(data)), selection, plan, chosen, cost)


def run(folder: Path, spec: Spec, program: str) -> dict[str, Any]:
    """The figures of one run."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        write(spec, Path(name) / "spec.json")
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "STUDIO_HOME": name, "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.engine_run", program, name]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise AssertionError(done.stderr[-3000:])
        figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return figures
