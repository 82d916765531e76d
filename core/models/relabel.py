"""Labels that the person has put right: an inspection with some of its subtrees called something else.

What it does not do: keep them; they stand in the selection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

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
    for name in relabels:
        if not any(_lies_in(module.name, name) for module in inspection.modules):
            raise PlanError(
                f"Another label for “{clip(name)}” was asked for",
                f"{inspection.model_class} has no such module",
                "Take a name from the model's tree",
            )
    innermost = sorted(relabels, key=len, reverse=True)
    return replace(inspection, modules=tuple(_relabel(module, innermost, relabels) for module in inspection.modules))


def _relabel(module: Module, innermost: list[str], relabels: Mapping[str, Component]) -> Module:
    name = next((name for name in innermost if _lies_in(module.name, name)), None)
    if name is None:
        return module
    component = relabels[name]
    if component == module.component:  # the person says that a guess is right
        return replace(module, confidence="high")
    said = f"{component.replace('_', '-')}: you said so (before: {module.reason.partition('.')[0]})."
    rest = module.reason.partition(". ")[2]
    return replace(module, component=component, confidence="high", root=name, reason=f"{said} {rest}" if rest else said)


def _lies_in(name: str, outer: str) -> bool:
    return name == outer or name.startswith(outer + ".")
