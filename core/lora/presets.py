"""Usual choices of what learns and with which numbers (`presets.toml`), and how they fall on a model.

What it does not do: promise which choice wins; only a run on held-out rows can say that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from core.errors import PlanError
from core.lora.conventions import CONVENTIONS, Preset, Rate, with_length
from core.lora.selection import available_cells, by_parameter, cell, selected
from core.spec import Inspection, Knobs, Module, Recipe, Selection

USUAL = "vision_language"
"""The preset to begin with."""
PRESETS = CONVENTIONS.parts
"""Choices of components, which leave the numbers as they are."""
TASKS = CONVENTIONS.tasks
"""Choices for kinds of tasks, with their numbers."""


@dataclass(frozen=True)
class Choice:
    """A preset as it falls on a model."""

    selection: Selection
    """Empty where the model has nothing of what the preset means."""
    recipe: Recipe | None
    """None leaves rank, alpha and the rest as they are."""
    settings: dict[str, Any]
    """What is to be changed in the settings; `epochs` or `steps` may be None, since only one of them is given."""
    notes: tuple[str, ...]
    """What differs from the preset on this model, a sentence each."""


def find_preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        PlanError: there is none.
    """
    found = {preset.name: preset for preset in (*PRESETS, *TASKS)}
    if name not in found:
        raise PlanError(
            f"The preset “{name[:80]}” was asked for", "there is none of this name", f"There are: {', '.join(found)}"
        )
    return found[name]


def usual_cells(inspection: Inspection) -> tuple[str, ...]:
    """The cells of the preset to begin with, or every cell of a model that has none of them."""
    return preset_cells(inspection, find_preset(USUAL)) or tuple(available_cells(inspection))


def preset_cells(inspection: Inspection, preset: Preset) -> tuple[str, ...]:
    """The preset's cells that this model has, in the order of the grid; empty where it has none."""
    return tuple(name for name in available_cells(inspection) if _means(preset, name))


def preset_choice(inspection: Inspection, preset: Preset) -> Choice:
    """The preset as it falls on a model: what the model lacks is left out, and said."""
    notes = _lacking(inspection, preset)
    selection, whole = _selection(inspection, preset)
    if whole:
        kinds = ", ".join(preset.projections)
        notes.append(f"In {', '.join(whole)} no module is called like {kinds}: all of it is taken.")
    recipe, without = _recipe(inspection, preset, selection)
    settings, said = _settings(inspection, preset)
    return Choice(selection, recipe, settings, (*notes, *without, *said))


def rank_use(rank: int) -> str:
    """What a rank is commonly used for; of a range that holds it, else of the highest.

    >>> rank_use(8)
    'most tasks'
    """
    return next((each for each in CONVENTIONS.ranks if each.low <= rank <= each.high), CONVENTIONS.ranks[-1]).use


def usual_rate(total_params: int) -> Rate:
    """The learning rates that are commonly used for models of this many parameters."""
    return next(rate for rate in CONVENTIONS.rates if rate.below is None or total_params < rate.below)


def _means(preset: Preset, name: str) -> bool:
    """Whether a cell is one of the preset's; projections name the roles of the towers that are meant."""
    component, _, role = name.partition(".")
    if component not in preset.components or role not in preset.roles:
        return False
    return component == "projector" or not preset.projections or bool(_words(preset, role))


def _words(preset: Preset, role: str) -> frozenset[str]:
    """What models call the preset's projections of a role."""
    known = CONVENTIONS.projections.get(role, {})  # type: ignore[call-overload]
    return frozenset().union(*(known[word] for word in preset.projections if word in known))


def _selection(inspection: Inspection, preset: Preset) -> tuple[Selection, list[str]]:
    """The selection, and the cells that are taken whole since none of their modules is called like the projections."""
    wanted = preset_cells(inspection, preset)
    if not preset.projections:
        return Selection(cells=wanted), []
    inside: dict[str, list[Module]] = {name: [] for name in wanted}
    for module in inspection.modules:
        if module.adaptable and cell(module) in inside:
            inside[cell(module)].append(module)
    cells: list[str] = []
    include: list[str] = []
    whole: list[str] = []
    for name, modules in inside.items():
        words = _words(preset, name.partition(".")[2])
        called = [module.name for module in modules if _called(module.name, words)]
        if name.startswith("projector.") or len(called) in (0, len(modules)):
            cells.append(name)
        else:
            include.extend(called)
        if not called and not name.startswith("projector."):
            whole.append(name)
    return Selection(cells=tuple(cells), include=tuple(include)), whole


def _called(name: str, words: frozenset[str]) -> bool:
    return not words.isdisjoint(name.rsplit(".", 2)[-2:])


def _lacking(inspection: Inspection, preset: Preset) -> list[str]:
    """A sentence about the preset's components that the model has not, or that LoRA does not reach."""
    have = {name.partition(".")[0] for name in preset_cells(inspection, preset)}
    lacks = [name for name in preset.components if name not in have and name != "other"]
    there = {module.component for module in inspection.modules}
    missing = [name.replace("_", "-") for name in lacks if name not in there]
    unreached = [name.replace("_", "-") for name in lacks if name in there]
    said = [f"This model has no {' or '.join(missing)}."] if missing else []
    return said + (
        [f"Left out, since LoRA reaches none of it in this model: {', '.join(unreached)}."] if unreached else []
    )


def _recipe(inspection: Inspection, preset: Preset, selection: Selection) -> tuple[Recipe | None, list[str]]:
    """The preset's recipe, without dropout where LoRA reaches parameters by their names: PEFT has none there."""
    recipe = preset.recipe
    if recipe is None or not recipe.dropout or not (selection.cells or selection.include):
        return recipe, []
    bare = dict.fromkeys(module.component for module in selected(inspection, selection) if by_parameter(module))
    if not bare:
        return recipe, []
    knobs = {name: replace(recipe.components.get(name, Knobs()), dropout=0.0) for name in bare}
    said = f"No dropout in {', '.join(bare)}: LoRA reaches it through its parameters, where there is none."
    return replace(recipe, components={**recipe.components, **knobs}), [said]


def _settings(inspection: Inspection, preset: Preset) -> tuple[dict[str, Any], list[str]]:
    """The preset's settings, with the learning rate that fits the size of the model."""
    settings = with_length(preset.settings)
    if "learning_rate" not in settings:
        return settings, []
    usual, large = usual_rate(inspection.total_params), CONVENTIONS.rates[-1]
    asked = settings["learning_rate"]
    rate = float(f"{min(usual.most, asked * usual.rate / large.rate):.1e}")
    if rate == asked:
        return settings, []
    said = f"The learning rate is {rate:g}, not {asked:g}: a model of {inspection.total_params:,} parameters is small."
    return settings | {"learning_rate": rate}, [said]


def preset_of_data(name: str) -> Preset | None:
    """The preset that does well on a demo data set; None for other data."""
    suggested = CONVENTIONS.suggested.get(name)
    return find_preset(suggested) if suggested else None
