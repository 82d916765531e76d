"""Counts and touched tensors on every architecture of transformers that joins pictures with text: equal to PEFT's.

Models are built from their configs on the meta device. On each one everything is wrapped once at full depth with LoRA;
the six selections are wrapped with rsLoRA on two layers of each component, and the other methods on one layer of each
kind and shape, since a count depends on nothing else. `wrap` itself compares the names and shapes of all tensors that
require gradients.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from core.errors import PlanError
from core.lora.budget import budget
from core.lora.limits import problems
from core.lora.plan import make_plan
from core.lora.selection import available_cells, layers_of
from core.lora.wrap import wrap
from core.spec import COMPONENTS, Inspection, Module, Plan, Recipe, Selection
from tests.zoo.conftest import Built

pytestmark = pytest.mark.slow
BOTH = ("attention", "mlp")
SELECTIONS = {
    "vision": (("vision",), BOTH),
    "language": (("language",), BOTH),
    "vision and language": (("vision", "language", "cross_attention"), BOTH),
    "projector": (("projector",), (*BOTH, "other")),
    "attention": (COMPONENTS, ("attention",)),
    "all": (COMPONENTS, BOTH),
}
LORA, RSLORA = Recipe(16, 32.0), Recipe(5, 10.0, method="rslora")
RECIPES = {
    "dora": Recipe(4, 8.0, method="dora"),
    "adalora": Recipe(3, 6.0, method="adalora"),
    "with a bias": Recipe(4, 8.0, lora_bias=True),
    "pissa": Recipe(2, 4.0, start="pissa"),
    "projector in full": Recipe(4, 8.0),
}


@dataclass
class Found:
    """What came out for one architecture."""

    checked: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def zoo(built_zoo: dict[str, Built]) -> dict[str, Found]:
    gc.freeze()  # the zoo stays; only what wrapping adds is looked through, once for each architecture
    gc.disable()
    try:
        return {name: checked(built) for name, built in built_zoo.items() if built.made is not None}
    finally:
        gc.enable()
        gc.unfreeze()


def test_the_zoo_is_there(zoo):
    assert len(zoo) >= 130


def test_counts_are_pefts_and_exactly_the_planned_tensors_learn(zoo):
    assert {name: found.wrong for name, found in zoo.items() if found.wrong} == {}


def test_every_selection_and_method_was_tried_or_refused_in_words(zoo):
    for name, found in zoo.items():
        tried = {*found.checked, *found.refused}
        assert tried >= {"everything", *RECIPES}, name
        assert "everything" in found.checked or "PEFT" in found.refused["everything"], (name, found.refused)


def test_what_plain_lora_cannot_reach_is_the_exception(zoo):
    refused = [name for name, found in zoo.items() if "everything" in found.refused]
    assert len(refused) <= 3, refused
    for method in ("dora", "adalora", "with a bias", "pissa"):
        assert sum(method in found.checked for found in zoo.values()) >= 125, method


def checked(built: Built) -> Found:
    """What comes out of every selection and method."""
    found, model, made = Found(), built.model, built.made
    assert made is not None
    every = tuple(available_cells(made))
    compare(found, "everything", model, made, plan_of(made, every, LORA))
    shallow = {c: (0, 2) for c in COMPONENTS if layers_of(made, c)}
    for name, (components, roles) in SELECTIONS.items():
        cells = tuple(c for c in every if c.split(".")[0] in components and c.split(".")[1] in roles)
        if cells:
            try:
                plan = make_plan(made, Selection(cells=cells, layers=shallow), RSLORA)
            except PlanError:  # a cell whose layers lie outside
                plan = make_plan(made, Selection(cells=cells), RSLORA)
            compare(found, name, model, made, plan)
    for name, recipe in RECIPES.items():
        compare(found, name, model, made, sample(made, plan_of(made, every, recipe, name.endswith("in full"))))
    gc.collect()
    return found


def plan_of(made: Inspection, cells: tuple[str, ...], recipe: Recipe, projector_in_full: bool = False) -> Plan:
    full = tuple(m.name for m in made.modules if m.component == "projector") if projector_in_full else ()
    return make_plan(made, Selection(cells=cells, full=full), recipe)


def sample(made: Inspection, plan: Plan) -> Plan:
    """The plan on one module of each kind and shape; with what the method cannot do left out, layer by layer."""
    modules = {module.name: module for module in made.modules}
    kinds: dict[object, str] = {}
    for name in plan.target_modules:
        kinds.setdefault((modules[name].kind, modules[name].shape, modules[name].component), name)
    layers = tuple(name for name in kinds.values() if not refused(plan, modules[name], made))
    return replace(plan, target_modules=layers, target_parameters=by_parameter(plan))


def by_parameter(plan: Plan) -> tuple[str, ...]:
    plain = plan.method in ("lora", "rslora") and not plan.lora_bias and plan.start == "default"
    return plan.target_parameters[:4] if plain else ()


def refused(plan: Plan, module: Module, made: Inspection) -> bool:
    """Whether the plan cannot be for this layer alone."""
    alone = replace(plan, target_modules=(module.name,), target_parameters=(), full_modules=())
    experts = (m for m in made.modules if m is not module and any(len(p.shape) == 3 for p in m.parameters))
    return any(problems(alone, replace(made, modules=(module, *experts))))


def compare(found: Found, name: str, model, made: Inspection, plan: Plan) -> None:
    reasons = list(problems(plan, made))
    if reasons:
        found.refused[name] = str(reasons[0])
        return
    with put_back(model):
        try:
            counted = wrap(model, plan, total_steps=100).get_nb_trainable_parameters()[0]
        except PlanError as refusal:
            found.refused[name] = str(refusal)
        except Exception as error:  # each one is reported with its architecture
            found.wrong[name] = f"{type(error).__name__}: {str(error)[:300]}"
        else:
            found.checked.append(name)
            if counted != budget(made, plan).trainable:
                found.wrong[name] = f"PEFT counts {counted:,}, we {budget(made, plan).trainable:,}"


@contextmanager
def put_back(model) -> Iterator[None]:
    """Takes away again all that wrapping puts into a model, so that it need not be built anew."""
    before = [(m, dict(m._modules), dict(m._parameters), dict(m.__dict__)) for m in model.modules()]
    learning = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        yield
    finally:
        for parameter, learned in learning:
            parameter.requires_grad_(learned)
        for module, modules, parameters, rest in before:
            module.__dict__.clear()
            module.__dict__.update(rest)
            module._modules.clear()
            module._modules.update(modules)
            module._parameters.clear()
            module._parameters.update(parameters)
