"""On a CPU the same spec gives the same adapter, bit for bit, with everything that is left to chance switched on."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from core.lora.budget import budget
from core.lora.plan import make_plan
from core.models.source import DEMO_MODEL
from core.spec import LEVERS, Recipe, Selection, Settings, Source, Spec, write
from tests.training.short_jobs import SHORT, demo_inspection, of_kind, status_of

ROOT = Path(__file__).parents[2]
CHANCE = {
    "augment": ("colour", "rotation", "crop", "blur", "jpeg"),
    "neftune": 5.0,
    "label_smoothing": 0.1,
    "lora_plus": 4.0,
    "order": "pictures",
    "accumulation": 2,
    "epochs": 2.0,
    "steps": None,
    "batch_size": 5,
    "keep": "last",
}
"""24 rows in batches of 5 leave a smaller one at the end of each epoch."""


def ran(
    folder: Path,
    data: Source,
    elsewhere: bool = False,
    cells: tuple[str, ...] = ("vision.attention", "language.attention"),
    dropout: float = 0.1,
    **settings: object,
) -> tuple[bytes, list[float]]:
    """The adapter and the losses of a job, in this process or in another one."""
    selection, recipe = Selection(cells=cells), Recipe(4, 8.0, dropout)
    plan = make_plan(demo_inspection(), selection, recipe)
    made = Settings(**SHORT | CHANCE | settings)
    spec = Spec("chance", DEMO_MODEL, data, selection, plan, made, budget(demo_inspection(), plan).trainable)
    folder.mkdir()
    write(replace(spec, name=folder.name), folder / "spec.json")
    if elsewhere:
        command = [sys.executable, "-m", "core.training.worker", str(folder)]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True)
        assert done.returncode == 0, done.stderr[-2000:]
    else:
        from core.training.worker import run

        assert run(folder) == 0, status_of(folder).error
    losses = [point["loss"] for point in of_kind(folder, "train")]
    return (folder / "adapter" / "adapter_model.safetensors").read_bytes(), losses


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, colours: Source) -> tuple[bytes, list[float]]:
    return ran(tmp_path_factory.mktemp("seeds") / "first", colours)


@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_another_process_learns_the_same(first: tuple[bytes, list[float]], colours: Source, tmp_path: Path, workers):
    """However many processes prepare the rows."""
    again = ran(tmp_path / "again", colours, elsewhere=True, workers=workers)
    assert len(first[1]) == 6
    assert again[1] == first[1]
    assert again[0] == first[0]


def test_another_seed_learns_otherwise(first: tuple[bytes, list[float]], colours: Source, tmp_path: Path):
    other = ran(tmp_path / "other", colours, seed=1)
    assert other[1] != first[1]
    assert other[0] != first[0]


@pytest.mark.slow
@pytest.mark.parametrize("levers", [False, True])
def test_the_levers_repeat_themselves_too(colours: Source, tmp_path: Path, levers: bool):
    """Without augmentation and noise, which keep most of them off."""
    asked = {"augment": (), "neftune": 0.0, "without": () if levers else LEVERS}
    one, two = (ran(tmp_path / name, colours, **asked) for name in ("one", "two"))
    assert one == two


@pytest.mark.slow
def test_all_levers_together_repeat_themselves(shared: Source, tmp_path: Path):
    """With all that is left to chance and leaves each of them on; the second one finds the tower's features ready."""
    asked = {"augment": (), "neftune": 0.0, "cells": ("language.attention",), "dropout": 0.0}
    home = tmp_path / "home" / "jobs"
    home.mkdir(parents=True)
    one, two = (ran(home / name, shared, elsewhere=name == "two", **asked) for name in ("one", "two"))
    on = {point["name"]: point["on"] for point in of_kind(home / "two", "lever")}
    assert on == {name: name != "kernels" for name in LEVERS}, "kernels are for CUDA alone"
    assert one == two
    slow = ran(home / "slow", shared, without=LEVERS, **asked)
    assert one[1] == pytest.approx(slow[1], abs=1e-5)
