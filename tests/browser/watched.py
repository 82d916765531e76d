"""A finished job with every kind of point that a worker may write, and its proof: what the page is looked at with.

What it does not do: train. The numbers are made up, from a seed; the modules are the demo model's.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.data.rows import Row
from core.data.source import load_dataset
from core.job_files import POINTS, PROOF, STATUS
from core.lora.budget import budget
from core.lora.plan import make_plan
from core.models.inspection import inspect_source
from core.models.source import DEMO_MODEL
from core.spec import Inspection, Module, Recipe, Score, Selection, Source, Status, write
from tests.ui.parts import JOB, make_job

CELLS = ("vision.attention", "vision.mlp", "language.attention", "language.mlp")
LEVELS = {"vision": 0.02, "projector": 0.06, "language": 0.3}
Points = Iterator[dict[str, Any]]

CHOICES = (
    ("device", "cpu", "No GPU was found.", "studio"),
    ("precision", "fp32", "This processor has no fast bf16.", "studio"),
    ("attention", "sdpa", "It is exact, and the fastest that runs here.", "studio"),
    (
        "checkpointing",
        False,
        "1.2 GiB of 7.8 GiB is needed at the peak, so nothing has to be computed twice.",
        "studio",
    ),
    ("at_once", 16, "The whole batch fits at once.", "studio"),
    ("workers", 0, "Preparing a row takes 0.4 ms, less than handing it over.", "you"),
)
LEVERS = (
    ("answers_only", True, "Of 137 positions in a row 3 are learned: head and loss are computed on these alone."),
    ("frozen_first", True, "Nothing before vision layer 0 learns, so the backward pass ends there."),
    ("vision_cache", False, "Vision learns, so what it says of a picture changes with every step."),
    ("shared_pictures", False, "Each picture stands in one row."),
    ("packing", False, "All rows are as long as each other: there is no padding to save."),
    ("kernels", False, "Liger is not installed."),
)


def watched_job(root: Path, steps: int = 120, method: str = "dora", job: str = JOB, **status: Any) -> Path:
    """The job's folder, in the data folder of one person's own server."""
    demo = inspect_source(DEMO_MODEL)
    plan = make_plan(demo, Selection(cells=CELLS), Recipe(method=method, rank=8, alpha=16.0))
    trainable = budget(demo, plan).trainable
    folder = make_job(root, "local", job, selection=Selection(cells=CELLS), plan=plan, trainable=trainable)
    chosen = [module for module in demo.modules if module.name in set(plan.target_modules)]
    (folder / POINTS).write_text("".join(json.dumps(point) + "\n" for point in points(demo, chosen, steps, method)))
    (folder / PROOF).write_text(json.dumps(proof(demo, chosen)))
    write(_status(steps, trainable=trainable, **status), folder / STATUS)
    return folder


def _status(steps: int, **more: Any) -> Status:
    before = Score(0.23, 46, 200, 1.94, _metrics(0.23), "exact_match", (0.177, 0.293))
    after = Score(0.91, 182, 200, 0.31, _metrics(0.91), "exact_match", (0.862, 0.942))
    kept = steps - steps // 6
    whole = Status(
        "finished", kept_step=kept, step=steps, total_steps=steps, before=before, after=after, majority=0.115
    )
    return replace(whole, device="cpu, fp32: no GPU was found", steps_per_second=6.1, **more)


def _metrics(right: float) -> dict[str, float]:
    return {
        "exact_match": right,
        "token_f1": min(1, right + 0.03),
        "anls": min(1, right + 0.05),
        "cer": 1.2 - 1.1 * right,
    }


def points(demo: Inspection, chosen: list[Module], steps: int, method: str) -> Points:
    """Every line of the job's metrics."""
    yield from ({"kind": "choice", "name": n, "value": v, "reason": r, "by": by} for n, v, r, by in CHOICES)
    yield from ({"kind": "lever", "name": n, "on": on, "reason": r} for n, on, r in LEVERS)
    draw = random.Random(0)
    layers = sorted({(m.component, m.layer) for m in chosen}, key=lambda at: (at[0] != "vision", at[1] or 0))
    yield {"kind": "layers", "layers": [{"component": c, "layer": n} for c, n in layers]}
    if method == "adalora":
        names = ("name", "component", "role", "layer")
        yield {"kind": "rank_modules", "modules": [{n: getattr(m, n) for n in names} for m in chosen]}
        yield {"kind": "ranks", "step": 0, "ranks": [12] * len(chosen)}
    rows = load_dataset(Source("demo", "digits")).heldout[:6]
    yield {"kind": "samples", "samples": [_sample(place, row, draw) for place, row in enumerate(rows)]}
    yield _look(0, 0.23, 1.94)
    for step in range(1, steps + 1):
        yield from _step(step, steps, draw, sorted({c for c, _ in layers}), len(layers))
        if method == "adalora" and step % max(1, steps // 20) == 0:
            yield {"kind": "ranks", "step": step, "ranks": _ranks(chosen, step / steps)}
        if step % max(1, steps // 6) == 0:
            done = step / steps
            yield _look(step, 0.23 + 0.68 * done**0.6, 1.94 * math.exp(-2.2 * done) + 0.15 * max(0, done - 0.8))
            yield {"kind": "answers", "step": step, "answers": [_answer(n, r, done, draw) for n, r in enumerate(rows)]}
            if done <= 0.84:
                yield {"kind": "best", "step": step, "loss": 0.31}
    yield {"kind": "diagnosis", **PLATEAU}


def _answer(place: int, row: Row, done: float, draw: random.Random) -> dict[str, Any]:
    return {"index": place, "answer": row.answer if draw.random() < done else str(draw.randrange(10))}


def _sample(place: int, row: Row, draw: random.Random) -> dict[str, Any]:
    of = {"index": place, "picture": row.picture_name, "question": row.question, "expected": row.answer}
    return {**of, "base": str(draw.randrange(10))}


PLATEAU = {
    "title": "The held-out loss has stopped falling",
    "text": "It was lowest at step 100 (0.312) and rose to 0.334 in the look after it.",
    "remedy": "The weights of step 100 became the adapter. Train for fewer steps, or bring more rows.",
}


def _look(step: int, right: float, loss: float) -> dict[str, Any]:
    of = {"exact_match": right, "metrics": _metrics(right), "metric": "exact_match"}
    return {"kind": "eval", "step": step, "loss": loss, **of}


def _step(step: int, steps: int, draw: random.Random, components: list[str], layers: int) -> Points:
    done = step / steps
    yield {
        "kind": "train",
        "step": step,
        "loss": 2.1 * math.exp(-2.6 * done) + 0.12 * draw.random() + 0.1,
        "learning_rate": 3e-3 * 0.5 * (1 + math.cos(math.pi * done)),
        "grad_norm": 1.2 * math.exp(-done) * draw.uniform(0.7, 1.3),
        "rows_per_second": 97 * draw.uniform(0.93, 1.05),
        "tokens_per_second": 13_300 * draw.uniform(0.93, 1.05),
        "device_memory": None,
        "host_memory": int(1.15e9 + 6e7 * min(1, done * 3)),
    }

    def norms(scale: float) -> dict[str, float]:
        return {name: scale * LEVELS[name] * draw.uniform(0.8, 1.25) for name in components}

    update, weight = 0.05 * (1 - done) + 0.001, 2 + 6 * done**0.5
    yield {"kind": "norms", "step": step, "grad": norms(2), "weight": norms(weight), "update": norms(update)}
    if step % 10 == 0:
        yield {
            "kind": "flow",
            "step": step,
            "norms": [0.001 * 2 ** (n + 2 * done) * draw.uniform(0.7, 1.4) for n in range(layers)],
        }


def _ranks(chosen: list[Module], done: float) -> list[int]:
    """More is taken from vision, and from its first layers."""
    found = []
    for module in chosen:
        lasting = (0.2 if module.component == "vision" else 0.75) + 0.09 * (module.layer or 0)
        lasting += 0.2 if module.name.endswith(("v_proj", "down_proj", "fc2")) else 0
        found.append(round(12 * (1 - done * (1 - min(1, max(0, lasting - 0.2))))))
    return found


def proof(demo: Inspection, chosen: list[Module]) -> dict[str, Any]:
    """As the worker writes it."""
    draw = random.Random(1)
    modules = []
    for module in chosen:
        ratio = (0.004 if module.component == "vision" else 0.03) * (1 + (module.layer or 0)) * draw.uniform(0.5, 1.6)
        of = {"name": module.name, "component": module.component, "role": module.role, "layer": module.layer}
        modules.append({**of, "weight": 8.0, "update": 8.0 * ratio, "ratio": ratio})
    same = hashlib.sha256(b"frozen").hexdigest()
    frozen = {"tensors": 134, "bytes": 4_320_128, "before": same, "after": same, "same": True, "changed": []}
    components = {part: _component(part, modules) for part in ("vision", "projector", "language")}
    words = "Vision and language changed as chosen; all 134 frozen tensors are bit for bit what they were."
    return {"frozen": frozen, "modules": modules, "components": components, "words": words}


def _component(name: str, modules: Iterable[dict[str, Any]]) -> dict[str, Any]:
    own = [module for module in modules if module["component"] == name]
    update, weight = (math.sqrt(sum(m[key] ** 2 for m in own)) for key in ("update", "weight"))
    of = {"chosen": bool(own), "modules": len(own) + 9, "trained": len(own)}
    return {**of, "update": update, "weight": weight or 3.0, "ratio": update / (weight or 3.0)}
