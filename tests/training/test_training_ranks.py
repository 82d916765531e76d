"""AdaLoRA's ranks as they are written down are PEFT's own, and end at the total that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.lora.budget import budget
from core.lora.plan import make_plan, peft_config
from core.lora.tensors import by_name
from core.models.source import DEMO_MODEL
from core.spec import Recipe, Selection, Settings, Source, Spec, write
from core.training import ranks
from core.training.worker import run
from tests.training.short_jobs import SHORT, demo_inspection, of_kind, status_of

BOTH = Selection(cells=("vision.attention", "language.attention"))
RANK = 4


@pytest.fixture
def job(colours: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], tuple[Path, list[dict]]]:
    """Runs a job of so many steps; gives its folder and PEFT's pattern after each of them."""

    def make(steps: int) -> tuple[Path, list[dict]]:
        plan = make_plan(demo_inspection(), BOTH, Recipe(RANK, 8.0, method="adalora"))
        settings = Settings(**SHORT | {"steps": steps, "eval_every": steps})
        trainable = budget(demo_inspection(), plan).trainable
        write(Spec("ranks", DEMO_MODEL, colours, BOTH, plan, settings, trainable), tmp_path / "spec.json")
        patterns: list[dict] = []
        step_end = ranks.RankAllocation.on_optimizer_step

        def watched(self, *args, **kwargs):
            step_end(self, *args, **kwargs)
            patterns.append(dict(self._model.peft_config["default"].rank_pattern or {}))

        monkeypatch.setattr(ranks.RankAllocation, "on_optimizer_step", watched)
        assert run(tmp_path) == 0, status_of(tmp_path).error
        return tmp_path, patterns

    return make


def test_ranks_written_are_pefts_own_and_end_at_the_total_asked_for(job) -> None:
    steps = 10
    folder, patterns = job(steps)
    (labelled,) = of_kind(folder, "rank_modules")
    labels = by_name(demo_inspection())
    names = [module["name"] for module in labelled["modules"]]
    for module in labelled["modules"]:
        known = labels[module["name"]]
        assert (module["component"], module["role"], module["layer"]) == (known.component, known.role, known.layer)
    points = {point["step"]: point["ranks"] for point in of_kind(folder, "ranks")}
    assert points[0] == [6] * len(names), "one and a half times the rank to begin with"
    now = points[0]
    for step, pattern in enumerate(patterns, start=1):
        now = points.get(step, now)
        assert now == ([sum(pattern[f"{name}.lora_E.default"]) for name in names] if pattern else points[0])
    assert sum(now) == RANK * len(names)
    assert len(set(now)) > 1, "rank went where it matters"
    assert min(step for step in points if step) > 2, "nothing is taken away before anything was learned"
    totals = [sum(points[step]) for step in sorted(points)]
    assert totals == sorted(totals, reverse=True)


@pytest.mark.parametrize("steps", [*range(1, 61), 100, 997, 20_000])
def test_every_length_has_a_schedule_that_ends(steps: int) -> None:
    plan = make_plan(demo_inspection(), BOTH, Recipe(RANK, 8.0, method="adalora"))
    config = peft_config(plan, steps)
    assert 0 <= config.tinit < config.total_step - config.tfinal <= steps
    assert config.tinit >= min(2, steps - 1 - config.tfinal)
    assert config.tfinal == steps // 5


def test_a_long_job_writes_a_hundred_points_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    written: list[dict] = []
    began = {"a": 6, "b": 6}
    config = SimpleNamespace(total_step=5000, tfinal=1000, rank_pattern=None)

    def allocate(step: int) -> None:  # a rank that goes to and fro at each step
        left = [True] * 6 if step % 2 else [True] * 4 + [False] * 2
        config.rank_pattern = {"a.lora_E.default": left, "b.lora_E.default": left[::-1]}

    model = SimpleNamespace(
        peft_config={"default": config},
        base_model=SimpleNamespace(update_and_allocate=allocate),
        parameters=lambda: [],
    )
    monkeypatch.setattr(ranks, "first_ranks", lambda _: began)
    labels = {name: SimpleNamespace(component="vision", role="mlp", layer=0) for name in began}
    monkeypatch.setattr(ranks, "by_name", lambda _: labels)
    metrics = SimpleNamespace(add=lambda kind, **values: written.append({"kind": kind, **values}))
    watcher = ranks.RankAllocation(model, None, metrics)
    for step in range(4000):
        watcher.on_optimizer_step(None, SimpleNamespace(global_step=step), None)
    points = [point for point in written if point["kind"] == "ranks"]
    assert 50 < len(points) <= 100
    assert points[-1]["step"] == 4000
    assert points[-1]["ranks"] == [4, 4]
