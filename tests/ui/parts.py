"""What the tests of the page share: job folders as a worker leaves them, a request, and what a plain sentence is."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr

from core.jobs.home import Home, open_home
from core.jobs.local import LocalBackend
from core.jobs.record import Record, new_row, write_record
from core.lora.budget import budget
from core.lora.plan import make_plan
from core.models.inspection import inspect_source
from core.models.source import DEMO_MODEL
from core.spec import Recipe, Score, Selection, Settings, Source, Spec, Status, write
from ui.panels.settings import first_form
from ui.studio import OWNER_COOKIE, OWNER_LENGTH, Studio, key_of

ROOT = Path(__file__).resolve().parents[2]
CANARY = "hf_canaryCANARYcanaryCANARYcanary12"
"""Stands in the environment as a token; no answer may hold it."""
FAKE_WORKER = (sys.executable, str(ROOT / "tests" / "jobs" / "fake_worker.py"))
ANNA, BEN = "Anna".ljust(OWNER_LENGTH, "a"), "Ben".ljust(OWNER_LENGTH, "b")
JOB = "20260101-120000-000-0123456789"
POINT = {"kind": "train", "step": 1, "loss": 2.5}
DEMO = inspect_source(DEMO_MODEL)
CHOSEN = Selection(cells=("language.attention",))
PLAN = make_plan(DEMO, CHOSEN, Recipe(rank=8, alpha=16.0))
SPEC = Spec(
    name="Digits",
    model=DEMO_MODEL,
    data=Source("demo", "digits"),
    selection=CHOSEN,
    plan=PLAN,
    settings=Settings(),
    trainable=budget(DEMO, PLAN).trainable,
)
STATUS = Status(
    state="finished", step=5, total_steps=5, before=Score(exact_match=0.1, correct=1, rows=10), after=Score(0.9, 9, 10)
)


def make_job(root: Path, owner: str, job: str = JOB, **spec: Any) -> Path:
    """A finished job's folder, as a worker leaves it; `spec` are fields of its spec."""
    home: Home = open_home(root)
    row = new_row(job, owner, spec.get("name", SPEC.name), home.jobs)
    (row.folder / "adapter").mkdir(parents=True)
    write_record(Record(row, None), row.folder)
    write(replace(SPEC, **spec), row.folder / "spec.json")
    write(STATUS, row.folder / "status.json")
    (row.folder / "metrics.jsonl").write_text(json.dumps(POINT) + "\n")
    (row.folder / "worker.log").write_text("It began.\n")
    (row.folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    (row.folder / "adapter" / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(root)}))
    return row.folder


def make_studio(root: Path, mode: str = "quick", shared: bool = False) -> Studio:
    """A studio whose jobs are run by the fake worker."""
    return Studio(LocalBackend(root / "home", [*FAKE_WORKER, mode]), root / "home" / "cache", shared=shared)


def request_of(owner: str | None = None) -> gr.Request:
    """A request as a handler gets it."""
    return SimpleNamespace(cookies={OWNER_COOKIE: owner} if owner else {})  # type: ignore[return-value]


def good_choice(studio: Studio) -> dict[str, Any]:
    """What the page sends at Start."""
    key = key_of(studio.open(DEMO_MODEL))
    chosen = {"cells": list(CHOSEN.cells), "include": [], "exclude": []}
    numbers = {"shown": SPEC.trainable, "ticket": 7, "confirmed": False}
    return {"model_key": key, "selection": chosen, "recipe": {"rank": 8, "alpha": 16}, "dataset": "digits", **numbers}


def good_form() -> dict[str, Any]:
    """What the widgets hold to begin with, in their order."""
    return {**first_form(), "length": 5, "learning_rate": "3e-3"}


def files_under(folder: Path) -> set[str]:
    """Every file and folder in there, but for the list of jobs."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.name.startswith("jobs.sqlite3")}


def wait_for(true: Callable[[], bool], seconds: float = 120.0) -> None:
    """Waits until it is true, as long as a machine that is very busy may need."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def assert_plain(text: str) -> None:
    """One plain sentence or two: no traceback, no place on this machine, no token."""
    assert 10 < len(text) < 700, text
    assert text.endswith((".", "?")), text
    assert "\n" not in text, text
    assert "Traceback" not in text, text
    assert_nothing_private(text)


def assert_nothing_private(text: str) -> None:
    """Neither the token nor a place of this machine."""
    assert CANARY not in text
    for place in {ROOT, Path(sys.prefix), Path(tempfile.gettempdir()), Path.home()} - {Path("/")}:
        assert f"{place}/" not in text, text[max(0, text.find(f"{place}/") - 80) :][:200]
