"""RMS norms (arXiv:1910.07467) whose weights stay, in fewer passes: part of the lever `fused_lora`.

    y = w x / rms(x)        dx = (w g - x (w g . x) / (D rms^2)) / rms

One autograd function keeps the input and 1 / rms; torch alone keeps three tensors as large as the input.
On CUDA torch has one kernel for all of it, which is taken.
What it does not do: stand in for a norm whose code is not one of those below, or whose weight is trained.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch

from core.training.levers.known_code import is_known

LLAMA = """
input_dtype = x.dtype
x = x.to(torch.float32)
variance = x.pow(2).mean(-1, keepdim=True)
x = x * torch.rsqrt(variance + self.variance_epsilon)
return self.weight * x.to(input_dtype)
"""
GEMMA = """
output = self._norm(x.float())
output = output * (1.0 + self.weight.float())
return output.type_as(x)
"""
GEMMA_NORM = "return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)"


def lean_norms(model: Any) -> int:
    """Lets every norm of known code compute in fewer passes -> how many do."""
    found = [(module, forward) for module in model.modules() if (forward := _lean(module)) is not None]
    for module, forward in found:
        module.forward = MethodType(forward, module)
    return len(found)


def _lean(module: Any) -> Any:
    """The forward of a norm that can do with fewer passes; None for every other module."""
    weight = vars(module)["_parameters"].get("weight")
    if len(list(module.parameters())) != 1 or weight is None or weight.requires_grad or "forward" in vars(module):
        return None
    if is_known(type(module).forward, LLAMA):
        return _llama
    if is_known(type(module).forward, GEMMA) and is_known(getattr(type(module), "_norm", None), GEMMA_NORM):
        return _gemma
    return None


def _llama(self: Any, x: torch.Tensor) -> torch.Tensor:
    if x.dtype != self.weight.dtype:
        return type(self).forward(self, x)
    return _normed(x, self.weight, self.variance_epsilon)


def _gemma(self: Any, x: torch.Tensor) -> torch.Tensor:
    return _normed(x.float(), 1.0 + self.weight.float(), self.eps).type_as(x)


def _normed(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """w x / rms(x), x and w of one precision."""
    if x.is_cuda:
        return torch.nn.functional.rms_norm(x, (x.shape[-1],), weight, eps).to(x.dtype)
    return _RmsNorm.apply(x, weight, eps)


class _RmsNorm(torch.autograd.Function):
    """x [..., D] -> y [..., D] with a weight [D] that stays."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        wide = x.float()
        squares = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_()
        inverse = squares.div_(x.shape[-1]).add_(eps).rsqrt_()  # 1 / rms(x), [..., 1]
        ctx.save_for_backward(x, weight, inverse)
        return (wide * inverse).to(x.dtype).mul_(weight)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, inverse = ctx.saved_tensors
        wide = x.float()
        dx = (gradient * weight).float()
        along = (dx * wide).sum(-1, keepdim=True).mul_(inverse.pow(3)).div_(-x.shape[-1])
        return dx.mul_(inverse).addcmul_(wide, along).to(x.dtype), None, None
