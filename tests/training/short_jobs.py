"""Specs of short jobs on the demo model, and what such jobs have written."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from math import isclose
from pathlib import Path

from core.lora.budget import budget
from core.lora.plan import make_plan
from core.models.inspection import inspect_source
from core.models.source import DEMO_MODEL
from core.spec import Inspection, Recipe, Score, Selection, Settings, Source, Spec, Status, read

COLOURS = {"seven": (220, 30, 30), "left": (30, 160, 40), "moon": (40, 60, 220)}
"""Answers to learn and the colours they stand for; words that the demo model would not say of a colour by itself."""
SHORT = {
    "steps": 6,
    "batch_size": 4,
    "learning_rate": 1e-2,
    "eval_every": 2,
    "eval_rows": 4,
    "final_rows": 6,
    "sample_count": 3,
    "max_new_tokens": 4,
}


@cache
def demo_inspection() -> Inspection:
    return inspect_source(DEMO_MODEL)


def make_spec(data: Source, cells: tuple[str, ...] = ("language.attention",), **settings: object) -> Spec:
    selection = Selection(cells=cells)
    plan = make_plan(demo_inspection(), selection, Recipe(rank=4, alpha=8.0))
    trainable = budget(demo_inspection(), plan).trainable
    return Spec("colours", DEMO_MODEL, data, selection, plan, Settings(**SHORT | settings), trainable)


def series(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def of_kind(folder: Path, kind: str) -> list[dict]:
    return [point for point in series(folder) if point["kind"] == kind]


def status_of(folder: Path) -> Status:
    return read(Status, folder / "status.json")


def same(one: Score, other: Score) -> bool:
    """Whether two looks found the same; losses as far as 32 bits and levers let them agree (1e-5)."""
    assert one.loss is not None
    assert other.loss is not None
    return isclose(one.loss, other.loss, rel_tol=1e-5) and replace(one, loss=0.0) == replace(other, loss=0.0)
