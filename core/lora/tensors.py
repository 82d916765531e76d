"""Which tensors a plan adds to a model: their names while it trains, their names in the saved file, their shapes.

The single source of counts and bytes (`budget`) and of the check after PEFT has wrapped the model (`wrap`).
What it does not do: say which tensors one layer gets (`shapes`), or touch a model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from math import ceil
from typing import NamedTuple

from core.errors import PlanError
from core.lora.shapes import Shape, Suffixes, layer_suffixes, parameter_suffixes, saved_suffix
from core.spec import Component, Inspection, Method, Module, Override, Parameter, Plan

PREFIX = "base_model.model."
"""What PEFT puts before a module's name, in the wrapped model and in the file."""
CHANGES_WEIGHTS = ("pissa", "olora")
"""Starts that take what the adapter begins with out of the frozen weights, see `starts.py`."""
CONTAINERS = ("ParameterList", "ParameterDict")
"""Classes that hold parameters and have no forward of their own, so that PEFT refuses to copy them."""


class Tensor(NamedTuple):
    """One trained tensor."""

    owner: str
    """The plan's name for it: a target module, a target parameter, or a module trained in full."""
    module: Module
    name: str
    """In `named_parameters()` of the wrapped model."""
    key: str
    """In the saved file."""
    shape: Shape


class Place(NamedTuple):
    """The trained tensors of one layer, of one parameter, or of one part of a copy."""

    owner: str
    module: Module
    path: str
    """In the saved file, without PEFT's prefix."""
    suffixes: Suffixes
    """Names after the path in the wrapped model, and shapes."""
    copy: str = ""
    """What the wrapped model has between the two, and the file has not."""


class Alike(NamedTuple):
    """Places of one component that hold tensors of the same names and shapes."""

    component: Component
    paths: list[str]
    """In the saved file, without PEFT's prefix."""
    suffixes: Suffixes
    saved: Suffixes
    """As the file has them: of twice the rank after a start that has changed the frozen weights."""


def initial_rank(method: Method, rank: int) -> int:
    """The rank that training begins with: AdaLoRA's is half as much again, as in arXiv:2303.10512, section 4.1."""
    return ceil(1.5 * rank) if method == "adalora" else rank


def saved_plan_rank(plan: Plan, rank: int) -> int:
    """The rank in the saved file: twice as much after a start that has changed the frozen weights."""
    return 2 * rank if plan.start in CHANGES_WEIGHTS else initial_rank(plan.method, rank)


def overrides_of(plan: Plan) -> dict[str, Override]:
    """The override of each target that has one."""
    return {target: override for override in plan.overrides for target in override.targets}


def wraps(full_modules: Iterable[str]) -> dict[str, str]:
    """For each module trained in full, the module that is copied for it: itself, or the outermost that it lies in.

    >>> wraps(["projector.norm", "projector", "head"])
    {'projector.norm': 'projector', 'projector': 'projector', 'head': 'head'}
    """
    names = dict.fromkeys(full_modules)
    found = {}
    for name in names:
        found[name] = around = name
        while around := around.rpartition(".")[0]:
            if around in names:
                found[name] = around
    return found


def also_hit(wanted: Iterable[str], names: Iterable[str], joint: str) -> Iterator[tuple[str, str]]:
    """Wanted names with other names that end like them.

    >>> list(also_hit(["norm"], ["norm", "q.norm", "layernorm"], ""))
    [('norm', 'q.norm'), ('norm', 'layernorm')]
    """
    exact = set(wanted)
    ends = tuple(joint + name for name in exact)
    for name in names if ends else ():
        if name.endswith(ends) and name not in exact:
            yield next(end for end in ends if name.endswith(end)).removeprefix(joint), name


def planned_tensors(modules: Mapping[str, Module], plan: Plan) -> Iterator[Tensor]:
    """Every tensor that the plan trains.

    Args:
        modules: by name, at least those that the plan names.
        plan: what is trained.

    Raises:
        PlanError: the plan names what is not among the modules.
    """
    inside = _wrapped_by_name(modules, plan)
    moved = _moved(plan, inside)
    own = overrides_of(plan)
    for name in plan.target_modules:
        module = find(modules, name)
        rank = initial_rank(plan.method, own[name].rank if name in own else plan.rank)
        suffixes = layer_suffixes(module, rank, plan.method, plan.lora_bias)
        yield from _tensors(Place(name, module, moved.get(name, name), suffixes))
    for place in _elsewhere(modules, plan, inside):
        yield from _tensors(place)


def alike(modules: Mapping[str, Module], plan: Plan) -> list[Alike]:
    """What `planned_tensors` finds, the tensors of equal layers together.

    A model has thousands of layers of a few shapes: what is looked up for each shape once takes milliseconds in all.

    Raises:
        PlanError: the plan names what is not among the modules, or a layer that LoRA cannot reach.
    """
    inside = _wrapped_by_name(modules, plan)
    moved = _moved(plan, inside)
    found = []
    for (component, _, _, is_reached, rank), names in _equal_layers(modules, plan).items():
        if not is_reached:
            raise unknown(names[0])
        module = modules[names[0]]
        suffixes, saved = (
            layer_suffixes(module, each, plan.method, plan.lora_bias)
            for each in (initial_rank(plan.method, rank), saved_plan_rank(plan, rank))
        )
        found.append(Alike(component, [moved.get(name, name) for name in names] if moved else names, suffixes, saved))
    others = list(_elsewhere(modules, plan, inside))
    in_file = list(_elsewhere(modules, plan, inside, saved=True)) if plan.start in CHANGES_WEIGHTS else others
    for place, written in zip(others, in_file, strict=True):
        found.append(Alike(place.module.component, [place.path], place.suffixes, written.suffixes))
    return found


def _equal_layers(
    modules: Mapping[str, Module], plan: Plan
) -> Mapping[tuple[Component, str, Shape, bool, int], list[str]]:
    """Names of the target modules by component and by what their tensors depend on: kind, shape, ..., rank."""
    ranks = {target: override.rank for override in plan.overrides for target in override.targets}
    groups = defaultdict(list)
    try:
        for name in plan.target_modules:
            module = modules[name]
            key = module.component, module.kind, module.shape, module.adaptable, ranks.get(name, plan.rank)
            groups[key].append(name)
    except KeyError as missing:
        raise unknown(missing.args[0]) from None
    return groups


def find(modules: Mapping[str, Module], name: str) -> Module:
    """The module of a name.

    Raises:
        PlanError: there is none.
    """
    if (module := modules.get(name)) is None:
        raise unknown(name)
    return module


def unknown(name: str, model_class: str = "this model") -> PlanError:
    """What to say of a name that a plan has and the model has not."""
    return PlanError(
        f"The module “{name}” was asked for",
        f"LoRA cannot reach it in {model_class}, or there is none of this name",
        "Choose the targets anew on this model",
    )


def _tensors(place: Place) -> Iterator[Tensor]:
    for suffix, shape in place.suffixes:
        name = f"{PREFIX}{place.path}.{place.copy}{suffix}"
        yield Tensor(place.owner, place.module, name, f"{PREFIX}{place.path}.{saved_suffix(suffix)}", shape)


def _elsewhere(
    modules: Mapping[str, Module], plan: Plan, inside: Mapping[str, tuple[Parameter, ...]], saved: bool = False
) -> Iterator[Place]:
    """What the plan trains beside layers: parameters that LoRA reaches by their own names, and what learns in full.

    With `saved` in the shapes of the file, see `Alike`.
    """
    own = overrides_of(plan)
    for name, parameters in inside.items():
        for index, parameter in enumerate(parameters):
            owner = f"{name}.{parameter.name}"
            # Each one wraps the module anew, in the module's order: the last one is the outermost.
            path = name + ".base_layer" * (len(parameters) - 1 - index)
            rank = own[owner].rank if owner in own else plan.rank
            rank = saved_plan_rank(plan, rank) if saved else initial_rank(plan.method, rank)
            suffixes = parameter_suffixes(parameter, rank)
            yield Place(owner, find(modules, name), path, suffixes)
    for name, outer in wraps(plan.full_modules).items():
        module = find(modules, name)
        for parameter in module.parameters:
            rest = f"{name}.{parameter.name}"[len(outer) + 1 :]
            yield Place(name, module, outer, ((rest, parameter.shape),), "modules_to_save.default.")


def _wrapped_by_name(modules: Mapping[str, Module], plan: Plan) -> dict[str, tuple[Parameter, ...]]:
    """The modules that LoRA reaches through parameters' names, with these parameters in the module's own order."""
    chosen: dict[str, set[str]] = {}
    for target in plan.target_parameters:
        name, _, parameter = target.rpartition(".")
        chosen.setdefault(name, set()).add(parameter)
    found = {}
    for name, names in chosen.items():
        found[name] = tuple(p for p in find(modules, name).parameters if p.name in names)
        if len(found[name]) < len(names):
            raise unknown(f"{name}.{min(names - {p.name for p in found[name]})}")
    return found


def _moved(plan: Plan, inside: Mapping[str, tuple[Parameter, ...]]) -> dict[str, str]:
    """New names of the target modules that lie in a module with wrapped parameters: one level down for each of them."""
    outers = {f"{outer}.": outer + ".base_layer" * len(parameters) for outer, parameters in inside.items()}
    below = tuple(outers)
    moved = {}
    for name in plan.target_modules if below else ():
        if name.startswith(below):
            outer = next(outer for outer in below if name.startswith(outer))
            moved[name] = f"{outers[outer]}.{name[len(outer) :]}"
    return moved


def by_name(inspection: Inspection) -> dict[str, Module]:
    """The inspection's modules by their names."""
    return {module.name: module for module in inspection.modules}
