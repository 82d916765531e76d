"""A frozen layer and its LoRA in one step: the same loss and gradients, and PEFT's own forward everywhere else."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model

from core.spec import Settings
from core.training.levers.fused_lora import fuse_lora
from tests.training.levers.same_work import (
    EVERYTHING,
    FAMILIES,
    adapted,
    assert_alike,
    encoder_of,
    loss_and_gradients,
    rows,
)


def fused_layers(model) -> int:
    return sum("forward" in vars(module) for module in model.modules())


@pytest.mark.parametrize("name", FAMILIES)
def test_loss_and_gradients_are_those_of_peft(name: str):
    family = FAMILIES[name]()
    model, batch = adapted(family.model, EVERYTHING), encoder_of(family).training(rows())
    before = loss_and_gradients(model, batch)
    applied = fuse_lora(model, Settings())
    assert applied.on
    assert fused_layers(model) > 0
    assert_alike(before, loss_and_gradients(model, batch))


def test_it_is_left_off_when_asked():
    model = adapted(FAMILIES["llava"]().model)
    assert not fuse_lora(model, Settings(without=("fused_lora",))).on
    assert fused_layers(model) == 0


def layer(bias: bool = True, dtype: torch.dtype = torch.float32, **config):
    """A model of one Linear of 6 by 5 with an adapter that changes something."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 5, bias=bias, dtype=dtype))
    wrapped = get_peft_model(model, LoraConfig(r=2, target_modules=["0"], **config))
    for parameter in wrapped.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter)
    return wrapped


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(6,), (4, 6), (2, 3, 6)])
def test_a_layer_of_any_input_gives_the_same(bias: bool, shape: tuple[int, ...]):
    model = layer(bias, lora_alpha=7)
    results = []
    for _ in range(2):
        x = torch.linspace(-1, 2, 6 * (torch.Size(shape).numel() // 6)).reshape(shape).requires_grad_()
        model.zero_grad()
        y = model(x)
        y.square().sum().backward()
        results.append([y, x.grad, *(p.grad for p in model.parameters() if p.requires_grad)])
        fuse_lora(model, Settings())
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    "config", [{"lora_dropout": 0.1}, {"use_dora": True}, {"lora_bias": True}], ids=lambda config: next(iter(config))
)
def test_other_forms_stay_with_peft(config: dict):
    model = layer(**config)
    assert not fuse_lora(model, Settings()).on
    assert fused_layers(model) == 0


def test_the_adapter_can_be_switched_off_and_merged():
    model = layer()
    x = torch.linspace(-1, 1, 12).reshape(2, 6)
    base = model.get_base_model()[0].base_layer
    fuse_lora(model, Settings())
    with_it = model(x)
    with model.disable_adapter():
        torch.testing.assert_close(model(x), base(x))
    model.merge_adapter()
    torch.testing.assert_close(model(x), with_it)
    model.unmerge_adapter()
    torch.testing.assert_close(model(x), with_it)


def test_in_bfloat16_with_autocast_it_is_as_near_to_the_exact_result_as_peft():
    model, exact = layer(dtype=torch.bfloat16), layer()
    x = torch.linspace(-1, 1, 60).reshape(10, 6)
    wanted = exact(x).detach()

    def off() -> float:
        with torch.autocast("cpu", torch.bfloat16):
            return float((model(x.bfloat16()).float().detach() - wanted).abs().mean())

    plain = off()
    assert fuse_lora(model, Settings()).on
    assert off() <= 1.5 * plain
    with torch.autocast("cpu", torch.bfloat16):
        model(x.bfloat16()).float().sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in model.parameters() if p.requires_grad)
