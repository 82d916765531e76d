"""Whole jobs with and without the levers learn the same, and say what became of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.lora.budget import budget
from core.lora.plan import make_plan
from core.spec import LEVERS, Recipe, Selection, Source, Spec, read, write
from core.training.levers import vision_proof
from core.training.worker import run
from tests.training.short_jobs import demo_inspection, of_kind, status_of

ALL_ON = {name: name != "kernels" for name in LEVERS}
"""Kernels are for CUDA alone."""


def losses(folder: Path) -> list[float]:
    assert run(folder) == 0, status_of(folder).error
    return [point["loss"] for point in of_kind(folder, "train")]


def looks(folder: Path) -> list[float]:
    return [point["loss"] for point in of_kind(folder, "eval")]


def levers(folder: Path) -> dict[str, bool]:
    return {point["name"]: point["on"] for point in of_kind(folder, "lever")}


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "again"])
def test_a_job_learns_the_same_with_and_without_them(checkpointing: bool, new_job: Callable[..., Path]) -> None:
    fast = new_job("fast", checkpointing=checkpointing, epochs=2.0, steps=None)
    slow = new_job("slow", checkpointing=checkpointing, epochs=2.0, steps=None, without=LEVERS)
    assert losses(fast) == pytest.approx(losses(slow), abs=1e-5)
    assert looks(fast) == pytest.approx(looks(slow), abs=1e-5)
    on, off = levers(fast), levers(slow)
    assert on["answers_only"]
    assert on["frozen_first"]
    assert on["vision_cache"]
    assert set(on) == set(off)
    assert not any(off.values())
    reasons = [point["reason"] for point in of_kind(fast, "lever")]
    assert all(reason.endswith(".") for reason in reasons)


@pytest.mark.slow
@pytest.mark.parametrize("order", ["rows", "pictures"])
def test_rows_that_share_a_picture_learn_the_same_from_kept_features(
    order: str, shared: Source, new_job: Callable[..., Path]
) -> None:
    fast = new_job("fast", data=shared, order=order)
    slow = new_job("slow", data=shared, order=order, without=LEVERS)
    assert losses(fast) == pytest.approx(losses(slow), abs=1e-5)
    assert levers(fast) == ALL_ON


@pytest.mark.slow
@pytest.mark.parametrize(("quantization", "part"), [("8bit", "all"), ("4bit", "all"), ("8bit", "language")])
def test_packed_weights_learn_the_same_with_each_lever(
    quantization: str, part: str, shared: Source, new_job: Callable[..., Path]
) -> None:
    """Together and one at a time; layers whose weights are packed keep PEFT's own forward."""
    same = {"data": shared, "order": "pictures", "quantization": quantization, "quantized_part": part}
    slow = new_job("slow", **same, without=LEVERS)
    expected = losses(slow)
    for only in (None, "vision_cache", "shared_pictures", "packing", "fused_lora"):
        fast = new_job(only or "all", **same, without=tuple(name for name in LEVERS if only not in (None, name)))
        # A sum in another order moves a number by its last digit, and one that is rounded to 8 bits by a whole step.
        rounded = (quantization, part) == ("8bit", "language") and only in (None, "shared_pictures")
        near = {"rel": 1e-3} if rounded else {"abs": 1e-5}
        assert losses(fast) == pytest.approx(expected, **near), only
        assert looks(fast) == pytest.approx(looks(slow), **near), only
        assert levers(fast)["fused_lora"] is False
        if only in (None, "vision_cache"):  # a tower packed to 8 bits computes otherwise in training than in looks
            assert levers(fast)["vision_cache"] is (quantization == "4bit" or part == "language")


METHODS: dict[str, tuple[Recipe, bool]] = {
    "lora": (Recipe(4, 8.0), True),
    "rslora": (Recipe(4, 8.0, method="rslora"), True),
    "eva": (Recipe(4, 8.0, start="eva"), True),
    "pissa": (Recipe(4, 8.0, start="pissa"), True),
    "adalora": (Recipe(4, 8.0, method="adalora"), False),
    "dora": (Recipe(4, 8.0, method="dora"), False),
    "dropout": (Recipe(4, 8.0, 0.1), False),
}
"""Recipes, and whether a frozen layer and its LoRA can compute in one step there."""


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_layers_in_one_step_learn_and_answer_the_same(name: str, new_job: Callable[..., Path]) -> None:
    """With checkpointing, accumulation, and looks on the way; in the vision tower too."""
    recipe, on = METHODS[name]
    plan = make_plan(demo_inspection(), Selection(cells=("vision.attention", "language.mlp")), recipe)
    found = []
    for way, without in (("fused", ()), ("apart", ("fused_lora",))):
        folder = new_job(way, checkpointing=True, accumulation=2, without=without)
        spec = read(Spec, folder / "spec.json")
        write(replace(spec, plan=plan, trainable=budget(demo_inspection(), plan).trainable), folder / "spec.json")
        found.append((losses(folder), looks(folder), [point["answers"] for point in of_kind(folder, "answers")]))
        assert levers(folder)["fused_lora"] is (on and not without)
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-4)
    assert found[0][1] == pytest.approx(found[1][1], abs=1e-4)
    assert found[0][2] == found[1][2]
    assert found[0][0][0] != found[0][0][-1]


def test_jobs_of_one_data_folder_share_what_the_tower_said(
    new_job: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / "jobs").mkdir(parents=True)
    made = []
    original = vision_proof.VisionCache

    class Watched(original):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr(vision_proof, "VisionCache", Watched)
    first, second = (new_job(name).rename(home / "jobs" / name) for name in ("first", "second"))
    assert losses(first) == losses(second)
    assert made[0].computed > 0
    assert made[1].computed == 0
    assert list((home / "cache" / "vision").rglob("*.safetensors"))
