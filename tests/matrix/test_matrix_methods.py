"""Everything that a plan can say, on vision as on language, with several families: trained, reloaded, merged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import PlanError
from core.lora.plan import make_plan
from core.lora.selection import available_cells
from core.spec import Inspection, Knobs, Recipe, Selection, Source
from tests.matrix.line import Base, changed, launched, merged, owners, reloaded, unread

pytestmark = pytest.mark.slow
SEEING = ("llava", "qwen2_5_vl", "mllama")
"""A tower of CLIP's kind with a convolution, one of Qwen's with windows, and one that is looked across at."""
BOTH = ("vision.attention", "vision.mlp", "language.attention", "cross_attention.attention")
RECIPES = {
    "rslora": Recipe(2, 4.0, method="rslora"),
    "dora": Recipe(2, 4.0, method="dora"),
    "adalora": Recipe(2, 4.0, method="adalora"),
    "gaussian": Recipe(2, 4.0, start="gaussian"),
    "pissa": Recipe(2, 4.0, start="pissa"),
    "olora": Recipe(2, 4.0, start="olora"),
    "eva": Recipe(2, 4.0, start="eva"),
    "lora bias": Recipe(2, 4.0, lora_bias=True),
    "ranks of its own": Recipe(4, 8.0, components={"vision": Knobs(rank=2, dropout=0.1, learning_rate=1e-3)}),
}


def cells(inspection: Inspection, wanted: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(cell for cell in available_cells(inspection) if cell in wanted)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", SEEING)
def test_a_method_trains_vision_and_language(
    name: str, recipe: str, base_of: Callable[[str], Base], colours: Source, tmp_path: Path
) -> None:
    base = base_of(name)
    longer = {"steps": 8} if recipe == "adalora" else {}
    selection = Selection(cells(base.inspection, BOTH))
    spec, plan = launched(base, selection, RECIPES[recipe], colours, tmp_path, **longer)
    again, batch = reloaded(spec, tmp_path)
    if recipe == "lora bias":
        with pytest.raises(RuntimeError, match="because the base layer has no bias"):
            again.merge_and_unload()
        return
    moved = changed(base, merged(again, batch))
    wanted = owners(plan) - unread(base)
    assert moved <= owners(plan)
    if recipe == "adalora":  # takes all of its rank from some layers
        assert {m.component for m in base.inspection.modules if m.name in moved} >= {"vision", "language"}
    else:
        assert moved >= wanted


@pytest.mark.parametrize("method", ["lora", "dora", "adalora"])
@pytest.mark.parametrize("name", ["llava", "paligemma", "mllama"])
def test_the_convolution_that_cuts_a_picture_learns_as_well(
    name: str, method: str, base_of: Callable[[str], Base], colours: Source, tmp_path: Path
) -> None:
    base = base_of(name)
    patches = next(m.name for m in base.inspection.modules if m.component == "vision" and m.kind == "Conv2d")
    recipe = Recipe(2, 4.0, method=method)
    spec, _ = launched(base, Selection((), include=(patches,)), recipe, colours, tmp_path, steps=6)
    assert changed(base, merged(*reloaded(spec, tmp_path))) == {patches}


@pytest.mark.parametrize("name", ["llava", "qwen3_vl", "gemma3"])
def test_a_projector_in_full_beside_lora(
    name: str, base_of: Callable[[str], Base], colours: Source, tmp_path: Path
) -> None:
    base = base_of(name)
    selection = Selection(cells(base.inspection, ("vision.attention",)), full=("projector",))
    recipe = Recipe(2, 4.0, full_learning_rate=1e-2)
    spec, plan = launched(base, selection, recipe, colours, tmp_path)
    moved = changed(base, merged(*reloaded(spec, tmp_path)))
    assert moved == owners(plan) - unread(base)
    assert {m.component for m in base.inspection.modules if m.name in moved} == {"vision", "projector"}


@pytest.mark.parametrize("method", ["lora", "rslora"])
@pytest.mark.parametrize("name", ["glm4v_moe", "qwen3_vl_moe"])
def test_fused_experts_learn_beside_the_tower(
    name: str, method: str, base_of: Callable[[str], Base], colours: Source, tmp_path: Path
) -> None:
    base = base_of(name)
    wanted = cells(base.inspection, ("vision.attention", "vision.mlp", "language.mlp", "language.experts"))
    spec, plan = launched(base, Selection(wanted), Recipe(2, 4.0, method=method), colours, tmp_path)
    assert plan.target_parameters
    assert changed(base, merged(*reloaded(spec, tmp_path))) == owners(plan)


@pytest.mark.parametrize("method", ["dora", "adalora"])
def test_fused_experts_are_refused_to_methods_that_do_not_know_them(
    method: str, base_of: Callable[[str], Base], colours: Source, tmp_path: Path
) -> None:
    base = base_of("qwen3_vl_moe")
    with pytest.raises(PlanError, match="fused experts"):
        launched(base, Selection(("language.experts",)), Recipe(2, 4.0, method=method), colours, tmp_path)
    assert make_plan(base.inspection, Selection(("language.experts",)), Recipe(2, 4.0, method=method))
