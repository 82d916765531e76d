"""The labels of the mainstream families, on tiny models of the real classes."""

from __future__ import annotations

import pytest
import torch

from core.lora.selection import cell
from core.models.inspection import inspect_model, inspect_source
from core.models.source import DEMO_MODEL, parse_source
from core.spec import Inspection, Module, Source
from tests.models.families import CONFIGS, FAMILIES, VISION_ROOTS, tiny_model, write_config


def inspection(family: str) -> Inspection:
    return inspect_model(tiny_model(family), Source("folder", family))


def in_vision(name: str) -> bool:
    return name.startswith(tuple(f"{root}." for root in VISION_ROOTS))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_module_with_parameters_stands_in_the_inspection_once(family):
    model, made = tiny_model(family), inspection(family)
    holders = [name for name, module in model.named_modules() if list(module.parameters(recurse=False))]
    assert [module.name for module in made.modules] == holders
    assert sum(module.params for module in made.modules) == made.total_params
    assert made.total_params == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_every_linear_of_a_tower_is_attention_or_mlp_of_its_component(family):
    for module in inspection(family).modules:
        if module.kind != "Linear" or module.name == "lm_head":
            continue
        assert module.role in ("attention", "mlp"), module
        assert module.adaptable, module
        if module.component == "vision":
            assert in_vision(module.name), module
        if module.component in ("language", "cross_attention"):
            assert "language_model" in module.name or "text_model" in module.name, module
        if module.component == "projector":
            assert module.role == "mlp"
        assert module.component not in ("other", "audio"), module


@pytest.mark.parametrize("family", FAMILIES)
def test_role_says_attention_where_the_name_does(family):
    for module in inspection(family).modules:
        if module.adaptable and ".self_attn." in module.name + ".":
            assert module.role == "attention"
        if module.adaptable and ".mlp." in module.name and module.component != "projector":
            assert module.role == "mlp"


@pytest.mark.parametrize("family", FAMILIES)
def test_each_label_has_a_reason_in_words(family):
    for module in inspection(family).modules:
        component = module.component.replace("_", "-")
        assert module.reason.startswith(component), module
        assert f". {module.role}: " in module.reason, module
        assert ("Not adaptable: " in module.reason) == (not module.adaptable), module


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_are_numbered_as_in_their_stack(family):
    layers: dict[str, set[int | None]] = {}
    for module in inspection(family).modules:
        if module.adaptable and module.component in ("vision", "language") and "layers" in module.name:
            layers.setdefault(module.component, set()).add(module.layer)
    for found in layers.values():
        assert None not in found
        assert min(found) == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_inspection_from_the_config_alone_equals_that_of_the_real_model(family, tmp_path):
    source = parse_source(str(write_config(tmp_path / "model", CONFIGS[family])))
    made = inspect_source(source)
    assert made.modules == inspection(family).modules
    assert made.total_params == inspection(family).total_params
    assert made.model_class == CONFIGS[family]["architectures"][0]


def by_name(made: Inspection, end: str) -> Module:
    return next(module for module in made.modules if module.name.endswith(end))


def test_qwens_merger_inside_vision_is_the_projector():
    for family in ("qwen2_vl", "qwen2_5_vl"):
        assert cell(by_name(inspection(family), "visual.merger.mlp.2")) == "projector.mlp"
    third = inspection("qwen3_vl")
    assert cell(by_name(third, "merger.linear_fc1")) == "projector.mlp"
    deep = by_name(third, "deepstack_merger_list.1.linear_fc2")
    assert (cell(deep), deep.layer) == ("projector.mlp", 1)


def test_mllamas_cross_attention_layers_are_a_component_of_their_own():
    made = inspection("mllama")
    crossed = {m.layer for m in made.modules if m.component == "cross_attention"}
    assert crossed == {1, 3}
    assert cell(by_name(made, "layers.1.cross_attn.q_proj")) == "cross_attention.attention"
    assert cell(by_name(made, "layers.1.mlp.up_proj")) == "cross_attention.mlp"
    assert cell(by_name(made, "layers.2.mlp.up_proj")) == "language.mlp"
    assert not [m for m in made.modules if m.component == "language" and m.layer in crossed]


def test_gemma3s_projector_is_reached_by_its_parameter_and_its_pooling_attention_out_of_reach():
    made = inspection("gemma3")
    (projector,) = [m for m in made.modules if m.component == "projector" and m.adaptable]
    assert [p.name for p in projector.parameters if p.adaptable] == ["mm_input_projection_weight"]
    assert not by_name(made, "head.attention.out_proj").adaptable
    assert "never learn" in by_name(made, "head.attention.out_proj").reason


def test_tied_head_counts_no_parameters_twice():
    made = inspection("idefics3")
    assert by_name(made, "lm_head").params == 0
    assert made.total_params == inspection("smolvlm").total_params - 160 * 24


def test_head_and_token_table_are_known_and_within_reach_unless_they_are_one():
    for family in FAMILIES:
        made = inspection(family)
        head, table = by_name(made, "lm_head"), by_name(made, "embed_tokens")
        assert (cell(head), cell(table)) == ("language.head", "language.embedding")
        tied = "shares its weight" in head.reason
        assert head.adaptable is table.adaptable is not tied
        assert tied is (head.params == 0)


def test_experts_are_reached_by_their_parameters_and_routers_are_out_of_reach():
    import transformers

    vision = transformers.Qwen3VLMoeConfig().vision_config.__class__(
        depth=1, hidden_size=32, intermediate_size=48, num_heads=4, out_hidden_size=24, deepstack_visual_indexes=[0]
    )
    text = {
        "hidden_size": 24,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
    }
    text |= {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "vocab_size": 160}
    config = transformers.Qwen3VLMoeConfig(vision_config=vision.to_dict(), text_config=text)
    with torch.device("meta"):
        made = inspect_model(transformers.Qwen3VLMoeForConditionalGeneration(config), DEMO_MODEL)
    experts, router = by_name(made, "mlp.experts"), by_name(made, "mlp.gate")
    assert (experts.role, experts.adaptable, len(experts.shape)) == ("mlp", True, 3)
    assert [p.name for p in experts.parameters if p.adaptable] == ["gate_up_proj", "down_proj"]
    assert cell(experts) == "language.experts"
    assert (router.role, router.adaptable) == ("other", False)
    assert "router" in router.reason
    assert not [m for m in made.modules if cell(m) == "language.mlp" and m.adaptable]
