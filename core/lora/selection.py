"""Which modules a selection means in a given model; what matches nothing says so.

What it does not do: count (`budget.py`) or say how the modules are adapted (`plan.py`).
"""

from __future__ import annotations

from collections import Counter

from core.errors import PlanError
from core.spec import COMPONENTS, ROLES, Inspection, Module, Selection

USUAL_ROLES = ("attention", "mlp")
"""What a bare component means as a target."""
_ORDER = {
    f"{component}.{role}": index for index, (component, role) in enumerate((c, r) for c in COMPONENTS for r in ROLES)
}


def cell(module: Module) -> str:
    """The module's place in the grid of components and roles, such as `vision.attention`."""
    return f"{module.component}.{module.role}"


def available_cells(inspection: Inspection) -> dict[str, int]:
    """Number of adaptable modules of each cell that has any, in the order of the grid."""
    counts = Counter(cell(module) for module in inspection.modules if module.adaptable)
    return {name: counts[name] for name in sorted(counts, key=_ORDER.__getitem__)}


def selected(inspection: Inspection, selection: Selection) -> tuple[Module, ...]:
    """The adaptable modules that the selection means, in the order of the model.

    Raises:
        PlanError: a cell matches nothing in this model, a name is unknown or out of LoRA's reach, or nothing is left.
    """
    available = available_cells(inspection)
    for wanted in selection.cells:
        if wanted not in available:
            raise _empty_cell(inspection, wanted, available)
    _check_names(inspection, selection)
    cells, include, exclude = set(selection.cells), set(selection.include), set(selection.exclude)
    found = tuple(
        module
        for module in inspection.modules
        if module.adaptable and (cell(module) in cells or module.name in include) and module.name not in exclude
    )
    if not found:
        reason = "nothing is selected" if not (cells or include) else "every selected module is also left out"
        raise PlanError("Training was asked for", reason, f"Switch on at least one of: {_listed(available)}")
    return found


def parse_targets(text: str, inspection: Inspection) -> tuple[str, ...]:
    """The cells that a list such as `vision.attention,language.mlp` means.

    A bare component means its attention and MLP, as far as the model has them, and `all` means that of every component.

    Raises:
        PlanError: a word is no target, or matches nothing in this model.

    >>> from core.spec import Source
    >>> linear = Module("q", "Linear", (2, 2), "language", "attention", 0, 4, True, "")
    >>> parse_targets("language", Inspection(Source("demo", "d"), "M", "m", 4, (linear,), ""))
    ('language.attention',)
    """
    available = available_cells(inspection)
    cells: dict[str, None] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        cells.update(dict.fromkeys(_meant(word, inspection, available)))
    if not cells:
        raise PlanError("Training was asked for", "nothing is selected", f"Name at least one of: {_listed(available)}")
    return tuple(cells)


def _meant(word: str, inspection: Inspection, available: dict[str, int]) -> tuple[str, ...]:
    if word == "all":
        return tuple(name for name in available if name.partition(".")[2] in USUAL_ROLES)
    if word in COMPONENTS:
        found = tuple(name for name in (f"{word}.{role}" for role in USUAL_ROLES) if name in available)
        if not found:
            raise _empty_cell(inspection, word, available)
        return found
    Selection(cells=(word,))  # raises for what is no cell at all
    if word not in available:
        raise _empty_cell(inspection, word, available)
    return (word,)


def _check_names(inspection: Inspection, selection: Selection) -> None:
    """Raises PlanError for names that the model does not have, or that LoRA cannot reach."""
    by_name = {module.name: module for module in inspection.modules} if selection.include or selection.exclude else {}
    for name in (*selection.include, *selection.exclude):
        if name not in by_name:
            raise PlanError(
                f"The module “{name[:120]}” was asked for",
                f"{inspection.model_class} has no such module with parameters of its own",
                "Take a full name from the model's tree",
            )
    for name in selection.include:
        if not by_name[name].adaptable:
            why = by_name[name].reason.rpartition("Not adaptable: ")[2]
            raise PlanError(f"The module “{name}” was asked for", f"LoRA cannot reach it: {why}", "Leave it out")


def _empty_cell(inspection: Inspection, wanted: str, available: dict[str, int]) -> PlanError:
    component, _, role = wanted.partition(".")
    blocked = [m for m in inspection.modules if m.component == component and role in ("", m.role)]
    reason = f"it matches nothing in {inspection.model_class}"
    if blocked:
        why = blocked[0].reason.rpartition("Not adaptable: ")[2].rstrip(".")
        reason = f"LoRA reaches none of the {len(blocked)} modules that it means in {inspection.model_class} ({why})"
    return PlanError(f"The target “{wanted}” was asked for", reason, f"This model has: {_listed(available)}")


def _listed(available: dict[str, int]) -> str:
    return ", ".join(available) or "nothing that LoRA can reach"
