"""The lever `fused_lora`: a frozen layer and its LoRA in one step, forward and backward, as Unsloth does it on a GPU.

PEFT computes y = W x + b, then s B A x, and adds the two: for each layer, tensors as large as its output are written
and read four times more than needed, and once more as large as its input going back. Here the small product is scaled,
and the large ones are added up inside of the matrix products (`addmm`). The products themselves are the same:

    y = x W^T + b + (s x A^T) B^T            h = s x A^T                                [N, r]
    dx = g W + (s g B) A                     dA = (s g B)^T x      dB = g^T h

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

ADAPTER = "default"
"""PEFT's name of our only adapter."""


def fuse_lora(model: Any, settings: Settings) -> Applied:
    """Lets every layer that allows it compute with its LoRA in one step."""
    if "fused_lora" in settings.without:
        return left_off("fused_lora")
    layers = [module for module in model.modules() if _is_plain(module)]
    for layer in layers:
        layer.forward = MethodType(_forward, layer)
    if not layers:
        return Applied("fused_lora", False, "No layer has plain LoRA without dropout on weights that are not packed.")
    return Applied("fused_lora", True, f"{len(layers):,} layers compute with their LoRA in one step.")


def _is_plain(module: Any) -> bool:
    """Whether a layer is a Linear with LoRA as the paper has it."""
    from peft.tuners.lora.layer import Linear

    if type(module) is not Linear or set(module.lora_A) != {ADAPTER} or module.lora_variant:
        return False
    base, dropout = module.base_layer, module.lora_dropout[ADAPTER]
    frozen = type(base) is torch.nn.Linear and not any(parameter.requires_grad for parameter in base.parameters())
    parts = (base, module.lora_A[ADAPTER], module.lora_B[ADAPTER])  # whose own calls are passed over
    hooked = any(part._forward_hooks or part._forward_pre_hooks for part in parts)
    return frozen and not module.lora_bias[ADAPTER] and not hooked and type(dropout) is torch.nn.Identity


def _forward(self: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """PEFT's forward, in one step where the adapter is in use and nothing else was asked for."""
    a, b = self.lora_A[ADAPTER].weight, self.lora_B[ADAPTER].weight
    plain = not (args or kwargs or self.disable_adapters or self.merged) and self.active_adapters == [ADAPTER]
    dtype = self.base_layer.weight.dtype
    if not plain or dtype != (_autocast(x) or a.dtype):
        return type(self).forward(self, x, *args, **kwargs)
    base, scale = self.base_layer, self.scaling[ADAPTER]
    return _LinearWithLora.apply(x.to(dtype), base.weight, base.bias, a.to(dtype), b.to(dtype), scale)


def _autocast(x: torch.Tensor) -> torch.dtype | None:
    """The precision that products are computed in here, where it is not the tensors' own."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None


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
        small = (rows @ a.T).mul_(scale)  # [N, r]
        y = torch.nn.functional.linear(rows, weight, bias).addmm_(small, b.T)  # [N, out]
        ctx.save_for_backward(rows, small, weight, a, b)
        ctx.scale = scale
        return y.view(*x.shape[:-1], y.shape[-1])

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, small, weight, a, b = ctx.saved_tensors
        g = gradient.reshape(-1, gradient.shape[-1])  # [N, out]
        back = (g @ b).mul_(ctx.scale)  # [N, r]
        dx = None
        if ctx.needs_input_grad[0]:
            dx = (g @ weight).addmm_(back, a).view(*gradient.shape[:-1], a.shape[1])
        da = back.T @ rows if ctx.needs_input_grad[3] else None
        db = g.T @ small if ctx.needs_input_grad[4] else None
        return dx, None, None, da, db, None
