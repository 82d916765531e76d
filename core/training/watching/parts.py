"""The tensors that a job trains, each with the part of the model that it belongs to.

What it does not do: measure them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from core.lora.tensors import by_name, planned_tensors
from core.spec import Component, Inspection, Plan, Role


@dataclass(frozen=True)
class Part:
    """One trained tensor."""

    name: str
    """In `named_parameters()` of the wrapped model."""
    parameter: torch.nn.Parameter
    component: Component
    role: Role
    layer: int | None
    """Inside the component's stack of layers; None outside of one."""


def trained_parts(model: Any, inspection: Inspection, plan: Plan) -> tuple[Part, ...]:
    """Everything of a wrapped model that requires gradients, in the model's order.

    Args:
        model: what `core.lora.wrap.wrap` made.
        inspection: of the model, with the labels that count.
        plan: what is trained.
    """
    modules = {tensor.name: tensor.module for tensor in planned_tensors(by_name(inspection), plan)}
    return tuple(
        Part(name, parameter, modules[name].component, modules[name].role, modules[name].layer)
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    )


def size_of(parts: Sequence[Part]) -> int:
    """Bytes of all tensors."""
    return sum(part.parameter.numel() * part.parameter.element_size() for part in parts)


def flat(parts: Sequence[Part]) -> torch.Tensor:
    """A copy of all tensors, one after the other, [M]: one operation, where hundreds of them would take longer."""
    return torch.cat([part.parameter.detach().reshape(-1) for part in parts])


def unflat(parts: Sequence[Part], values: torch.Tensor) -> dict[str, torch.Tensor]:
    """What `flat` has made, as the tensors that it was made of, by their names."""
    pieces = values.split([part.parameter.numel() for part in parts])
    return {part.name: piece.view(part.parameter.shape) for part, piece in zip(parts, pieces, strict=True)}
