"""Bytes of a model's weights on the device: as floating-point numbers, or packed by bitsandbytes.

What it does not do: quantize. The sizes are those of bitsandbytes 0.50, and a test compares them with packed tensors.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import torch

from core.spec import Quantization

BLOCK = 64
"""Weights that share one scale in 4-bit (`blocksize` of `bitsandbytes.functional.quantize_4bit`)."""
NESTED_BLOCK = 256
"""Scales that share one scale of their own with double quantization (arXiv:2305.14314, section 3)."""
CODES = 4 * (16 + 256) + 4
"""Bytes of one 4-bit tensor's code books, NF4's and that of its scales, and of their offset (fp32)."""


def stored_bytes(model: Any, precision: torch.dtype, quantization: Quantization, whole: Collection[str]) -> int:
    """Bytes of all parameters and buffers, shared ones once.

    Args:
        model: on any device, before an adapter is put on.
        precision: of floating-point parameters that are not packed; buffers keep theirs.
        quantization: of the Linears that `quantizable` names.
        whole: names of modules whose Linears are not packed.
    """
    packed = quantizable(model, whole) if quantization != "none" else {}
    seen: set[int] = set()
    total = 0
    for name, module in model.named_modules():
        for key, parameter in module.named_parameters(recurse=False):
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            if name in packed and key == "weight":
                total += packed_bytes(parameter.shape, quantization)
            else:
                total += parameter.numel() * (
                    precision.itemsize if parameter.is_floating_point() else parameter.itemsize
                )
        total += sum(buffer.nbytes for buffer in module.buffers(recurse=False))
    return total


def quantizable(model: Any, whole: Collection[str]) -> dict[str, Any]:
    """The modules that transformers packs, by name: every plain Linear but the head and what shares its weight."""
    from transformers.pytorch_utils import Conv1D
    from transformers.quantizers.base import get_keys_to_not_convert

    left = ("lm_head", *get_keys_to_not_convert(model), *whole)
    return {
        name: module
        for name, module in model.named_modules()
        if (type(module) is torch.nn.Linear or isinstance(module, Conv1D)) and not _is_left(name, left, frozenset(left))
    }


def _is_left(name: str, left: tuple[str, ...], exact: frozenset[str]) -> bool:
    """Whether a module is named, lies in one that is, or ends like one: transformers' `should_convert_module`.

    That compiles a regex for each pair of names, which takes minutes where a model ties a thousand weights.
    """
    return name.endswith(left) or any(name[: dot.start()] in exact for dot in re.finditer(r"\.", name))


def packed_bytes(shape: torch.Size, quantization: Quantization) -> int:
    """Bytes of one packed weight (out, in) with all that belongs to it.

    8-bit: one byte a number and an fp32 scale a row. 4-bit with double quantization: half a byte a number, one byte for
    the scale of 64 numbers, four for the scale of 256 scales, and the code books.
    """
    count = shape.numel()
    if quantization == "8bit":
        return count + 4 * shape[0]
    scales = -(-count // BLOCK)
    return -(-count // 2) + scales + 4 * -(-scales // NESTED_BLOCK) + CODES


class _Unpacked(torch.autograd.Function):
    """A product with a packed weight, in the operations that take memory: the weight is unpacked for each product."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor, weight: torch.Tensor, bias: Any, eight: bool) -> torch.Tensor:
        """`values` [..., in] times the weight (out, in); 8-bit remembers the values as bitsandbytes does."""
        context.weight, context.values = weight, values if eight else None
        unpacked = torch.empty_like(weight, dtype=values.dtype)
        if eight:
            halves = values.to(torch.float16)
            halves.to(torch.int8)
        return torch.nn.functional.linear(values, unpacked, None if bias is None else bias.to(values.dtype))

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        """The gradient of the values; the frozen weight has none."""
        unpacked = torch.empty_like(context.weight, dtype=gradients[0].dtype)
        return torch.matmul(gradients[0], unpacked), None, None, None


def pretend_packed(modules: Collection[Any], quantization: Quantization, compute: torch.dtype) -> None:
    """Makes Linears of fake tensors take the memory that packed ones take while they are computed."""
    for module in modules:
        module.forward = _packed_forward(module, quantization == "8bit", compute)


def _packed_forward(module: Any, eight: bool, compute: torch.dtype) -> Any:
    def forward(values: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = _Unpacked.apply(values.to(compute), module.weight, module.bias, eight)
        return result.to(values.dtype)

    return forward
