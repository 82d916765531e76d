"""Tokens per second, hours and disk: from a run on the same device, else nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.memory.pace import LEAST_STEPS, last_run, pace
from core.spec import Plan, Selection, Settings, Source, Spec, Status, write

DEVICE = "CPU with 32-bit floats"
SPEC = Spec(
    "first", Source("demo", "demo-vlm"), Source("demo", "digits"), Selection(("language.attention",)),
    Plan(target_modules=("a",)), Settings(steps=100, batch_size=8), 10,
)  # fmt: skip


def job(folder: Path, spec: Spec = SPEC, **status: object) -> Path:
    folder.mkdir()
    write(spec, folder / "spec.json")
    values = {"state": "finished", "step": 100, "steps_per_second": 2.0, "device": DEVICE} | status
    write(Status(**values), folder / "status.json")
    return folder


def test_without_a_run_there_is_no_figure() -> None:
    assert last_run([], SPEC, DEVICE) is None
    assert pace(None, SPEC, 100, 50, 1000) is None


def test_a_run_gives_tokens_hours_and_disk(tmp_path: Path) -> None:
    run = last_run([job(tmp_path / "one")], SPEC, DEVICE)
    made = pace(run, SPEC, steps=7200, row_tokens=50, adapter_bytes=1000)
    assert made is not None
    assert (made.steps_per_second, made.tokens_per_second) == (2.0, 2.0 * 8 * 50)
    assert made.hours == pytest.approx(1.0)
    assert made.disk_bytes == 2000
    assert "first" in made.source


def test_twice_the_batches_of_a_step_take_twice_as_long(tmp_path: Path) -> None:
    run = last_run([job(tmp_path / "one")], SPEC, DEVICE)
    twice = replace(SPEC, settings=Settings(steps=100, batch_size=8, accumulation=2))
    assert pace(run, twice, 100, 50, 0).steps_per_second == pytest.approx(1.0)


@pytest.mark.parametrize(
    "other",
    [
        {"steps_per_second": None},
        {"step": LEAST_STEPS - 1},
        {"device": "another"},
        {"spec": replace(SPEC, settings=Settings(batch_size=4))},
        {"spec": replace(SPEC, settings=Settings(batch_size=8, checkpointing=True))},
        {"spec": replace(SPEC, plan=Plan(target_modules=("a", "b")))},
        {"spec": replace(SPEC, data=Source("demo", "emoji"))},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_run_of_another_kind_does_not_count(other: dict[str, object], tmp_path: Path) -> None:
    assert last_run([job(tmp_path / "one", **other)], SPEC, DEVICE) is None


def test_the_newest_run_that_counts_is_taken(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    folders = [broken, job(tmp_path / "new", steps_per_second=4.0), job(tmp_path / "old")]
    assert last_run(folders, SPEC, DEVICE).folder == tmp_path / "new"
