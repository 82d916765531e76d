"""What a plan costs equals what PEFT counts and writes."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable

import pytest

from core.errors import PlanError
from core.lora.budget import budget, file_bytes
from core.lora.live import live_modules
from core.lora.plan import make_plan
from core.lora.selection import available_cells, parse_targets
from core.lora.shapes import saved_suffix
from core.lora.tensors import PREFIX, alike, planned_tensors
from core.lora.wrap import wrap
from core.models.inspection import build_on_meta, inspect_model, inspect_source
from core.models.relabel import relabelled
from core.models.source import parse_source, resolve
from core.spec import Inspection, Module, Override, Plan, Recipe, Selection, Source
from tests.growth import times_as_long
from tests.lora.every_kind import every_kind
from tests.models.families import FAMILIES, tiny_model, write_config

ATTENTION_AND_MLP_AT_16 = {
    # Equal to PEFT's get_nb_trainable_parameters on the default configs of transformers 5.23, rank 16, measured with
    # PEFT 0.21: (class, vision, language and cross-attention, attention only of these).
    "mllama": ("MllamaForConditionalGeneration", 14_745_600, 52_428_800, 23_592_960),
    "llava": ("LlavaForConditionalGeneration", 7_077_888, 39_976_960, 19_922_944),
    "qwen2_5_vl": ("Qwen2_5_VLForConditionalGeneration", 21_768_192, 210_534_400, 76_546_048),
    "qwen3_vl_moe": ("Qwen3VLMoeForConditionalGeneration", 7_699_968, 6_291_456, 9_277_440),
    "smolvlm": ("SmolVLMForConditionalGeneration", 3_391_488, 39_976_960, 18_546_688),
    "clip": ("CLIPModel", 2_654_208, 1_769_472, 1_966_080),
}
TOWERS = ("vision", "language", "cross_attention")


def reference(name: str, tmp_path) -> Source:
    config = {"model_type": name, "architectures": [ATTENTION_AND_MLP_AT_16[name][0]]}
    return parse_source(str(write_config(tmp_path / name, config)))


def cells_of(made: Inspection, components: tuple[str, ...], roles: tuple[str, ...] = ("attention", "mlp")):
    return tuple(c for c in available_cells(made) if c.split(".")[0] in components and c.split(".")[1] in roles)


def count(made: Inspection, components: tuple[str, ...], roles: tuple[str, ...] = ("attention", "mlp")) -> int:
    plan = make_plan(made, Selection(cells=cells_of(made, components, roles)), Recipe(16, 32.0))
    return budget(made, plan).trainable


def wrapped(model, plan: Plan):
    return wrap(copy.deepcopy(model), plan)


@pytest.mark.parametrize("name", ATTENTION_AND_MLP_AT_16)
def test_counts_of_the_reference_models(name, tmp_path):
    made = inspect_source(reference(name, tmp_path))
    _, vision, language, attention = ATTENTION_AND_MLP_AT_16[name]
    assert count(made, ("vision",)) == vision
    assert count(made, ("language", "cross_attention")) == language
    assert count(made, TOWERS) == vision + language
    assert count(made, TOWERS, ("attention",)) == attention


def test_mllama_without_cross_attention(tmp_path):
    assert count(inspect_source(reference("mllama", tmp_path)), ("language",)) == 41_943_040


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTENTION_AND_MLP_AT_16)
def test_counts_of_the_reference_models_equal_pefts(name, tmp_path):
    source = reference(name, tmp_path)
    made, model = inspect_source(source), build_on_meta(resolve(source))
    plan = make_plan(made, Selection(cells=cells_of(made, TOWERS)), Recipe(16, 32.0))
    trainable, total = wrap(model, plan).get_nb_trainable_parameters()
    cost = budget(made, plan)
    assert (cost.trainable, cost.total) == (trainable, total - trainable)


SELECTIONS = ("vision", "language", "vision.attention,language.mlp", "all")


@pytest.mark.parametrize("targets", SELECTIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_counts_equal_pefts_and_touch_only_what_was_chosen(family, targets):
    made = inspect_model(tiny_model(family), Source("folder", family))
    plan = make_plan(made, Selection(cells=parse_targets(targets, made)), Recipe(4, 8.0))
    model = wrapped(tiny_model(family), plan)
    trainable, total = model.get_nb_trainable_parameters()
    cost = budget(made, plan)
    assert (cost.trainable, cost.total) == (trainable, total - trainable)
    assert sum(cost.by_component.values()) == cost.trainable
    assert cost.percent == pytest.approx(100 * trainable / made.total_params)
    touched = {name.split(".lora_")[0] for name, value in model.named_parameters() if value.requires_grad}
    owners = {name.rpartition(".")[0] for name in plan.target_parameters}
    assert touched == {f"base_model.model.{name}" for name in {*plan.target_modules, *owners}}


@pytest.mark.parametrize("rank", [1, 8, 300])
@pytest.mark.parametrize("family", ["idefics3", "qwen3_vl", "mllama"])
def test_adapter_bytes_are_those_of_the_saved_file(family, rank, tmp_path):
    made = inspect_model(tiny_model(family), Source("folder", family))
    plan = make_plan(made, Selection(cells=tuple(available_cells(made))), Recipe(rank, 8.0))  # convolutions included
    wrapped(tiny_model(family), plan).save_pretrained(tmp_path, save_embedding_layers=False)
    assert budget(made, plan).adapter_bytes == (tmp_path / "adapter_model.safetensors").stat().st_size


@pytest.mark.parametrize("family", FAMILIES)
def test_adapter_bytes_of_each_family(family, tmp_path):
    made = inspect_model(tiny_model(family), Source("folder", family))
    plan = make_plan(made, Selection(cells=parse_targets("all", made)), Recipe(16, 8.0))
    wrapped(tiny_model(family), plan).save_pretrained(tmp_path, save_embedding_layers=False)
    assert budget(made, plan).adapter_bytes == (tmp_path / "adapter_model.safetensors").stat().st_size


def module(name: str, shape: tuple[int, ...]) -> Module:
    return Module(name, "Linear", shape, "language", "mlp", 0, 0, True, "")


def inspection(modules: list[Module]) -> Inspection:
    return Inspection(Source("folder", "made up"), "MadeUp", "made_up", 10**9, tuple(modules), "")


def test_ten_times_the_modules_are_relabelled_and_counted_in_about_ten_times_the_time():
    shapes = {"q": (4096, 4096), "k": (1024, 4096), "gate": (14336, 4096), "up": (14336, 4096), "down": (4096, 14336)}

    def counted(layers: int) -> Callable[[], object]:
        made = inspection([module(f"model.layers.{i}.{name}", s) for i in range(layers) for name, s in shapes.items()])
        plan = Plan(tuple(module.name for module in made.modules), 8)
        return lambda: budget(relabelled(made, {"model.layers.3": "vision"}), plan)

    assert times_as_long(counted(1000), counted(100)) < 20


def test_parameters_follow_the_paper():
    made = inspection([module("q", (10, 20)), module("conv", (8, 3, 14, 14))])
    assert budget(made, Plan(("q",), 3)).trainable == 3 * (10 + 20)
    assert budget(made, Plan(("conv",), 2)).trainable == 2 * (3 * 14 * 14 + 8)


def test_equal_layers_together_are_the_same_tensors_as_one_at_a_time():
    inside = {"target_parameters": ("projector.matrix", "experts.up_proj", "experts.down_proj")}
    own = (Override("vision", ("image", "experts.up_proj"), 5, 6.0, 0.0),)
    for plan in (
        Plan(("image", "attention", "table", "gpt2", "back"), 3, method="rslora", lora_bias=True),
        Plan(("image", "clip", "back", "gpt2"), 3, method="adalora", full_modules=("head", "projector.norm")),
        Plan(("image", "sound", "projector.norm"), 3, **inside, overrides=own),
    ):
        modules = live_modules(every_kind(), plan)
        one_at_a_time = sorted((t.key, t.shape) for t in planned_tensors(modules, plan))
        together = sorted(
            (f"{PREFIX}{path}.{saved_suffix(suffix)}", shape)
            for group in alike(modules, plan)
            for path in group.paths
            for suffix, shape in group.suffixes
        )
        assert together == one_at_a_time


def test_bytes_do_not_depend_on_the_order_of_the_modules():
    names = ("a.10", "a.9", "a", "ab", "a.1", "a-b")
    modules = {name: module(name, (10, 20)) for name in names}
    plans = Plan(names, 4), Plan(names[::-1], 4)
    assert len({file_bytes(alike(modules, plan)) for plan in plans}) == 1


def test_by_component_names_every_component_of_the_model():
    made = inspect_model(tiny_model("mllama"), Source("folder", "mllama"))
    cost = budget(made, make_plan(made, Selection(cells=("vision.mlp",)), Recipe(4, 8.0)))
    assert list(cost.by_component) == ["vision", "projector", "language", "cross_attention"]
    assert [name for name, number in cost.by_component.items() if number] == ["vision"]


def test_a_plan_for_another_model_is_refused():
    made = inspect_model(tiny_model("llava"), Source("folder", "llava"))
    with pytest.raises(PlanError, match="no_such"):
        budget(made, Plan(("no_such",)))
    norm = next(m.name for m in made.modules if m.role == "norm")
    with pytest.raises(PlanError, match=re.escape(norm)):
        budget(made, Plan((norm,)))
    with pytest.raises(PlanError, match=r"linear_1\.weight"):
        budget(made, Plan(target_parameters=("model.multi_modal_projector.linear_1.weight",)))
    with pytest.raises(PlanError, match="no_such"):
        budget(made, Plan(full_modules=("no_such",)))
