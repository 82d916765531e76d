"""Advice on what learns: parts left out that the task asks for, parts that learn in vain, parts that are a guess.

What it does not do: look at ranks and rates (`numbers.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.lora.advice.case import Advice, Case
from core.lora.conventions import Preset
from core.lora.priorities import TOWERS
from core.lora.selection import by_parameter, layers_of, range_text
from core.lora.unused import unused_layers
from core.spec import Component, Inspection, Knobs, Module, Plan, to_dict
from core.spec.text import plural


def guessed(inspection: Inspection, plan: Plan) -> tuple[Module, ...]:
    """The modules that learn and whose component is no more than a guess: the person is to confirm it.

    Args:
        inspection: with the labels as the person has put them right (`core.models.relabel`).
        plan: on this model.
    """
    owners = {name.rpartition(".")[0] for name in plan.target_parameters}
    names = {*plan.target_modules, *plan.full_modules, *owners}
    return tuple(module for module in inspection.modules if module.confidence == "low" and module.name in names)


def guessed_parts(case: Case) -> Advice | None:
    """Parts that learn and whose label is a guess."""
    modules = guessed(case.inspection, case.plan)
    if not modules:
        return None
    first = modules[0]
    where = first.root or first.name
    return Advice(
        "guessed",
        "warning",
        f"{plural(len(modules), 'module')} that would learn {'is' if len(modules) == 1 else 'are'} labelled by a guess",
        f"“{where}” is taken for {_plain(first.component)}, and nothing in the model says so for certain",
        "Look at it in the tree: say that it is right, or call it what it is",
        {"selection": {"relabels": {**case.selection.relabels, **confirming(case.inspection, modules)}}},
    )


def confirming(inspection: Inspection, modules: Sequence[Module]) -> dict[str, Component]:
    """Labels that say of these modules what they are said to be, by few names: a root's where all in it is that."""
    inside: dict[str, set[Component]] = {module.root or module.name: set() for module in modules}
    for module in inspection.modules:
        outer = module.name
        while outer:  # the module itself and all that it lies in
            if outer in inside:
                inside[outer].add(module.component)
            outer = outer.rpartition(".")[0]
    roots = [(module, module.root or module.name) for module in modules]
    return {root if len(inside[root]) == 1 else module.name: module.component for module, root in roots}


def vision_left_out(case: Case) -> Advice | None:
    """New pictures, and nothing of vision learns."""
    wanted = _of_usual(case, "vision")
    asks = case.preset if case.preset and case.preset.new_pictures else case.suggested
    if not asks or "vision" not in asks.components or "vision" in case.learns or not wanted:
        return None
    return Advice(
        "vision_left_out",
        "warning",
        "Nothing in vision learns",
        "These pictures look unlike those that the model knows, and words alone cannot make up for what is not seen",
        "Let vision learn as well",
        {"selection": case.with_cells(*wanted)},
    )


def language_left_out(case: Case) -> Advice | None:
    """New words or a new format, and nothing of language learns."""
    wanted = _of_usual(case, "language")
    asks = [preset for preset in (case.preset, case.suggested) if preset and _about_words(preset)]
    if not asks or "language" in case.learns or not wanted:
        return None
    return Advice(
        "language_left_out",
        "warning",
        "Nothing in language learns",
        "What is new here are words or the form of the answer, and those are language's part",
        "Let language learn as well",
        {"selection": case.with_cells(*wanted)},
    )


def projector_left_out(case: Case) -> Advice | None:
    """Both sides learn, and what joins them does not."""
    wanted = [name for name in case.available if name.startswith("projector.")]
    if not wanted or "projector" in case.learns or not {"vision", "language"} <= case.learns:
        return None
    if case.preset and "projector" not in case.preset.components:  # the preset means it so
        return None
    modules = [m for m in case.inspection.modules if m.component == "projector" and m.adaptable]
    plain = _plain_lora(case, modules)
    return Advice(
        "projector_left_out",
        "note",
        "The projector between vision and language does not learn",
        "Both sides change, and what carries one to the other stays fitted to how they were",
        "Let it learn too: it is small",
        {"selection": case.with_cells(*wanted), **({"recipe": plain} if plain else {})},
    )


def embeddings(case: Case) -> Advice | None:
    """Embeddings learn, and there is no new token."""
    modules = [m for m in case.adapted if m.role == "embedding" and m.component == "language"]
    if not modules:
        return None
    names = {module.name for module in modules}
    cells = [name for name in case.selection.cells if name != "language.embedding"]
    include = [name for name in case.selection.include if name not in names]
    return Advice(
        "embeddings",
        "note",
        "The embeddings of words learn, and no token is new",
        "Words that the model knows have their places already; moving them costs much and commonly gains nothing",
        "Leave the embeddings out",
        {"selection": {"cells": cells, "include": include}} if cells or include or case.full else None,
    )


def without_gradient(case: Case) -> Advice | None:
    """The last vision layers learn in vain in models that read the pictures' features from an earlier one."""
    unused = unused_layers(case.inspection, case.feature_layer)
    modules = [m for m in (*case.adapted, *case.full) if m.component == "vision" and m.layer in unused]
    if not modules:
        return None
    others = [m for m in case.adapted if m.component == "vision" and m.layer is not None and m.layer not in unused]
    narrowed = {**case.selection.layers, "vision": (None, -len(unused))}
    return Advice(
        "without_gradient",
        "warning",
        f"The last {plural(len(unused), 'layer')} of vision would learn nothing",
        "This model reads its pictures from an earlier layer, so no gradient reaches "
        f"{'the last one' if len(unused) == 1 else 'these'}",
        f"Train the layers {range_text((None, -len(unused)))} of vision",
        {"selection": {"layers": narrowed}} if others and "vision" not in case.selection.layers else None,
    )


def experts_left_out(case: Case) -> Advice | None:
    """A mixture of experts whose experts stay as they are."""
    wanted = [name for name in case.available if name.endswith(".experts") and name.partition(".")[0] in case.learns]
    if not wanted or case.cells & set(wanted):
        return None
    experts = [module for module in case.inspection.modules if case.places.get(module.name) in wanted]
    plain = _plain_lora(case, experts)
    held = sum(module.params for module in experts)
    return Advice(
        "experts_left_out",
        "note",
        "The experts stay as they are",
        f"They hold {100 * held / case.inspection.total_params:.0f}% of this model's parameters. Attention alone is "
        "commonly enough for format and style",
        "For new knowledge let the experts learn too: it costs the rank times the number of experts",
        {"selection": case.with_cells(*wanted), **({"recipe": plain} if plain else {})},
    )


def one_sided_layers(case: Case) -> Advice | None:
    """Some layers of one tower, all layers of the other."""
    if not case.selection.layers:
        return None
    towers = [tower for tower in TOWERS if tower in case.learns and len(layers_of(case.inspection, tower)) > 1]
    narrowed = [tower for tower in towers if tower in case.selection.layers]
    wide = [tower for tower in towers if tower not in case.selection.layers]
    if not narrowed or not wide:
        return None
    start = case.selection.layers[narrowed[0]][0]
    share = -start / len(layers_of(case.inspection, narrowed[0])) if start and start < 0 else None
    layers = {t: (-max(1, round(share * len(layers_of(case.inspection, t)))), None) for t in wide} if share else {}
    return Advice(
        "one_sided_layers",
        "note",
        f"Only {_listed(narrowed)} is narrowed to some layers",
        f"{_listed(wide).capitalize()} learns in all of its layers, which is most of the cost",
        "Narrow both if it is for the cost; leave it if it is meant",
        {"selection": {"layers": {**case.selection.layers, **layers}}} if layers else None,
    )


def _about_words(preset: Preset) -> bool:
    return "language" in preset.components and "vision" not in preset.components


def _of_usual(case: Case, component: str) -> list[str]:
    return [name for name in case.available if name in (f"{component}.attention", f"{component}.mlp")]


def _plain_lora(case: Case, modules: Sequence[Module]) -> dict[str, object]:
    """What has to change in the recipe where LoRA reaches parameters by name: plain LoRA only (`core.lora.limits`)."""
    if not any(by_parameter(module) for module in modules):
        return {}
    change: dict[str, object] = {}
    recipe, knobs = case.recipe, dict(case.recipe.components)
    for component in dict.fromkeys(module.component for module in modules):
        own = knobs.get(component, Knobs())
        if recipe.dropout if own.dropout is None else own.dropout:
            knobs[component] = replace(own, dropout=0.0)
    if knobs != recipe.components:
        change["components"] = to_dict(replace(recipe, components=knobs))["components"]
    if recipe.method not in ("lora", "rslora"):
        change["method"] = "lora"
    if recipe.lora_bias:
        change["lora_bias"] = False
    if recipe.start not in ("default", "gaussian"):
        change["start"] = "default"
    return change


def _plain(component: Component) -> str:
    return component.replace("_", "-")


def _listed(towers: Sequence[Component]) -> str:
    return " and ".join(_plain(tower) for tower in towers)
