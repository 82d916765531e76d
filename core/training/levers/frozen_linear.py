"""A frozen linear layer with or without LoRA, as tensors: what it gives, and its gradients.

    y = x W^T + b + h B^T        h = s x A^T                                             [N, r]
    dx = g W + (s g B) A         dA = (s g B)^T x        dB = g^T h

What it does not do: say which layers compute this way (`fused_lora`, `gated_mlp`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

ADAPTER = "default"
"""PEFT's name of our only adapter."""


@dataclass(frozen=True)
class Frozen:
    """W [out, in] and b that stay, A [r, in] and B [out, r] that learn; both None where it is not adapted."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    a: torch.Tensor | None
    b: torch.Tensor | None
    scale: float

    def tensors(self, dtype: torch.dtype) -> tuple[torch.Tensor | None, ...]:
        """W, b, A and B in one precision."""
        return self.weight, self.bias, *(None if each is None else each.to(dtype) for each in (self.a, self.b))

    def fits(self, dtype: torch.dtype, cast: torch.dtype | None) -> bool:
        """Whether A and B are of a precision, or are rounded to it by autocast anyway."""
        return self.a is None or cast is not None or self.a.dtype == dtype

    def back(self, g: torch.Tensor) -> torch.Tensor | None:
        """s g B, [N, r]; None where it is not adapted."""
        return None if self.b is None else (g @ self.b).mul_(self.scale)


def is_plain(module: Any) -> bool:
    """Whether a layer is a Linear with LoRA as the paper has it, on weights that are neither packed nor trained."""
    from peft.tuners.lora.layer import Linear

    if type(module) is not Linear or set(module.lora_A) != {ADAPTER} or module.lora_variant:
        return False
    base, dropout = module.base_layer, module.lora_dropout[ADAPTER]
    parts = (base, module.lora_A[ADAPTER], module.lora_B[ADAPTER])  # whose own calls are passed over
    plain = not module.lora_bias[ADAPTER] and all(unhooked(part) for part in parts)
    return plain and _is_frozen(base) and type(dropout) is torch.nn.Identity


def in_use(module: Any) -> bool:
    """Whether a plain layer's adapter is switched on and apart from its weights."""
    return not (module.disable_adapters or module.merged) and module.active_adapters == [ADAPTER]


def unhooked(module: Any) -> bool:
    """Whether nobody looks at what goes through a module."""
    return not (module._forward_hooks or module._forward_pre_hooks or module._backward_hooks)


def takes(module: Any) -> bool:
    """Whether a layer is one whose tensors are all that there is to it."""
    return _is_frozen(module) or is_plain(module)


def parts_of(module: Any) -> Frozen | None:
    """The tensors of a layer that is taken, as it computes now; None while its adapter is off or somebody looks."""
    if not unhooked(module):
        return None
    if type(module) is torch.nn.Linear:
        return Frozen(module.weight, module.bias, None, None, 0.0)
    if not in_use(module):
        return None
    base = module.base_layer
    a, b = module.lora_A[ADAPTER].weight, module.lora_B[ADAPTER].weight
    return Frozen(base.weight, base.bias, a, b, module.scaling[ADAPTER])


def autocast(x: torch.Tensor) -> torch.dtype | None:
    """The precision that products are computed in here, where it is not the tensors' own."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None


def output(rows: torch.Tensor, layer: Frozen) -> tuple[torch.Tensor, torch.Tensor | None]:
    """x [N, in] -> y [N, out] and h [N, r]."""
    y = torch.nn.functional.linear(rows, layer.weight, layer.bias)
    if layer.a is None or layer.b is None:
        return y, None
    small = (rows @ layer.a.T).mul_(layer.scale)
    return y.addmm_(small, layer.b.T), small


def grad_input(
    g: torch.Tensor, layer: Frozen, onto: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """g [N, out] -> dx [N, in], added to what is there already, and s g B [N, r]."""
    dx = g @ layer.weight if onto is None else onto.addmm_(g, layer.weight)
    back = layer.back(g)
    return (dx if back is None or layer.a is None else dx.addmm_(back, layer.a)), back


def grad_lora(
    g: torch.Tensor, back: torch.Tensor | None, rows: torch.Tensor | None, small: torch.Tensor | None
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """dA [r, in] and dB [out, r]; None where it is not adapted."""
    if back is None or rows is None or small is None:
        return None, None
    return back.T @ rows, g.T @ small


def _is_frozen(linear: Any) -> bool:
    return type(linear) is torch.nn.Linear and not any(parameter.requires_grad for parameter in linear.parameters())
