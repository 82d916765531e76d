"""Gated MLPs, norms and attention in windows in fewer steps: the same numbers, and the model's own code elsewhere."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model

from core.spec import Settings
from core.training.levers.frozen_linear import takes
from core.training.levers.fused_lora import fuse_lora
from core.training.levers.gated_mlp import fuse_gated_mlps
from core.training.levers.known_code import body, is_known
from core.training.levers.lean_norms import lean_norms
from core.training.levers.vision_windows import join_windows, patches_as_products, sorted_windows
from tests.training.levers.same_work import (
    EVERYTHING,
    FAMILIES,
    adapted,
    assert_alike,
    encoder_of,
    loss_and_gradients,
    rows,
)

MLPS = r".*(gate_proj|up_proj|down_proj)"


class Gated(torch.nn.Module):
    """A gated MLP as most language models have it."""

    def __init__(self, act: torch.nn.Module | None = None, bias: bool = True) -> None:
        super().__init__()
        self.gate_proj = torch.nn.Linear(6, 10, bias=bias)
        self.up_proj = torch.nn.Linear(6, 10, bias=bias)
        self.down_proj = torch.nn.Linear(10, 6, bias=bias)
        self.act_fn = act or torch.nn.SiLU()

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.down_proj(self.act_fn(self.gate_proj(hidden)) * self.up_proj(hidden))


class Limited(Gated):
    """One that cuts off what gets too large."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.down_proj(self.act_fn(self.gate_proj(hidden)).clamp(max=7.0) * self.up_proj(hidden))


class RmsNorm(torch.nn.Module):
    """A norm as Llama has it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.linspace(-1, 2, 6))
        self.variance_epsilon = 1e-6

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        input_dtype = hidden.dtype
        hidden = hidden.to(torch.float32)
        variance = hidden.pow(2).mean(-1, keepdim=True)
        hidden = hidden * torch.rsqrt(variance + self.variance_epsilon)
        return self.weight * hidden.to(input_dtype)


def gated(targets: list[str] | None = None, dtype: torch.dtype = torch.float32, module: torch.nn.Module | None = None):
    torch.manual_seed(0)
    model = torch.nn.Sequential(module or Gated()).to(dtype)
    config = LoraConfig(r=2, lora_alpha=6, target_modules=targets or ["gate_proj", "up_proj", "down_proj"])
    wrapped = get_peft_model(model, config)
    for parameter in wrapped.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter)
    return wrapped


def learned(model, shape: tuple[int, ...] = (2, 3, 6), gradient: bool = True) -> list[torch.Tensor]:
    """What a model gives for an input, and all gradients."""
    count = torch.Size(shape).numel()
    x = torch.linspace(-1, 2, count).reshape(shape).requires_grad_(gradient)
    model.zero_grad()
    y = model(x)
    y.square().sum().backward()
    return [y, *([x.grad] if gradient else []), *(p.grad for p in model.parameters() if p.requires_grad)]


def assert_same(before: list[torch.Tensor], after: list[torch.Tensor]) -> None:
    """Beside the largest number of each, since sums of the same numbers in another order round in another way."""
    for one, other in zip(before, after, strict=True):
        assert float((one - other).detach().abs().max()) <= 1e-5 * float(one.detach().abs().max())


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_block_of_a_family_learns_the_same(name: str, checkpointing: bool):
    family = FAMILIES[name]()
    model, batch = adapted(family.model, EVERYTHING), encoder_of(family).training(rows())
    if checkpointing:
        model.get_base_model().activation_checkpointing_enable({"use_reentrant": False})
    before = loss_and_gradients(model, batch)
    counts = (fuse_gated_mlps(model), lean_norms(model), join_windows(model))
    assert all(counts[:2]), counts
    assert bool(counts[2]) == name.startswith("qwen")
    assert patches_as_products(model) == name.startswith("qwen")
    assert_alike(before, loss_and_gradients(model, batch))


@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("targets", [None, ["gate_proj"], ["up_proj"], ["down_proj"]], ids=str)
def test_a_gated_mlp_learns_the_same_wherever_it_is_adapted(targets: list[str] | None, gradient: bool):
    model = gated(targets)
    before = learned(model, gradient=gradient)
    assert fuse_gated_mlps(model) == 1
    assert_same(before, learned(model, gradient=gradient))


@pytest.mark.parametrize("act", ["silu", "swish", "gelu", "gelu_pytorch_tanh"])
def test_each_known_activation_has_its_derivative(act: str):
    from transformers.activations import ACT2FN

    model = gated(module=Gated(ACT2FN[act]))
    before = learned(model)
    assert fuse_gated_mlps(model) == 1
    assert_same(before, learned(model))


def test_a_gated_mlp_keeps_less():
    def kept(model) -> int:
        sizes: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            if not isinstance(tensor, torch.nn.Parameter):
                sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            y = model(torch.ones(50, 6))
        assert y.requires_grad
        return sum(sizes.values())

    model = gated()
    plain = kept(model)
    fuse_gated_mlps(model)
    assert kept(model) < 0.8 * plain


def test_other_code_stays_as_it_is():
    from transformers.activations import ACT2FN

    assert fuse_gated_mlps(gated(module=Limited())) == 0
    assert fuse_gated_mlps(gated(module=Gated(ACT2FN["quick_gelu"]))) == 0
    trained = gated(["gate_proj"])
    trained.get_base_model()[0].up_proj.requires_grad_(True)
    assert fuse_gated_mlps(trained) == 0


def test_the_adapter_can_be_switched_off_and_looked_at():
    model = gated()
    x, mlp = torch.linspace(-1, 1, 12).reshape(2, 6), model.get_base_model()[0]
    on = model(x)
    with model.disable_adapter():
        off = model(x)
    fuse_gated_mlps(model)
    torch.testing.assert_close(model(x), on)
    with model.disable_adapter():
        torch.testing.assert_close(model(x), off)
    model.merge_adapter()
    torch.testing.assert_close(model(x), on)
    model.unmerge_adapter()
    seen = []
    mlp.up_proj.register_forward_hook(lambda _module, _given, y: seen.append(y))
    torch.testing.assert_close(model(x), on)
    assert len(seen) == 1


def test_in_bfloat16_with_autocast_a_gated_mlp_is_as_near_to_the_exact_result():
    model, exact = gated(dtype=torch.bfloat16), gated()
    x = torch.linspace(-1, 1, 60).reshape(10, 6)
    wanted = exact(x).detach()

    def off() -> float:
        with torch.autocast("cpu", torch.bfloat16):
            return float((model(x.bfloat16()).float().detach() - wanted).abs().mean())

    plain = off()
    assert fuse_gated_mlps(model) == 1
    assert off() <= 1.5 * plain
    with torch.autocast("cpu", torch.bfloat16):
        y = model(x.bfloat16())
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    assert all(p.grad.dtype == torch.float32 for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_norm_gives_the_same_in_fewer_passes(dtype: torch.dtype):
    norm = torch.nn.Sequential(RmsNorm()).to(dtype).requires_grad_(False)
    results = []
    for _ in range(2):
        x = torch.linspace(-3, 5, 60).reshape(2, 5, 6).to(dtype).requires_grad_()
        y = norm(x)
        (y * torch.arange(6)).sum().backward()
        results.append([y, x.grad])
        assert lean_norms(norm) == (len(results) == 1)
    assert results[0][0].dtype == results[1][0].dtype == dtype
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_a_norm_that_is_trained_or_meets_another_precision_computes_as_it_did():
    assert lean_norms(torch.nn.Sequential(RmsNorm())) == 0
    norm = torch.nn.Sequential(RmsNorm()).requires_grad_(False)
    x = torch.linspace(-3, 5, 30, dtype=torch.bfloat16).reshape(5, 6)
    before = norm(x)
    assert lean_norms(norm) == 1
    assert norm(x).dtype == before.dtype == torch.float32
    assert torch.equal(norm(x), before)


def test_windows_of_one_length_come_together_and_find_back():
    windows = sorted_windows(torch.tensor([0, 4, 6, 10, 10, 12]))
    assert windows.groups == ((2, 4), (2, 2))
    assert windows.order.tolist() == [0, 1, 2, 3, 6, 7, 8, 9, 4, 5, 10, 11]
    assert windows.order[windows.back].tolist() == list(range(12))
    even = sorted_windows(torch.tensor([0, 4, 8]))
    assert even.groups == ((2, 4),)
    assert even.order is None


def test_pictures_of_several_sizes_learn_the_same_in_windows():
    family = FAMILIES["qwen2_5_vl"]()
    model = adapted(family.model, EVERYTHING)
    batch = encoder_of(family).training(rows((40, 40), (80, 40), (40, 90)))
    before = loss_and_gradients(model, batch)
    assert join_windows(model) > 0
    assert_alike(before, loss_and_gradients(model, batch))


def test_the_lever_says_what_it_covers_and_can_be_left_off():
    model = adapted(FAMILIES["qwen2_5_vl"]().model, EVERYTHING)
    assert not fuse_lora(model, Settings(without=("fused_lora",))).on
    assert not any("forward" in vars(module) for module in model.modules())
    reason = fuse_lora(model, Settings()).reason
    assert all(part in reason for part in ("gated MLPs", "norms", "attentions"))


def test_code_is_known_by_what_it_does_not_by_its_names():
    def one(self, a, b):
        """Words."""
        return a + b  # more words

    def other(self, a, b):
        return a - b

    assert is_known(one, "return x + x1")
    assert not is_known(other, "return x + x1")
    assert body(len) == ""
    assert not is_known(len, "")
    assert takes(torch.nn.Linear(2, 2).requires_grad_(False))
    assert not takes(torch.nn.Linear(2, 2))
