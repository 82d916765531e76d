"""The lever `fused_lora`: a frozen layer and its LoRA in one step, forward and backward, as Unsloth does it on a GPU.

PEFT computes y = W x + b, then s B A x, and adds the two: for each layer, tensors as large as its output are written
and read four times more than needed, and once more as large as its input going back. Here the small product is scaled,
and the large ones are added up inside of the matrix products (`frozen_linear`). The products themselves are the same.
Whole gated MLPs go in one step (`gated_mlp`), and so do the norms and the vision tower's attention around the layers
(`lean_norms`, `vision_windows`), wherever the model's code is known word for word.
With autocast, the adapter's 32-bit matrices are rounded to the layer's precision first, as autocast does it.
What it does not do: dropout, DoRA and other variants, or packed weights; PEFT's own forward runs there, and whenever
the adapter is switched off.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch

from core.spec import Settings
from core.training.levers.applied import Applied, left_off
from core.training.levers.frozen_linear import (
    ADAPTER,
    Frozen,
    autocast,
    grad_input,
    grad_lora,
    in_use,
    is_plain,
    output,
)
from core.training.levers.gated_mlp import fuse_gated_mlps
from core.training.levers.lean_norms import lean_norms
from core.training.levers.vision_windows import join_windows, patches_as_products


def fuse_lora(model: Any, settings: Settings) -> Applied:
    """Lets every layer that allows it compute with its LoRA in one step, and what stands around them with it."""
    if "fused_lora" in settings.without:
        return left_off("fused_lora")
    layers = [module for module in model.modules() if is_plain(module)]
    if not layers:
        return Applied("fused_lora", False, "No layer has plain LoRA without dropout on weights that are not packed.")
    for layer in layers:
        layer.forward = MethodType(_forward, layer)
    parts = {"gated MLPs": fuse_gated_mlps(model), "norms": lean_norms(model), "attentions": join_windows(model)}
    patches_as_products(model)
    more = [f"{count:,} {name}" for name, count in parts.items() if count]
    also = f" In fewer steps, too: {', '.join(more)}." if more else ""
    return Applied("fused_lora", True, f"{len(layers):,} layers compute with their LoRA in one step.{also}")


def _forward(self: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """PEFT's forward, in one step where the adapter is in use and nothing else was asked for."""
    a, b = self.lora_A[ADAPTER].weight, self.lora_B[ADAPTER].weight
    plain = not (args or kwargs) and in_use(self)
    dtype = self.base_layer.weight.dtype
    if not plain or dtype != (autocast(x) or a.dtype):
        return type(self).forward(self, x, *args, **kwargs)
    base, scale = self.base_layer, self.scaling[ADAPTER]
    return _LinearWithLora.apply(x.to(dtype), base.weight, base.bias, a.to(dtype), b.to(dtype), scale)


class _LinearWithLora(torch.autograd.Function):
    """x [..., in] -> y [..., out] with a frozen W [out, in], and A [r, in], B [out, r] that learn."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1])  # [N, in]
        y, small = output(rows, Frozen(weight, bias, a, b, scale))  # [N, out], [N, r]
        ctx.save_for_backward(rows, small, weight, a, b)
        ctx.scale = scale
        return y.view(*x.shape[:-1], y.shape[-1])

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, small, weight, a, b = ctx.saved_tensors
        layer = Frozen(weight, None, a, b, ctx.scale)
        g = gradient.reshape(-1, gradient.shape[-1])  # [N, out]
        dx = None
        if ctx.needs_input_grad[0]:
            dx, back = grad_input(g, layer)
            dx = dx.view(*gradient.shape[:-1], dx.shape[-1])
        else:
            back = layer.back(g)
        da, db = grad_lora(g, back, rows, small)
        return dx, None, None, da, db, None
