"""What cannot be is refused in words, and everything else really trains, is counted exactly and loads again."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch

from core.errors import PlanError
from core.lora.limits import parse_start, problems, refuse_impossible
from core.spec import Override, Plan, Settings
from tests.lora.every_kind import every_kind, inspection
from tests.lora.training_steps import assert_all_agrees, untrained_names

LAYERS = ("table", "image", "clip", "sound", "attention", "gpt2", "back", "head")
PARAMETERS = ("projector.matrix", "experts.up_proj", "experts.down_proj", "turned.up_proj", "turned.down_proj")
METHODS = ("lora", "rslora", "dora", "adalora")
STARTS = ("default", "gaussian", "pissa", "olora", "eva")


def plan_for(*names: str, **numbers) -> Plan:
    layers = tuple(name for name in names if name in LAYERS)
    parameters = tuple(name for name in names if name in PARAMETERS)
    return Plan(layers, rank=3, alpha=6.0, target_parameters=parameters, **numbers)


def plans(name: str) -> list[Plan]:
    """Everything that can be asked of one target."""
    choices = product(METHODS, STARTS, (False, True))
    made = [plan_for(name, method=method, start=start, lora_bias=bias) for method, start, bias in choices]
    return [*made, *(plan_for(name, method=method, dropout=0.1) for method in METHODS)]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*LAYERS, *PARAMETERS])
def test_what_is_not_refused_trains_every_planned_tensor_and_no_other(name):
    base = every_kind()
    made = inspection(base)
    possible = [plan for plan in plans(name) if not list(problems(plan, made))]
    assert {plan.method for plan in possible} >= {"lora", "rslora"}
    for plan in possible:
        assert untrained_names(base, plan) == [], plan


@pytest.mark.slow
@pytest.mark.parametrize("name", [*LAYERS, *PARAMETERS])
def test_what_is_not_refused_is_counted_exactly_and_loads_again(name, tmp_path):
    base = every_kind()
    made = inspection(base)
    possible = [plan for plan in plans(name) if plan.dropout == 0 and not list(problems(plan, made))]
    for index, plan in enumerate(possible):
        assert_all_agrees(base, made, plan, tmp_path / str(index))


@pytest.mark.parametrize("method", ["lora", "rslora"])
def test_everything_at_once_with_numbers_of_its_own(method, tmp_path):
    base = every_kind()
    vision = Override("vision", ("image", "clip", "attention"), 2, 5.0, 0.0)
    language = Override("language", ("back", "experts.up_proj"), 5, 6.0, 0.0)
    plan = replace(
        plan_for(*(set(LAYERS) - {"head"}), *PARAMETERS, method=method),
        full_modules=("head", "last_norm"),
        overrides=(vision, language),
    )
    made = inspection(base)
    refuse_impossible(plan, made)
    assert untrained_names(base, plan) == []
    assert_all_agrees(base, made, plan, tmp_path)


@pytest.mark.parametrize("start", ["pissa", "olora"])
@pytest.mark.parametrize("method", ["lora", "rslora"])
def test_starts_that_change_the_weights_with_ranks_of_their_own(method, start, tmp_path):
    base = every_kind()
    overrides = (Override("language", ("back",), 5, 7.0, 0.0), Override("other", ("head",), 2, 6.0, 0.0))
    plan = Plan(("back", "head"), 3, 6.0, method=method, start=start, full_modules=("last_norm",), overrides=overrides)
    assert_all_agrees(base, inspection(base), plan, tmp_path)


REFUSED = [
    (plan_for("back", method="dora", lora_bias=True), "DoRA with a LoRA bias.*has none"),
    (plan_for("back", method="adalora", lora_bias=True), "AdaLoRA with a LoRA bias.*has none"),
    (plan_for("back", method="adalora", start="pissa"), "AdaLoRA with PiSSA.*its own start"),
    (plan_for("back", start="eva", lora_bias=True), "A LoRA bias with EVA.*only the default start"),
    (plan_for("back", method="dora", start="olora"), "DoRA with OLoRA.*frozen weights"),
    (plan_for("clip", method="adalora"), "AdaLoRA on “clip” .Conv3d.*matrices and 2-D"),
    (plan_for("table", method="adalora"), "AdaLoRA on “table” .Embedding"),
    (plan_for("attention", method="dora"), "DoRA on “attention”"),
    (plan_for("attention", dropout=0.1), "Dropout on “attention”"),
    (plan_for("image", start="pissa"), "PiSSA on “image” .Conv2d.*matrices only"),
    (plan_for("table", start="eva"), "EVA on “table”"),
    (plan_for("table", lora_bias=True), "A LoRA bias on “table”"),
    (plan_for("gpt2", start="olora"), "OLoRA on “gpt2” .Conv1D.*wrong way round"),
    (plan_for("experts.up_proj", method="dora"), "DoRA on “experts.up_proj”.*fused experts.*LoRA or rsLoRA"),
    (plan_for("experts.up_proj", dropout=0.1), "Dropout on “experts.up_proj”.*to 0"),
    (plan_for("projector.matrix", lora_bias=True), "A LoRA bias on “projector.matrix”"),
    (plan_for("projector.matrix", start="pissa"), "PiSSA on “projector.matrix”"),
    (plan_for("experts.up_proj", method="adalora"), "AdaLoRA on “experts.up_proj”"),
    (replace(plan_for("back", start="pissa"), rank=9), "PiSSA at rank 9.*8 x 10, which has only 8 directions"),
    (replace(plan_for("back", start="eva"), rank=11), "EVA at rank 11.*only 10 directions"),
    (
        replace(plan_for("back", method="adalora"), overrides=(Override("language", ("back",), 4, 6.0, 0.0),)),
        "AdaLoRA with a rank or an alpha of its own for language",
    ),
    (
        replace(plan_for("back", start="eva"), overrides=(Override("language", ("back",), 4, 6.0, 0.0),)),
        "EVA with a rank of its own",
    ),
    (replace(plan_for("back"), full_modules=("back",)), "“back” both in full and with LoRA"),
    (Plan(("back", "back")), "“back” 2 times"),
    (Plan(("nowhere",)), "nowhere"),
    (Plan(target_parameters=("experts.no",)), "experts.no"),
    (Plan(("back",), overrides=(Override("language", ("head",), 4, 6.0, 0.0),)), "head"),
    (Plan(("back",), full_modules=("projector",)), "“projector” in full without “projector.norm”"),
    (
        Plan(target_parameters=("projector.matrix",), full_modules=("projector.norm",)),
        "“projector.norm” in full.*gets LoRA itself",
    ),
]


@pytest.mark.parametrize(("plan", "sentence"), REFUSED, ids=[sentence for _, sentence in REFUSED])
def test_what_cannot_be_is_refused_with_the_reason_and_a_remedy(plan, sentence):
    with pytest.raises(PlanError, match=sentence) as refusal:
        refuse_impossible(plan, inspection(every_kind()))
    assert refusal.value.remedy


@pytest.mark.parametrize("quantization", ["8bit", "4bit"])
def test_packed_weights_lend_no_directions_but_parts_in_full_stay_unpacked(quantization):
    made, settings = inspection(every_kind()), Settings(quantization=quantization)
    with pytest.raises(PlanError, match=r"PiSSA.*packed"):
        refuse_impossible(plan_for("back", start="pissa"), made, settings)
    full = ("last_norm", "projector", "projector.norm", "head")
    refuse_impossible(replace(plan_for("back", method="dora"), full_modules=full), made, settings)


def test_a_tied_weight_is_not_trained_in_full():
    base = every_kind()
    base.head.weight = base.table.weight
    made = inspection(base)
    for name in ("table", "head"):
        with pytest.raises(PlanError, match=f"“{name}” in full.*shares a weight"):
            refuse_impossible(Plan(full_modules=(name,)), made)
    refuse_impossible(Plan(("back",), full_modules=("last_norm", "projector", "projector.norm")), made)


def test_parts_without_a_forward_of_their_own_are_not_trained_in_full():
    base = every_kind()
    base.scale = torch.nn.Parameter(torch.ones(()))
    base.queries = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(2, 3))])
    base.running = torch.nn.BatchNorm1d(4)
    made = inspection(base)
    for name, sentence in (("", "the model itself"), ("queries", "refuses to copy"), ("running", "averages")):
        with pytest.raises(PlanError, match=sentence):
            refuse_impossible(Plan(full_modules=(name,)), made)


def test_a_name_that_ends_anothers_is_refused():
    base = every_kind()
    base.projector.head = torch.nn.Linear(2, 2)
    with pytest.raises(PlanError, match=r"“head”.*ends of names.*“projector.head”"):
        refuse_impossible(Plan(full_modules=("head",)), inspection(base))


def test_only_one_start():
    assert parse_start(" OLoRA ") == "olora"
    with pytest.raises(PlanError, match=r"pissa and eva.*one place only"):
        parse_start("pissa,eva")
    with pytest.raises(PlanError, match="none of this name"):
        parse_start("lucky")
