"""The rows of an inspection: each module of a model that holds parameters, with all that is known of it.

What it does not do: build the model (`build.py`), or keep the rows (`inspection.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.models.labels.components import component_labels
from core.models.labels.evidence import output_embedding
from core.models.labels.layers import Layers
from core.models.labels.roles import Chain, chain, role_of
from core.models.reach import reached_by_name, unreachable
from core.spec import Component, Module, Parameter, Role


def module_rows(model: Any) -> Iterator[Module]:
    """Every module that holds parameters of its own, in the order of the model."""
    labels = component_labels(model)
    modules = dict(model.named_modules())
    head = output_embedding(model)
    layers = Layers(modules, {name: label.component for name, label in labels.items()})
    holders = _holders(modules)
    for name, module in modules.items():
        own = dict(module.named_parameters(recurse=False))
        if not own:
            continue
        around = chain(name, modules)
        twin = _twin(name, module, [holders[id(parameter)] for parameter in own.values()])
        params = sum(parameter.numel() for parameter in own.values() if holders[id(parameter)][0] == name)
        label = labels[name]
        role, role_why = role_of(around, label.component, module is head)
        parameters = _parameters(own, around, label.component, role, twin)
        reached = any(parameter.adaptable for parameter in parameters)
        blocked = None if reached else unreachable(around, role, twin)
        yield Module(
            name=name,
            kind=type(module).__name__,
            shape=_shape(module, own),
            component=label.component,
            role=role,
            layer=layers.of(name),
            params=params,
            adaptable=blocked is None,
            reason=f"{label.reason(name)}. {role}: {role_why}." + (f" Not adaptable: {blocked}." if blocked else ""),
            confidence=label.confidence,
            root=label.root,
            parameters=parameters,
        )


def _holders(modules: dict[str, Any]) -> dict[int, list[str]]:
    """Names of the modules that hold each parameter, the first in the order of the model first."""
    found: dict[int, list[str]] = {}
    for name, module in modules.items():
        for _, parameter in module.named_parameters(recurse=False):
            found.setdefault(id(parameter), []).append(name)
    return found


def _twin(name: str, module: Any, holders: list[list[str]]) -> str | None:
    """A module before this one that holds a parameter of its; for a table, one behind it as well.

    LoRA on a tied table would be merged into the head too, which was trained without.
    """
    import torch

    for names in holders:
        if names[0] != name:
            return names[0]
        if len(names) > 1 and isinstance(module, torch.nn.Embedding):
            return names[1]
    return None


def _parameters(
    own: dict[str, Any], around: Chain, component: Component, role: Role, twin: str | None
) -> tuple[Parameter, ...]:
    transposed = bool(getattr(around[0][1], "is_transposed", False))
    return tuple(
        Parameter(
            name,
            tuple(map(int, parameter.shape)),
            twin is None and reached_by_name(around, name, parameter, component, role),
            transposed and parameter.dim() == 3,
        )
        for name, parameter in own.items()
    )


def _shape(module: Any, own: dict[str, Any]) -> tuple[int, ...]:
    """Of the weight, outputs first; of the first parameter where none has that name."""
    weight = own.get("weight")
    shape = tuple(int(size) for size in (next(iter(own.values())) if weight is None else weight).shape)
    return shape[::-1] if type(module).__name__ == "Conv1D" else shape  # GPT-2's layer stores inputs first
