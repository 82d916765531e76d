"""Which modules a selection means in a given model; what matches nothing says so.

What it does not do: count (`budget.py`) or say how the modules are adapted (`plan.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from core.errors import PlanError
from core.models.repository import clip
from core.spec import CELL_ROLES, COMPONENTS, Component, Inspection, LayerRange, Module, Selection

USUAL_ROLES = ("attention", "mlp")
"""What a bare component means as a target."""
_ORDER = {
    f"{component}.{role}": index
    for index, (component, role) in enumerate((c, r) for c in COMPONENTS for r in CELL_ROLES)
}


def cell(module: Module) -> str:
    """The module's place in the grid of components and roles, such as `vision.attention`.

    Fused experts have a place of their own: they cost rank x experts, and not every method reaches them.
    """
    for parameter in module.parameters:  # thousands of times for one answer: a loop is twice as fast as `any`
        if parameter.adaptable and len(parameter.shape) == 3:
            return f"{module.component}.experts"
    return f"{module.component}.{module.role}"


def by_parameter(module: Module) -> bool:
    """Whether LoRA reaches the module through the names of its parameters, not as a layer."""
    return any(parameter.adaptable for parameter in module.parameters)


def parameter_names(module: Module) -> tuple[str, ...]:
    """Full names of the parameters through which LoRA reaches the module; none for a layer."""
    return tuple(f"{module.name}.{parameter.name}" for parameter in module.parameters if parameter.adaptable)


def available_cells(inspection: Inspection) -> dict[str, int]:
    """Number of adaptable modules of each cell that has any, in the order of the grid."""
    counts = Counter(cell(module) for module in inspection.modules if module.adaptable)
    return {name: counts[name] for name in sorted(counts, key=_ORDER.__getitem__)}


def selected(inspection: Inspection, selection: Selection) -> tuple[Module, ...]:
    """The adaptable modules that the selection means, in the order of the model.

    The labels are taken as they are: see `core.models.relabel` for those that the person has put right.

    Raises:
        PlanError: a cell matches nothing in this model, a name is unknown or out of LoRA's reach, or nothing is left.
    """
    available = available_cells(inspection)
    for wanted in selection.cells:
        if wanted not in available:
            raise _empty_cell(inspection, wanted, available)
    _check_names(inspection, selection)
    cells, include, exclude = set(selection.cells), set(selection.include), set(selection.exclude)
    in_range = within_layers(inspection, selection.layers)
    found = tuple(
        module
        for module in inspection.modules
        if module.adaptable
        and ((cell(module) in cells and in_range(module)) or module.name in include)
        and module.name not in exclude
    )
    if not found and not selection.full:
        reason = "nothing is selected" if not (cells or include) else "every selected module is also left out"
        raise PlanError("Training was asked for", reason, f"Switch on at least one of: {_listed(available)}")
    return found


def layers_of(inspection: Inspection, component: Component) -> list[int]:
    """The numbers of the component's layers that hold something LoRA reaches, in their order."""
    return sorted(
        {m.layer for m in inspection.modules if m.component == component and m.layer is not None and m.adaptable}
    )


def within_layers(inspection: Inspection, ranges: Mapping[Component, LayerRange]) -> Callable[[Module], bool]:
    """Whether a module lies in the layers that were chosen for its component; all do where nothing was chosen.

    Raises:
        PlanError: a range holds no layer.
    """
    chosen: dict[str, set[int]] = {}
    for component, (start, stop) in ranges.items():
        layers = layers_of(inspection, component)
        chosen[component] = set(layers[start:stop])
        if not chosen[component]:
            raise _empty_range(inspection, component, (start, stop), len(layers))
    return lambda module: module.component not in chosen or module.layer in chosen[module.component]


def _empty_range(inspection: Inspection, component: Component, asked: LayerRange, layers: int) -> PlanError:
    part = component.replace("_", "-")
    if not layers:
        reason, remedy = f"{inspection.model_class} has no numbered layers there", "Take it without a range"
    else:
        reason = f"{inspection.model_class} has the layers 0 to {layers - 1} there, and none of them is meant"
        remedy = "Take a range inside of them, such as -8: for the last eight"
    return PlanError(f"The layers {range_text(asked)} of {part} were asked for", reason, remedy)


def range_text(layers: LayerRange) -> str:
    """A range as it is written on the command line.

    >>> range_text((-8, None)), range_text((0, 4))
    ('-8:', '0:4')
    """
    start, stop = layers
    return f"{'' if start is None else start}:{'' if stop is None else stop}"


def trained_in_full(inspection: Inspection, selection: Selection) -> dict[str, Module]:
    """The modules of which every parameter is trained without LoRA, by name, in the order of the model.

    A component's name means the component also where a module is called the same.

    Raises:
        PlanError: a name is neither a component nor a module of this model.
    """
    found: dict[str, Module] = {}
    for wanted in selection.full:
        inside = [m for m in inspection.modules if m.component == wanted]
        inside = inside or [m for m in inspection.modules if m.name == wanted or m.name.startswith(wanted + ".")]
        if not inside:
            raise PlanError(
                f"Training “{clip(wanted)}” in full was asked for",
                f"{inspection.model_class} has no such component and no such module",
                "Take a component such as projector, or a name from the model's tree",
            )
        found.update((module.name, module) for module in inside)
    return {module.name: module for module in inspection.modules if module.name in found}


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
