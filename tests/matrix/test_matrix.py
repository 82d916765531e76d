"""Each family with vision, language, projector and all of it: trained by the worker, reloaded by plain PEFT, merged.

What a merged model has other than the base is what was trained: it is compared weight by weight.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import PlanError
from core.lora.plan import make_plan
from core.spec import Inspection, Recipe, Selection, Source
from tests.matrix.families import FAMILIES
from tests.matrix.line import Base, changed, launched, merged, owners, reloaded, unread
from tests.training.short_jobs import status_of

LANGUAGE = ("language", "cross_attention")
PARTS: dict[str, tuple[str, ...]] = {
    "vision": ("vision",),
    "language": LANGUAGE,
    "projector": ("projector",),
    "all": ("vision", *LANGUAGE, "projector"),
}
NO_PROJECTOR = ("blip",)
"""Families whose text looks across at the tower's own output."""
RECIPE = Recipe(rank=2, alpha=4.0)
DAILY = ("llava", "qwen2_5_vl", "mllama")
"""One of each kind of tower; `make check` runs these alone."""
CASES = [
    pytest.param(name, part, marks=() if name in DAILY else pytest.mark.slow)
    for name in FAMILIES
    for part in PARTS
    if part != "projector" or name not in NO_PROJECTOR
]


def selection_of(inspection: Inspection, components: tuple[str, ...]) -> Selection:
    """LoRA on the matrices of these components; the projector in full where it has none for LoRA."""
    roles = {c: {m.role for m in inspection.modules if m.component == c and m.adaptable} for c in components}
    cells = tuple(f"{c}.{role}" for c in components for role in ("attention", "mlp", "other") if role in roles[c])
    bare = "projector" in components and not roles["projector"] & {"attention", "mlp", "other"}
    there = any(module.component == "projector" for module in inspection.modules)
    return Selection(cells, full=("projector",) if bare and there else ())


@pytest.mark.parametrize(("name", "part"), CASES)
def test_a_part_is_trained_reloaded_and_merged(
    name: str, part: str, base_of: Callable[[str], Base], colours: Source, tmp_path: Path
) -> None:
    base = base_of(name)
    spec, plan = launched(base, selection_of(base.inspection, PARTS[part]), RECIPE, colours, tmp_path)
    status = status_of(tmp_path)
    assert abs(status.after.loss - status.before.loss) > 1e-5

    moved = changed(base, merged(*reloaded(spec, tmp_path)))
    assert moved == owners(plan) - unread(base)
    assert {m.component for m in base.inspection.modules if m.name in moved} <= set(PARTS[part])


@pytest.mark.parametrize("name", NO_PROJECTOR)
def test_a_part_that_is_not_there_is_refused_in_words(name: str, base_of: Callable[[str], Base]) -> None:
    inspection = base_of(name).inspection
    with pytest.raises(PlanError, match="nothing is selected"):
        make_plan(inspection, selection_of(inspection, PARTS["projector"]), RECIPE)
