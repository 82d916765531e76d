"""Labels that the person has put right: an inspection with some of its subtrees called something else.

What it does not do: keep them; they stand in the selection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from core.errors import PlanError
from core.models.repository import clip
from core.spec import Component, Inspection, Module


def relabelled(inspection: Inspection, relabels: Mapping[str, Component]) -> Inspection:
    """The inspection with each named module, and all that lies in it, labelled as the person says.

    Args:
        inspection: as it was made.
        relabels: full name of a module -> component; the innermost name decides.

    Raises:
        PlanError: there is nothing of a name.

    >>> from core.spec import Source
    >>> linear = Module("a.q", "Linear", (2, 2), "other", "attention", 0, 4, True, "other: a guess.", "low")
    >>> made = Inspection(Source("demo", "d"), "M", "m", 4, (linear,), "")
    >>> relabelled(made, {"a": "vision"}).modules[0].component
    'vision'
    """
    if not relabels:
        return inspection
    inside = [(name, f"{name}.", relabels[name]) for name in sorted(relabels, key=len, reverse=True)]
    beginnings = tuple(relabels)
    met: set[str] = set()
    # One look at each of thousands, a closer one at the few that begin like a name.
    modules = tuple(
        _relabel(module, inside, met) if module.name.startswith(beginnings) else module for module in inspection.modules
    )
    for name, below, _ in inside:
        if name not in met and not any(f"{module.name}.".startswith(below) for module in inspection.modules):
            raise PlanError(
                f"Another label for “{clip(name)}” was asked for",
                f"{inspection.model_class} has no such module",
                "Take a name from the model's tree",
            )
    return replace(inspection, modules=modules)


def _relabel(module: Module, inside: list[tuple[str, str, Component]], met: set[str]) -> Module:
    """The module as the innermost name says that it lies in; `met` gathers the names that decided."""
    for name, below, component in inside:
        if module.name.startswith(below) or module.name == name:
            met.add(name)
            if component != module.component:
                return _with(module, _said(module.reason, component, name))
            return module if module.confidence == "high" else _with(module, _SURE)  # the person says the guess is right
    return module


_SURE = {"confidence": "high"}


@lru_cache(maxsize=4096)
def _said(reason: str, component: Component, name: str) -> dict[str, str]:
    """What a label by the person changes; modules of a model share few reasons."""
    before, _, rest = reason.partition(". ")
    said = f"{component.replace('_', '-')}: you said so (before: {before.rstrip('.')})."
    return {**_SURE, "component": component, "root": name, "reason": f"{said} {rest}" if rest else said}


def _with(module: Module, changes: dict[str, str]) -> Module:
    """A changed copy; what is in it was checked before, and to check it again takes ten times as long."""
    made = object.__new__(Module)
    object.__setattr__(made, "__dict__", module.__dict__ | changes)
    return made
