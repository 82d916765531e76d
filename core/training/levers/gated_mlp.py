"""A gated MLP with its LoRA in one step (arXiv:2002.05202): part of the lever `fused_lora`.

    y = (act(x Wg) * (x Wu)) Wd        each W with its frozen weight and, where it is adapted, its LoRA

One autograd function keeps the input, and what gate and up give; torch alone would also keep act(gate) and the product,
each as large again. Going back the product is computed again, and what goes to the input is added up inside of the
matrix products.
What it does not do: stand in for a module whose code is not the one below, or for linears with hooks, dropout, DoRA or
packed weights; the model's own forward runs there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch

from core.training.levers.frozen_linear import Frozen, autocast, grad_input, grad_lora, output, parts_of, takes
from core.training.levers.known_code import is_known

KNOWN = (
    "down_proj = self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))\nreturn down_proj",
    "return self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))",
)
LINEARS = ("gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Activation:
    """An activation and its derivative: `back` makes of the gradient of act(z), and z, the gradient of z."""

    of: Callable[[torch.Tensor], torch.Tensor]
    back: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _gelu(approximate: str) -> Activation:
    def of(z: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.gelu(z, approximate=approximate)

    def back(g: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.gelu_backward(g, z, approximate=approximate)

    return Activation(of, back)


SILU = Activation(torch.nn.functional.silu, torch.ops.aten.silu_backward)


def fuse_gated_mlps(model: Any) -> int:
    """Lets every gated MLP of known code compute in one step -> how many do."""
    found = [(module, act) for module in model.modules() if (act := _activation(module)) is not None]
    for module, act in found:
        module.forward = MethodType(_forward(act), module)
    return len(found)


def _activation(module: Any) -> Activation | None:
    """The activation of a gated MLP that can compute in one step; None for every other module."""
    children = dict(module.named_children())
    if children.keys() != {*LINEARS, "act_fn"} or "forward" in vars(module) or list(module.parameters(recurse=False)):
        return None
    if not is_known(type(module).forward, *KNOWN):
        return None
    if not all(takes(children[name]) for name in LINEARS) or children["act_fn"]._forward_hooks:
        return None
    return activation(children["act_fn"])


def activation(module: Any) -> Activation | None:
    """The arithmetic of an activation's module, where it is known."""
    from transformers.activations import GELUActivation, GELUTanh, SiLUActivation

    if type(module) in (torch.nn.SiLU, SiLUActivation):
        return SILU
    if type(module) is torch.nn.GELU:
        return _gelu(module.approximate)
    if type(module) is GELUActivation and module.act is torch.nn.functional.gelu:
        return _gelu("none")
    if type(module) is GELUTanh and getattr(module.act, "keywords", None) == {"approximate": "tanh"}:
        return _gelu("tanh")
    return None


def _forward(act: Activation) -> Callable[..., torch.Tensor]:
    """The forward of a gated MLP with this activation."""

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        gate, up, down = parts_of(self.gate_proj), parts_of(self.up_proj), parts_of(self.down_proj)
        if gate is None or up is None or down is None:
            return type(self).forward(self, x)
        dtype = gate.weight.dtype
        inside = autocast(x) or x.dtype
        if any(each.weight.dtype != inside or not each.fits(inside, autocast(x)) for each in (gate, up, down)):
            return type(self).forward(self, x)
        tensors = [tensor for each in (gate, up, down) for tensor in each.tensors(dtype)]
        return _GatedMlp.apply(x.to(dtype), act, (gate.scale, up.scale, down.scale), *tensors)

    return forward


class _GatedMlp(torch.autograd.Function):
    """x [..., D] -> y [..., D]; the frozen W, and the A and B that learn, of gate, up and down."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, act: Activation, scales: tuple[float, ...], *tensors: torch.Tensor | None
    ) -> torch.Tensor:
        gate, up, down = _layers(tensors, scales)
        rows = x.reshape(-1, x.shape[-1])  # [N, D]
        g, small_g = output(rows, gate)  # [N, I], [N, r]
        u, small_u = output(rows, up)
        y, small_d = output(act.of(g).mul_(u), down)
        adapted = gate.a is not None or up.a is not None
        ctx.save_for_backward(rows if adapted else None, g, u, small_g, small_u, small_d, *tensors)
        ctx.act, ctx.scales = act, scales
        return y.view(*x.shape[:-1], y.shape[-1])

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        rows, g, u, small_g, small_u, small_d, *tensors = ctx.saved_tensors
        gate, up, down = _layers(tensors, ctx.scales)
        dy = gradient.reshape(-1, gradient.shape[-1])  # [N, D]
        dz, back = grad_input(dy, down)  # [N, I], [N, r]
        acted = ctx.act.of(g)
        down_a, down_b = grad_lora(dy, back, acted * u if down.a is not None else None, small_d)
        du = acted.mul_(dz)
        dg = ctx.act.back(dz.mul_(u), g)
        gate_a, gate_b, up_a, up_b, dx = _into_x(ctx, (dg, gate, small_g), (du, up, small_u), rows)
        if dx is not None:
            dx = dx.view(*gradient.shape[:-1], dx.shape[-1])
        return dx, None, None, None, None, gate_a, gate_b, None, None, up_a, up_b, None, None, down_a, down_b


def _layers(tensors: Sequence[Any], scales: Sequence[float]) -> list[Frozen]:
    """Each four tensors as a layer with its scale."""
    fours = (tensors[at * 4 : at * 4 + 4] for at in range(len(scales)))
    return [Frozen(w, bias, a, b, scale) for (w, bias, a, b), scale in zip(fours, scales, strict=True)]


def _into_x(
    ctx: Any,
    gated: tuple[torch.Tensor, Frozen, torch.Tensor | None],
    upward: tuple[torch.Tensor, Frozen, torch.Tensor | None],
    rows: torch.Tensor | None,
) -> tuple[torch.Tensor | None, ...]:
    """The gradients of A and B of gate and up, and of x where it is asked for, [N, D]."""
    (dg, gate, small_g), (du, up, small_u) = gated, upward
    dx = None
    if ctx.needs_input_grad[0]:
        dx, back_g = grad_input(dg, gate)
        dx, back_u = grad_input(du, up, dx)
    else:
        back_g, back_u = gate.back(dg), up.back(du)
    return *grad_lora(dg, back_g, rows, small_g), *grad_lora(du, back_u, rows, small_u), dx
