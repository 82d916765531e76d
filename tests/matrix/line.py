"""The straight line of the product on one family: a folder, a spec, the worker, an adapter, plain PEFT."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.data.batches.collate import Batch, Encoder
from core.data.batches.conversations import stop_ids
from core.data.source import load_dataset
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
from tests.data.tiny_families import Family
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


@dataclass(frozen=True)
class Base:
    """A family's model in a folder."""

    name: str
    source: Source
    inspection: Inspection
    weights: dict[str, torch.Tensor]


def written(name: str, family: Family, folder: Path) -> Base:
    """Model and processor as a person would bring them."""
    family.model.save_pretrained(folder)
    family.processor.save_pretrained(folder)
    source = Source("folder", str(folder))
    return Base(name, source, inspect_source(source), loaded(source).state_dict())


def loaded(source: Source) -> Any:
    """As anyone loads it."""
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(source.name).eval()


def launched(
    base: Base, selection: Selection, recipe: Recipe, data: Source, folder: Path, **settings: object
) -> tuple[Spec, Plan]:
    """Runs the job in the folder to its end."""
    plan = make_plan(base.inspection, selection, recipe)
    how = replace(SETTINGS, **settings)
    refuse_impossible(plan, base.inspection, how)
    cost = budget(base.inspection, plan)
    spec = Spec(base.name, base.source, data, selection, plan, how, cost.trainable)
    write(spec, folder / "spec.json")
    assert run(folder) == 0, status_of(folder).error
    assert all(math.isfinite(point["loss"]) for point in of_kind(folder, "train"))
    assert (folder / "adapter" / "adapter_model.safetensors").stat().st_size == cost.adapter_bytes
    return spec, plan


def reloaded(spec: Spec, folder: Path) -> tuple[Any, Batch]:
    """The model with the adapter by plain PEFT, whose last look is the job's own, and the batch of that look."""
    from peft import PeftModel

    again = PeftModel.from_pretrained(loaded(spec.model), folder / "adapter").eval()
    processor = load_processor(spec.model)
    encoder = Encoder(processor, stop_ids(again, processor))
    rows = choose_rows(load_dataset(spec.data).heldout, spec.settings).rows
    last, after = score(look_at(again, encoder, rows, spec.settings.max_new_tokens)), status_of(folder).after
    assert (last.correct, last.rows) == (after.correct, after.rows)
    assert last.loss == pytest.approx(after.loss, rel=1e-5)
    return again, encoder.training(rows)


def merged(again: Any, batch: Batch) -> Any:
    """The model with the adapter in its weights; it computes the same."""
    with torch.no_grad():
        expected = token_losses(again, batch)[0]
        whole = again.merge_and_unload()
        found = token_losses(whole, batch)[0]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    return whole


def changed(base: Base, whole: Any) -> set[str]:
    """The modules whose weights are others than the base's."""
    after = whole.state_dict()
    assert after.keys() == base.weights.keys()
    return {name.rpartition(".")[0] for name, value in after.items() if not torch.equal(value, base.weights[name])}


def owners(plan: Plan) -> set[str]:
    """The modules that the plan is about."""
    return {*plan.target_modules, *plan.full_modules, *(name.rpartition(".")[0] for name in plan.target_parameters)}


def unread(base: Base) -> set[str]:
    """Modules of vision layers behind the one that the language model reads: no gradient comes there."""
    layers = unused_layers(base.inspection, feature_layer(base.source))
    return {
        module.name for module in base.inspection.modules if module.component == "vision" and module.layer in layers
    }
