"""Fused experts, bare projector matrices, and models whose adapters PEFT rewrites: exactly the targets, also loaded."""

from __future__ import annotations

import copy
from functools import cache

import pytest
import torch

from core.errors import PlanError
from core.lora.budget import budget
from core.lora.limits import refuse_impossible
from core.lora.plan import make_plan
from core.lora.portable import portable_config, rewrites
from core.lora.selection import available_cells
from core.lora.wrap import wrap
from core.models.inspection import inspect_model
from core.spec import Knobs, Recipe, Selection, Source
from tests.models.families import MROPE, QWEN_VIT, TEXT, VIT

EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 20}
GLM_EXPERTS = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 20, "first_k_dense_replace": 1}
GLM_ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 0]}}
CONFIGS = {
    "qwen3_vl_moe": {
        "vision_config": {
            **QWEN_VIT,
            "hidden_size": 32,
            "intermediate_size": 48,
            "out_hidden_size": 24,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0, 1],
        },
        "text_config": {**TEXT, **MROPE, **EXPERTS, "model_type": "qwen3_vl_moe_text"},
    },
    "glm4v_moe": {
        "vision_config": {
            "depth": 2,
            "hidden_size": 32,
            "num_heads": 4,
            "intermediate_size": 48,
            "out_hidden_size": 24,
            "patch_size": 8,
            "image_size": 32,
        },
        "text_config": {**TEXT, **GLM_ROPE, **GLM_EXPERTS, "n_shared_experts": 1, "n_group": 1, "topk_group": 1},
    },
    "aria": {
        "vision_config": {**VIT, "model_type": "idefics3_vision"},
        "text_config": {**TEXT, "model_type": "aria_text", "moe_num_experts": 4, "moe_topk": 2},
        "projector_patch_to_query_dict": {"16": 4},
    },
    "gemma3": {
        "vision_config": {**VIT, "model_type": "siglip_vision_model"},
        "text_config": {**TEXT, "model_type": "gemma3_text"},
        "mm_tokens_per_image": 4,
    },
}
REWRITTEN = "glm4v_moe"


@cache
def tiny(name: str):
    import transformers

    config = transformers.CONFIG_MAPPING[name].from_dict({"model_type": name, **CONFIGS[name]})
    torch.manual_seed(0)
    return transformers.AutoModelForImageTextToText.from_config(config).eval()


def made(name: str):
    return inspect_model(tiny(name), Source("folder", name))


def trained(model) -> dict[str, torch.Tensor]:
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def scrambled(model):
    """The wrapped model with an adapter that has learned something."""
    with torch.no_grad():
        for value in trained(model).values():
            value.add_(torch.randn_like(value) / 10)
    return model.eval()


def assert_loads_again(name: str, model, folder) -> None:
    from peft import PeftModel

    model.save_pretrained(folder, save_embedding_layers=False)
    again = PeftModel.from_pretrained(copy.deepcopy(tiny(name)), folder, is_trainable=True).eval()
    expected, found = trained(model), trained(again)
    assert set(found) == set(expected)
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, msg=key)
    ids = torch.tensor([[1, 5, 9, 4, 7]])
    with torch.no_grad():
        torch.testing.assert_close(again(input_ids=ids).logits, model(input_ids=ids).logits)


@pytest.mark.parametrize("method", ["lora", "rslora"])
@pytest.mark.parametrize("name", CONFIGS)
def test_everything_is_counted_and_loads_again(name, method, tmp_path):
    inspection = made(name)
    own = {"language": Knobs(rank=3, alpha=5.0), "projector": Knobs(rank=2)}
    cells = tuple(available_cells(inspection))
    plan = make_plan(inspection, Selection(cells=cells), Recipe(4, 8.0, method=method, components=own))
    assert plan.target_parameters
    refuse_impossible(plan, inspection)
    model = scrambled(wrap(copy.deepcopy(tiny(name)), plan))
    cost = budget(inspection, plan)
    assert model.get_nb_trainable_parameters()[0] == cost.trainable
    assert_loads_again(name, model, tmp_path)
    assert (tmp_path / "adapter_model.safetensors").stat().st_size == cost.adapter_bytes


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "gemma3"])
def test_experts_learn_from_text(name):
    inspection = made(name)
    plan = make_plan(inspection, Selection(cells=("language.experts",)), Recipe(4, 8.0))
    model = scrambled(wrap(copy.deepcopy(tiny(name)), plan)).train()
    model(input_ids=torch.arange(1, 60)[None]).logits.square().mean().backward()
    assert [key for key, value in trained(model).items() if value.grad is None or not value.grad.abs().max() > 0] == []
    assert [key for key, value in model.named_parameters() if not value.requires_grad and value.grad is not None] == []


def test_experts_cost_rank_times_experts():
    inspection = made("qwen3_vl_moe")
    layers = len([module for module in inspection.modules if module.kind.endswith("Experts")])
    plan = make_plan(inspection, Selection(cells=("language.experts",)), Recipe(5, 8.0))
    assert budget(inspection, plan).trainable == layers * 5 * 4 * ((2 * 20 + 24) + (24 + 20))


def cells_one_by_one() -> list[str]:
    return ["vision.attention", "vision.mlp", "vision.embedding", "projector.mlp", "language.attention", "language.mlp"]


@pytest.mark.parametrize("cell", cells_one_by_one())
def test_each_cell_of_a_rewritten_model_is_itself_and_loads_again(cell, tmp_path):
    inspection = made(REWRITTEN)
    plan = make_plan(inspection, Selection(cells=(cell,)), Recipe(4, 8.0, dropout=0.1))
    model = wrap(copy.deepcopy(tiny(REWRITTEN)), plan)
    touched = {key.split(".lora_")[0].removeprefix("base_model.model.") for key in trained(model)}
    assert touched == set(plan.target_modules)
    dropped = [m for n, m in model.named_modules() if n.endswith("lora_dropout.default")]
    assert {module.p for module in dropped} == {0.1}
    assert_loads_again(REWRITTEN, scrambled(model), tmp_path)


def test_plain_peft_takes_the_portable_config_for_what_it_says():
    from peft import get_peft_model

    inspection = made(REWRITTEN)
    plan = make_plan(inspection, Selection(cells=("vision.mlp", "language.attention")), Recipe(4, 8.0))
    config = portable_config(plan, REWRITTEN)
    plain = get_peft_model(copy.deepcopy(tiny(REWRITTEN)), config)
    assert set(trained(plain)) == set(trained(wrap(copy.deepcopy(tiny(REWRITTEN)), plan)))


def test_only_some_models_are_rewritten():
    assert rewrites("glm4v_moe")
    assert rewrites("qwen3_omni_moe_thinker")
    assert not any(rewrites(name) for name in ("qwen3_vl_moe", "llava", "gemma3", "mllama", ""))


def test_what_could_not_be_loaded_again_is_refused_before_it_is_trained():
    inspection = made(REWRITTEN)
    plan = make_plan(inspection, Selection(cells=("vision.mlp",)), Recipe(4, 8.0, method="dora"))
    for refuse in (lambda: refuse_impossible(plan, inspection), lambda: wrap(copy.deepcopy(tiny(REWRITTEN)), plan)):
        with pytest.raises(PlanError, match=r"DoRA on “model\.visual.*down_proj, gate_proj, up_proj.*for experts"):
            refuse()
    other = make_plan(inspection, Selection(cells=("vision.attention",)), Recipe(4, 8.0, method="dora"))
    refuse_impossible(other, inspection)
    wrap(copy.deepcopy(tiny(REWRITTEN)), other)
