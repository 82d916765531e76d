"""Each family with vision, language, projector and all of it: trained by the worker, reloaded by plain PEFT, merged.

What a merged model has other than the base is what was trained: it is compared weight by weight.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from core.data.batches.collate import Encoder
from core.data.batches.conversations import stop_ids
from core.data.source import load_dataset
from core.errors import StudioError
from core.evaluation.scores import look_at, score, token_losses
from core.lora.budget import budget
from core.lora.limits import refuse_impossible
from core.lora.plan import make_plan
from core.lora.unused import feature_layer, unused_layers
from core.models.inspection import inspect_source
from core.models.loading import load_processor
from core.spec import Inspection, Plan, Recipe, Selection, Settings, Source, Spec, write
from core.training.looks import choose_rows
from core.training.worker import run
from tests.matrix.families import FAMILIES
from tests.training.short_jobs import of_kind, status_of

SETTINGS = Settings(
    steps=3,
    batch_size=2,
    learning_rate=2e-2,
    eval_every=3,
    eval_rows=4,
    final_rows=4,
    sample_count=1,
    max_new_tokens=2,
    keep="last",
)
LANGUAGE = ("language", "cross_attention")
PARTS: dict[str, tuple[str, ...]] = {
    "vision": ("vision",),
    "language": LANGUAGE,
    "projector": ("projector",),
    "all": ("vision", *LANGUAGE, "projector"),
}
NO_PROJECTOR = ("blip",)
"""Families without any."""


@dataclass(frozen=True)
class Base:
    """A family's model in a folder."""

    source: Source
    inspection: Inspection
    weights: dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def base_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Base]:
    """Writes a family's model and processor, once."""
    made: dict[str, Base] = {}

    def make(name: str) -> Base:
        if name not in made:
            family, folder = FAMILIES[name](), tmp_path_factory.mktemp(name) / "base"
            family.model.save_pretrained(folder)
            family.processor.save_pretrained(folder)
            source = Source("folder", str(folder))
            made[name] = Base(source, inspect_source(source), loaded(source).state_dict())
        return made[name]

    return make


def loaded(source: Source) -> Any:
    """As anyone loads it."""
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(source.name).eval()


def selection_of(inspection: Inspection, components: tuple[str, ...]) -> Selection:
    """LoRA on the matrices of these components; the projector in full where it has none for LoRA."""
    roles = {c: {m.role for m in inspection.modules if m.component == c and m.adaptable} for c in components}
    cells = tuple(f"{c}.{role}" for c in components for role in ("attention", "mlp", "other") if role in roles[c])
    bare = "projector" in components and not roles["projector"] & {"attention", "mlp", "other"}
    there = any(module.component == "projector" for module in inspection.modules)
    return Selection(cells, full=("projector",) if bare and there else ())


def trained_components(inspection: Inspection, before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> Any:
    """The components of the weights that differ, and the names of their modules."""
    assert before.keys() == after.keys()
    changed = {name.rpartition(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}
    component = {module.name: module.component for module in inspection.modules}
    return {component[name] for name in changed}, changed


def owners(plan: Plan) -> set[str]:
    """The modules that the plan is about."""
    return {*plan.target_modules, *plan.full_modules, *(name.rpartition(".")[0] for name in plan.target_parameters)}


def unread(base: Base) -> set[str]:
    """Modules of vision layers behind the one that the language model reads: no gradient comes there."""
    layers = unused_layers(base.inspection, feature_layer(base.source))
    return {
        module.name for module in base.inspection.modules if module.component == "vision" and module.layer in layers
    }


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", FAMILIES)
def test_a_part_is_trained_reloaded_and_merged(
    name: str, part: str, base_of: Callable[[str], Base], colours: Source, tmp_path: Path
) -> None:
    from peft import PeftModel

    base = base_of(name)
    selection = selection_of(base.inspection, PARTS[part])
    if part == "projector" and name in NO_PROJECTOR:
        with pytest.raises(StudioError, match="nothing is selected"):
            make_plan(base.inspection, selection, Recipe(rank=2, alpha=4.0))
        return
    plan = make_plan(base.inspection, selection, Recipe(rank=2, alpha=4.0))
    refuse_impossible(plan, base.inspection, SETTINGS)
    cost = budget(base.inspection, plan)
    write(Spec(name, base.source, colours, selection, plan, SETTINGS, cost.trainable), tmp_path / "spec.json")

    assert run(tmp_path) == 0, status_of(tmp_path).error
    status = status_of(tmp_path)
    assert all(math.isfinite(point["loss"]) for point in of_kind(tmp_path, "train"))

    again = PeftModel.from_pretrained(loaded(base.source), tmp_path / "adapter").eval()
    processor = load_processor(base.source)
    encoder = Encoder(processor, stop_ids(again, processor))
    rows = choose_rows(load_dataset(colours).heldout, SETTINGS).rows
    last = score(look_at(again, encoder, rows, SETTINGS.max_new_tokens))
    assert (last.correct, last.rows) == (status.after.correct, status.after.rows)
    assert last.loss == pytest.approx(status.after.loss, rel=1e-5)
    assert abs(status.after.loss - status.before.loss) > 1e-5

    batch = encoder.training(rows)
    with torch.no_grad():
        expected = token_losses(again, copy.deepcopy(batch))[0]
        merged = again.merge_and_unload()
        found = token_losses(merged, batch)[0]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    components, changed = trained_components(base.inspection, base.weights, merged.state_dict())
    assert changed == owners(plan) - unread(base)
    assert components == {m.component for m in base.inspection.modules if m.name in owners(plan)}
    assert components <= set(PARTS[part])
