"""What LoRA is said to reach, it reaches: PEFT wraps it and a gradient comes through."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model

from core.models.inspection import inspect_model
from core.models.labels.usage import own_matrices, weights_read
from core.spec import Inspection, Module, Source
from tests.models.families import tiny_model


def inspection(family: str) -> Inspection:
    return inspect_model(tiny_model(family), Source("folder", family))


def token_table(family: str) -> Module:
    return next(module for module in inspection(family).modules if module.name.endswith("embed_tokens"))


@pytest.mark.parametrize("family", ["llava", "smolvlm", "qwen3_vl"])
def test_lora_on_the_token_table_learns(family):
    table = token_table(family)
    assert table.adaptable
    model = get_peft_model(copy.deepcopy(tiny_model(family)), LoraConfig(r=2, target_modules=f"^{table.name}$"))
    text = torch.arange(3, 11)[None]
    model(input_ids=text, labels=text).loss.backward()
    (learned,) = [value for name, value in model.named_parameters() if "lora_embedding_A" in name]
    assert learned.grad.abs().sum() > 0
    assert model.get_nb_trainable_parameters()[0] == 2 * sum(table.shape)


@pytest.mark.parametrize("family", ["qwen2_vl", "idefics3"])
def test_a_token_table_that_is_the_head_too_is_out_of_reach(family):
    table = token_table(family)
    assert not table.adaptable
    assert "shares its weight with lm_head" in table.reason


class Block(torch.nn.Module):
    """What the rules read: a matrix, queries, and a layer that is read past."""

    def __init__(self):
        super().__init__()
        self.matrix = torch.nn.Parameter(torch.zeros(4, 8))
        self.queries = torch.nn.Parameter(torch.zeros(4, 8))
        self.called, self.read, self.asked = (torch.nn.Linear(8, 8) for _ in range(3))

    def forward(self, x):
        if isinstance(self.asked.weight, torch.Tensor) and self.asked.weight.dtype == x.dtype:
            x = self.asked(x)
        return (self.called(x) + self.queries.sum(0)) @ self.read.weight @ self.matrix.T


def test_a_matrix_is_what_its_code_multiplies_by_and_queries_are_none():
    assert own_matrices(Block()) == {"matrix"}


def test_a_layer_is_read_past_when_its_weight_is_used_and_not_when_only_its_type_is_asked():
    assert weights_read(Block) == {"read"}


def test_the_sources_of_transformers_are_read():
    from transformers.models.gemma3.modeling_gemma3 import Gemma3MultiModalProjector
    from transformers.models.siglip.modeling_siglip import SiglipAttention
    from transformers.models.t5.modeling_t5 import T5DenseActDense

    projector = tiny_model("gemma3").model.multi_modal_projector
    assert isinstance(projector, Gemma3MultiModalProjector)
    assert own_matrices(projector) == {"mm_input_projection_weight"}
    assert weights_read(SiglipAttention) == frozenset()
    assert weights_read(T5DenseActDense) == frozenset()
