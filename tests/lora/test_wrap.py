"""What PEFT has no option for: dropout and rates per component, copies in full precision, exactly the planned names."""

from __future__ import annotations

import copy

import pytest
import torch

from core.errors import CountMismatch, PlanError
from core.lora.budget import budget
from core.lora.live import live_modules
from core.lora.plan import make_plan, peft_config
from core.lora.selection import available_cells, layers_of
from core.lora.tensors import planned_tensors
from core.lora.wrap import parameter_groups, wrap
from core.models.inspection import inspect_model
from core.spec import Knobs, Override, Plan, Recipe, Selection, Source
from tests.lora.every_kind import batch, every_kind, inspection
from tests.models.families import FAMILIES, tiny_model

METHODS = ("lora", "rslora", "dora", "adalora")


def trained_names(model) -> set[str]:
    return {name for name, value in model.named_parameters() if value.requires_grad}


def family(name: str):
    return inspect_model(tiny_model(name), Source("folder", name))


def cells_for(made, method: str) -> tuple[str, ...]:
    """All that the method can adapt in this family."""
    if method == "lora" or method == "rslora":
        return tuple(available_cells(made))
    return tuple(cell for cell in available_cells(made) if cell.endswith((".attention", ".mlp")))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_with_layer_ranges_own_numbers_and_a_full_projector(name, method, tmp_path):
    made = family(name)
    cells = tuple(cell for cell in cells_for(made, method) if not cell.startswith("projector"))
    own = {"vision": Knobs(rank=3, alpha=5.0, dropout=0.1)} if method != "adalora" else {"vision": Knobs(dropout=0.1)}
    chosen = Selection(cells=cells, layers={"language": (-2, None)}, full=("projector",))
    plan = make_plan(made, chosen, Recipe(4, 8.0, method=method, components=own))
    model = wrap(copy.deepcopy(tiny_model(name)), plan, total_steps=50)
    cost = budget(made, plan)
    assert cost.trainable == model.get_nb_trainable_parameters()[0]
    assert cost.by_component["projector"] == sum(m.params for m in made.modules if m.component == "projector")
    lower = layers_of(made, "language")[:-2]
    language = {m.name for m in made.modules if m.component == "language" and m.layer in lower}
    assert language.isdisjoint(plan.target_modules)
    model.save_pretrained(tmp_path, save_embedding_layers=False)
    assert (tmp_path / "adapter_model.safetensors").stat().st_size == cost.adapter_bytes


@pytest.mark.parametrize("method", METHODS)
def test_wrapping_on_the_meta_device_is_the_same_and_makes_no_weights(method):
    base = every_kind()
    plan = Plan(("image", "gpt2", "back"), 3, 6.0, method=method, full_modules=("projector", "projector.norm"))
    here = wrap(copy.deepcopy(base), plan, total_steps=10)
    there = wrap(copy.deepcopy(base).to("meta"), plan, total_steps=10)
    shapes = {name: value.shape for name, value in here.named_parameters()}
    assert shapes == {name: value.shape for name, value in there.named_parameters()}
    assert trained_names(here) == trained_names(there)
    assert {value.device.type for value in there.parameters() if value.requires_grad} == {"meta"}


def test_a_start_from_the_weights_works_on_the_meta_device():
    for start in ("pissa", "olora"):
        model = wrap(every_kind().to("meta"), Plan(("gpt2",) if start == "pissa" else ("back",), 3, 6.0, start=start))
        assert model.get_nb_trainable_parameters()[0] == 3 * (8 + 10)


def test_each_component_has_its_own_dropout():
    plan = Plan(
        ("image", "gpt2", "back"),
        3,
        6.0,
        dropout=0.5,
        overrides=(Override("vision", ("image",), 3, 6.0, 0.0), Override("language", ("back",), 3, 6.0, 0.25)),
    )
    model = wrap(every_kind(), plan).base_model.model
    rates = {name: getattr(getattr(model, name).lora_dropout["default"], "p", 0.0) for name in plan.target_modules}
    assert rates == {"image": 0.0, "gpt2": 0.5, "back": 0.25}


def test_layers_keep_their_dropout_beside_parameters_that_take_none():
    override = Override("projector", ("projector.matrix",), 3, 6.0, 0.0)
    plan = Plan(("back",), 3, 6.0, 0.5, target_parameters=("projector.matrix",), overrides=(override,))
    model = wrap(every_kind(), plan)
    assert model.base_model.model.back.lora_dropout["default"].p == 0.5
    assert peft_config(plan).lora_dropout == 0.0


def test_copies_learn_in_32_bits_in_a_model_of_16():
    """A step of 1e-5 on weights near 1 is lost in bfloat16, whose neighbours lie 0.4% apart."""
    plan = Plan(("back",), 3, 6.0, full_modules=("last_norm", "head"))
    model = wrap(every_kind().to(torch.bfloat16), plan)
    learning = {name: value for name, value in model.named_parameters() if value.requires_grad}
    assert {value.dtype for value in learning.values()} == {torch.float32}
    inputs = {key: value.to(torch.bfloat16) if value.is_floating_point() else value for key, value in batch().items()}
    output = model(**inputs)
    assert output.dtype == torch.bfloat16
    output.float().square().mean().backward()
    assert all(value.grad is not None for value in learning.values())
    weight = learning["base_model.model.last_norm.modules_to_save.default.weight"]
    before = weight.detach().clone()
    torch.optim.SGD([weight], 1e-5 / weight.grad.abs().max().item()).step()
    assert not torch.equal(before, weight)
    with model.disable_adapter():
        assert model(**inputs).dtype == torch.bfloat16


LINEARS = ("back", "gpt2", "head")
EVERY_WAY = {
    "lora": Plan(
        (*LINEARS, "image", "clip", "sound", "attention", "table"),
        3,
        target_parameters=("experts.up_proj", "turned.down_proj", "projector.matrix"),
    ),
    "rslora with a bias": Plan((*LINEARS, "image"), 3, method="rslora", lora_bias=True),
    "dora": Plan((*LINEARS, "image", "table"), 3, method="dora"),
    "adalora": Plan((*LINEARS, "image"), 3, method="adalora"),
    "pissa": Plan(LINEARS, 3, start="pissa"),
    "olora": Plan(("back", "head"), 3, start="olora"),
    "in full": Plan((), full_modules=("projector", "projector.norm", "head")),
}


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("way", EVERY_WAY)
def test_what_learns_is_kept_in_32_bits_in_a_model_of_16(way, autocast):
    model = wrap(every_kind().to(torch.bfloat16), EVERY_WAY[way], total_steps=10)
    inputs = {key: value.to(torch.bfloat16) if value.is_floating_point() else value for key, value in batch().items()}
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        output = model(**inputs)
    assert output.dtype == torch.bfloat16
    output.float().square().mean().backward()
    learning = {name: value for name, value in model.named_parameters() if value.requires_grad}
    assert {value.dtype for value in learning.values()} == {torch.float32}
    assert [name for name, value in learning.items() if value.grad is None] == []


def test_parameter_groups_hold_each_parameter_once_at_its_rate():
    plan = Plan(
        ("image", "back", "table"),
        3,
        6.0,
        target_parameters=("experts.up_proj",),
        full_modules=("head",),
        full_learning_rate=1e-5,
        overrides=(
            Override("vision", ("image",), 2, 6.0, 0.0, learning_rate=1e-4),
            Override("language", ("back", "experts.up_proj"), 3, 6.0, 0.0, learning_rate=2e-4),
        ),
    )
    model = wrap(every_kind(), plan)
    names = {id(value): name for name, value in model.named_parameters() if value.requires_grad}
    groups = {rate: {names.pop(id(value)) for value in values} for values, rate in parameter_groups(model, plan, 1e-3)}
    assert not names
    owners = {rate: {name.split(".")[2] for name in group} for rate, group in groups.items()}
    assert owners == {1e-4: {"image"}, 2e-4: {"back", "experts"}, 1e-3: {"table"}, 1e-5: {"head"}}


def test_rates_that_are_alike_make_one_group():
    plan = Plan(("back",), 3, 6.0, full_modules=("head",))
    [(values, rate)] = parameter_groups(wrap(every_kind(), plan), plan, 1e-3)
    assert (len(values), rate) == (4, 1e-3)


def test_only_parts_in_full_without_any_lora():
    plan = Plan(full_modules=("head", "last_norm"))
    model = wrap(every_kind(), plan)
    assert (
        model.get_nb_trainable_parameters()[0]
        == 8 * 11 + 11 + 8 + 8
        == budget(inspection(every_kind()), plan).trainable
    )


def test_wrapped_models_are_read_as_they_were():
    base = every_kind()
    plan = Plan(("image", "attention"), 3, 6.0, target_parameters=("experts.up_proj",), full_modules=("head",))
    before = list(planned_tensors(live_modules(base, plan), plan))
    after = list(planned_tensors(live_modules(wrap(base, plan).get_base_model(), plan), plan))
    assert [(t.name, t.shape) for t in before] == [(t.name, t.shape) for t in after]
    assert {t.owner for t in before} == {"image", "attention", "experts.up_proj", "head"}


class Twice(torch.nn.Module):
    """Names that end alike: PEFT would train both."""

    def __init__(self) -> None:
        super().__init__()
        self.merger = torch.nn.Linear(4, 4)
        self.visual = torch.nn.ModuleDict({"merger": torch.nn.Linear(4, 4)})


@pytest.mark.parametrize("plan", [Plan(full_modules=("merger",)), Plan(target_parameters=("merger.weight",))])
def test_a_name_that_would_hit_another_module_is_refused(plan):
    with pytest.raises(PlanError, match=r"ends of names and would train “visual\.merger"):
        wrap(Twice(), plan)


def test_a_layer_is_aimed_at_by_its_whole_name():
    model = wrap(Twice(), Plan(("merger",), 2, 4.0))
    assert {name.split(".lora_")[0] for name in trained_names(model)} == {"base_model.model.merger"}


def test_a_weight_that_is_shared_is_not_copied():
    model = every_kind()
    model.head.weight = model.table.weight
    with pytest.raises(PlanError, match="shares a weight"):
        wrap(model, Plan(full_modules=("head",)))


def test_what_the_model_does_not_have_is_refused():
    for plan in (Plan(("nowhere",)), Plan(full_modules=("back.nowhere",)), Plan(target_parameters=("experts.no",))):
        with pytest.raises(PlanError, match=r"nowhere|experts\.no"):
            wrap(every_kind(), plan)


def test_anything_else_that_would_learn_is_a_mismatch(monkeypatch):
    import core.lora.wrap as module

    monkeypatch.setattr(module, "peft_config", lambda plan, steps: peft_config(Plan(("back", "gpt2"), 3, 6.0), steps))
    with pytest.raises(CountMismatch, match=r"gpt2.*would be trained too"):
        wrap(every_kind(), Plan(("back",), 3, 6.0))


def test_adalora_needs_a_number_of_steps():
    plan = Plan(("back",), 8, 16.0, method="adalora")
    with pytest.raises(PlanError, match="number of steps is not known"):
        peft_config(plan)
    config = peft_config(plan, 1000)
    assert (config.init_r, config.target_r, config.tinit, config.tfinal, config.deltaT) == (12, 8, 100, 200, 1)
    assert peft_config(plan, 1).total_step == 1


def test_planned_tensors_are_those_that_learn():
    plan = Plan(("image", "attention", "back"), 3, 6.0, lora_bias=True)
    model = wrap(every_kind(), plan)
    assert {t.name for t in planned_tensors(live_modules(every_kind(), plan), plan)} == trained_names(model)
