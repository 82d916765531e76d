"""The last layer computed for the answers alone: the same loss, the same gradients, and whole wherever it must be."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from core.spec import Settings
from core.training.levers.fused_lora import fuse_lora
from core.training.levers.last_layer import Narrowing, narrow_last_layer, tell_narrowing
from tests.data.tiny_families import mllama
from tests.training.levers.same_work import (
    FAMILIES,
    adapted,
    assert_alike,
    encoder_of,
    loss_and_gradients,
    rows,
)

EVERY_LINEAR = r".*(language_model|text_model).*(q|k|v|o|gate|up|down)_proj"


def made(name: str, fused: bool = False):
    family = FAMILIES[name]()
    model = adapted(family.model, EVERY_LINEAR)
    if fused:
        fuse_lora(model, Settings())
    return model, encoder_of(family).training(rows())


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_loss_and_gradients_stay_the_same(name: str, fused: bool):
    model, batch = made(name, fused)
    before = loss_and_gradients(model, batch)
    applied = narrow_last_layer(model, batch, Settings())
    assert applied.on, applied.reason
    tell_narrowing(model, batch)
    assert_alike(before, loss_and_gradients(model, batch))


def test_fewer_positions_are_computed_in_the_last_layer_alone():
    model, batch = made("qwen2_5_vl")
    narrow_last_layer(model, batch, Settings())
    layers = model.get_base_model().get_decoder().layers
    seen = [[], []]
    for at, layer in ((0, layers[0]), (1, layers[-1])):
        layer.mlp.down_proj.register_forward_hook(lambda _m, given, _y, at=at: seen[at].append(given[0].shape[:-1]))
    tell_narrowing(model, batch)
    loss_and_gradients(model, batch)
    learned = int((batch["labels"][:, 1:] != -100).sum())
    assert seen[0] == [batch["labels"].shape]
    assert [shape.numel() for shape in seen[1]] == [learned]


def test_checkpointing_computes_the_same_positions_again():
    model, batch = made("qwen2_5_vl")
    model.get_base_model().activation_checkpointing_enable({"use_reentrant": False})
    before = loss_and_gradients(model, batch)
    assert narrow_last_layer(model, batch, Settings()).on
    tell_narrowing(model, batch)
    assert_alike(before, loss_and_gradients(model, batch))


def test_what_is_written_or_looked_at_is_computed_whole():
    model, batch = made("llava")
    inputs = {key: value for key, value in batch.items() if key != "labels"}
    with torch.inference_mode():
        before = model(**inputs).logits
        narrow_last_layer(model, batch, Settings())
        tell_narrowing(model, batch)
        torch.testing.assert_close(model(**inputs).logits, before)


@pytest.mark.parametrize("without", ["last_layer", "answers_only"])
def test_it_is_left_off_when_asked_and_where_all_positions_count(without: str):
    model, batch = made("llava")
    assert not narrow_last_layer(model, batch, Settings(without=(without,))).on
    assert not hasattr(model, "narrowing")


def test_a_model_that_looks_at_every_position_afterwards_keeps_its_last_layer():
    model, batch = made("llava")
    base = model.get_base_model()
    norm = base.get_decoder().norm

    def mixed(hidden: torch.Tensor) -> torch.Tensor:
        return type(norm).forward(norm, hidden + hidden.mean(dim=1, keepdim=True))

    norm.forward = mixed
    before = loss_and_gradients(model, batch)
    applied = narrow_last_layer(model, batch, Settings())
    assert not applied.on
    assert "differ" in applied.reason
    assert_alike(before, loss_and_gradients(model, batch))
    assert not any("forward" in vars(module) for module in base.get_decoder().layers[-1].modules())


def test_dropout_in_the_last_layer_keeps_it_whole():
    from peft import LoraConfig, get_peft_model

    family = FAMILIES["llava"]()
    batch = encoder_of(family).training(rows())
    model = get_peft_model(family.model, LoraConfig(r=2, lora_dropout=0.1, target_modules=EVERY_LINEAR)).train()
    assert not narrow_last_layer(model, batch, Settings()).on


def test_a_model_with_cross_attention_gives_the_same_or_is_left_alone():
    family = mllama()
    model, batch = adapted(family.model, EVERY_LINEAR), encoder_of(family).training(rows())
    before = loss_and_gradients(model, batch)
    narrow_last_layer(model, batch, Settings())
    tell_narrowing(model, batch)
    assert_alike(before, loss_and_gradients(model, batch))


def test_a_batch_of_another_form_is_computed_whole():
    narrowing = Narrowing()
    narrowing.tell({"labels": torch.tensor([[-100, 1, 2]])})
    assert narrowing.of(torch.zeros(1, 3, 4)).tolist() == [[True, True, False]]
    assert narrowing.of(torch.zeros(1, 4, 4)) is None
    assert narrowing.of(torch.zeros(3, 4)) is None
    tell_narrowing(SimpleNamespace(), {})
