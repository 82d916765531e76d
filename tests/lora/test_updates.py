"""Norms of updates, against the difference that merging makes to the dense weights, for each method and start."""

from __future__ import annotations

import copy

import pytest
import torch

from core.lora.parts import base_tensors, is_added, original_name
from core.lora.updates import Update, updates
from core.lora.wrap import wrap
from core.spec import Override, Plan
from tests.lora.every_kind import EveryKind, batch, every_kind
from tests.lora.training_steps import trained

LAYERS = ("gpt2", "back", "head")
ALL = (*LAYERS, "image", "clip", "sound", "attention", "table")
PLANS = {
    "lora": Plan(ALL, 3, 6.0),
    "fused experts": Plan(("back",), 2, 6.0, target_parameters=("experts.up_proj", "turned.down_proj")),
    "two of a module": Plan((), 2, 4.0, target_parameters=("experts.up_proj", "experts.down_proj", "projector.matrix")),
    "rslora": Plan((*LAYERS, "image"), 3, 6.0, method="rslora"),
    "lora bias": Plan(("gpt2", "head", "image", "sound"), 3, 6.0, lora_bias=True),
    "dora": Plan((*LAYERS, "image", "clip", "sound", "table"), 3, 6.0, method="dora"),
    "dora, eva's and gaussian start": Plan(LAYERS, 3, 6.0, method="dora", start="gaussian"),
    "adalora": Plan((*LAYERS, "image"), 3, 6.0, method="adalora"),
    "pissa": Plan(LAYERS, 3, 6.0, start="pissa"),
    "olora": Plan(("back", "head"), 3, 6.0, start="olora"),
    "rslora from pissa": Plan(LAYERS, 3, 6.0, method="rslora", start="pissa"),
    "own ranks": Plan(LAYERS, 3, 6.0, overrides=(Override("language", ("back",), 5, 2.0, 0.0),)),
    "in full": Plan(("back",), 3, 6.0, full_modules=("projector", "projector.norm", "head")),
    "a rank above the width": Plan(("image", "back"), 20, 6.0),
}


def dense(model, base: EveryKind) -> dict[str, torch.Tensor]:
    """Every parameter after merging, by its own name."""
    merged = copy.deepcopy(model).merge_and_unload()
    named = dict(merged.named_parameters())
    return {name: named[name].detach().double() for name, _ in base.named_parameters()}


def norms(covers: tuple[str, ...], *tensors: dict[str, torch.Tensor]) -> float:
    first, *second = tensors
    parts = [(first[name] - second[0][name]) if second else first[name] for name in covers]
    return float(torch.cat([part.reshape(-1) for part in parts]).norm())


@pytest.mark.parametrize("name", PLANS)
def test_every_norm_is_that_of_the_merged_model(name: str) -> None:
    base, plan = every_kind(), PLANS[name]
    model, start = trained(base, plan)
    before = {key: value.detach().double() for key, value in base.named_parameters()}
    after = dense(model, base)
    found = list(updates(model, start))
    covered = [key for each in found for key in each.covers]
    assert len(covered) == len(set(covered))
    for each in found:
        assert each.update == pytest.approx(norms(each.covers, after, before), rel=2e-5), each.name
        assert each.weight == pytest.approx(norms(each.covers, before), rel=2e-5), each.name
        assert each.used is None or (0 < each.used <= 1) == (each.update > 0)
    assert sum(each.update > 1e-3 for each in found) >= (len(found) if plan.method != "adalora" else 2)
    untouched = set(before) - set(covered)
    assert all(torch.equal(before[key], after[key]) for key in untouched)
    wanted = {*plan.target_modules, *plan.target_parameters, *plan.full_modules}
    wanted |= {"attention.out_proj"} if "attention" in wanted else set()
    assert {each.name for each in found} == wanted


@pytest.mark.parametrize("name", sorted(set(PLANS) - {"dora", "dora, eva's and gaussian start"}))
def test_nothing_has_moved_before_the_first_step(name: str) -> None:
    from core.lora.starts import remember_start

    model = wrap(every_kind(), PLANS[name], 5)
    for each in updates(model, remember_start(model, PLANS[name])):
        assert each.update == 0.0, "to the last bit, also where the start has changed the weights"
        assert each.used in (0.0, None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_doras_rounding_is_all_that_shows_before_the_first_step(dtype: torch.dtype) -> None:
    """In bfloat16 the magnitudes themselves are rounded by up to 0.4%, which is no update."""
    for each in updates(wrap(every_kind().to(dtype), PLANS["dora"])):
        assert each.update < 1e-6 * each.weight


def test_packed_weights_count_as_the_numbers_they_stand_for() -> None:
    from bitsandbytes.nn import Linear4bit, Linear8bitLt

    class Two(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.four = Linear4bit(64, 64, bias=False, quant_type="nf4", compress_statistics=True)
            self.eight = Linear8bitLt(64, 64, bias=False, has_fp16_weights=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.eight(self.four(x))

    torch.manual_seed(0)
    base = Two().to("cpu")
    base.four.support_avx512bf16_for_cpu = False
    identity = torch.eye(64)
    with torch.no_grad():
        numbers = {"four": base.four(identity).T, "eight": base.eight(identity).T}
    model = wrap(base, Plan(("four", "eight"), 4, 8.0))
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value)
    for each in updates(model):
        layer = model.get_base_model().get_submodule(each.name)
        assert each.weight == pytest.approx(float(numbers[each.name].norm()), rel=1e-2)
        assert each.update == pytest.approx(float(layer.get_delta_weight("default").norm()), rel=1e-5)


def test_the_used_rank_is_the_number_of_equal_directions() -> None:
    model = wrap(torch.nn.ModuleDict({"only": torch.nn.Linear(16, 16)}), Plan(("only",), 4, 4.0))
    layer = model.get_base_model()["only"]
    with torch.no_grad():
        layer.lora_A["default"].weight.copy_(torch.eye(16)[:4])
        layer.lora_B["default"].weight.copy_(torch.eye(16)[:, :4])
        (whole,) = updates(model)
        layer.lora_B["default"].weight[:, 2:] = 0
        (half,) = updates(model)
    assert (whole.used, half.used) == (pytest.approx(1.0), pytest.approx(0.5))
    assert (whole.update, half.update) == (pytest.approx(2.0), pytest.approx(2**0.5))


def test_diverged_weights_are_said_and_not_hidden() -> None:
    model = wrap(every_kind(), Plan(("back",), 3, 6.0))
    model.get_base_model().back.lora_B["default"].weight.data.fill_(float("nan"))
    (each,) = updates(model)
    assert each.update != each.update
    assert each.used is None
    assert isinstance(each, Update)


def test_names_are_those_of_the_base_model() -> None:
    base = every_kind()
    for plan in PLANS.values():
        model = wrap(copy.deepcopy(base), plan, 5)
        own = {original_name(name) for name, _ in model.named_parameters() if not is_added(name)}
        assert own == {name for name, _ in base.named_parameters()}
        assert {name for name, _ in base_tensors(model)} == own


def test_attention_of_pytorch_keeps_its_weights_to_the_last_bit() -> None:
    """PEFT puts the adapter on them for each pass and takes it off again."""
    model, _ = trained(every_kind(), Plan(("attention",), 3, 6.0))
    frozen = {name: tensor.clone() for name, tensor in base_tensors(model)}
    for mode in (True, False):
        model.train(mode)(**batch()).sum().backward()
    now = dict(base_tensors(model))
    assert all(torch.equal(now[name], before) for name, before in frozen.items())
    with torch.no_grad(), model.disable_adapter():
        assert torch.equal(model(**batch()), every_kind()(**batch()))
