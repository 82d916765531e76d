"""What a plan cannot do, said with the reason and a remedy before anything is loaded.

Every rule stands for something that PEFT 0.21 refuses in code, or does wrong without a word; the sentence says what.
The tests try what is not refused: it trains.

What it does not do: judge whether a plan is a good idea (`core.lora.advice`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from math import prod
from typing import get_args

from core.errors import PlanError
from core.lora.portable import listed, rewrites
from core.lora.shapes import Shape, is_table
from core.lora.tensors import CHANGES_WEIGHTS, CONTAINERS, also_hit, by_name, overrides_of, unknown, wraps
from core.models.repository import clip
from core.spec import Inspection, Module, Plan, Settings, Start

NAMES = {"lora": "LoRA", "rslora": "rsLoRA", "dora": "DoRA", "adalora": "AdaLoRA"}
START_NAMES = {"gaussian": "a Gaussian start", "pissa": "PiSSA", "olora": "OLoRA", "eva": "EVA"}
_PYTORCH_ATTENTION = "MultiheadAttention"


def parse_start(text: str) -> Start:
    """Where LoRA's matrices begin, from its name.

    Raises:
        PlanError: there is no such start, or several were asked for.

    >>> parse_start("PiSSA")
    'pissa'
    """
    words = [word.strip().lower() for word in text.replace("+", ",").split(",") if word.strip()]
    if len(words) > 1:
        raise PlanError(
            f"The starts {clip(' and '.join(words))} were asked for",
            "LoRA's matrices can begin at one place only",
            f"Take one of {', '.join(get_args(Start))}",
        )
    for start in get_args(Start):
        if words == [start]:
            return start
    raise PlanError(
        f"The start “{clip(text)}” was asked for",
        "there is none of this name",
        f"Take one of {', '.join(get_args(Start))}",
    )


def refuse_impossible(plan: Plan, inspection: Inspection, settings: Settings | None = None) -> None:
    """Raises PlanError for the first thing that cannot be.

    Args:
        plan: what is to be trained.
        inspection: of the model.
        settings: how, where that is known already.
    """
    for problem in problems(plan, inspection, settings):
        raise problem


def problems(plan: Plan, inspection: Inspection, settings: Settings | None = None) -> Iterator[PlanError]:
    """Everything that cannot be, one at a time."""
    modules = by_name(inspection)
    missing = [*_missing(plan, modules)]
    yield from (unknown(name, inspection.model_class) for name in missing)
    if missing:
        return
    yield from _names(plan)
    if plan.target_modules or plan.target_parameters:
        yield from _together(plan)
        yield from _layers(plan, modules)
        yield from _ranks(plan, modules)
    if plan.target_parameters:
        yield from _by_name(plan)
    if (plan.method == "dora" or plan.lora_bias) and any(map(_fused, inspection.modules)):
        yield from _not_loaded_again(plan, inspection.model_type)
    if settings is not None and settings.quantization != "none" and plan.start in CHANGES_WEIGHTS:
        yield _never(
            START_NAMES[plan.start],
            "it first changes the model's own weights a little, and weights packed to few bits are too coarse for that",
            "Train without quantization, or take the default start",
        )
    if settings is not None and settings.lora_plus != 1:
        yield from _without_faster_b(plan)
    yield from _in_full(plan, modules)
    yield from _by_their_ends(plan, modules)


def refuse_on_device(plan: Plan, settings: Settings, device: str) -> None:
    """Raises PlanError for what cannot be on this device (`cpu` or `cuda`), which only the worker knows for sure."""
    if device == "cpu" and plan.method == "dora" and settings.quantization == "8bit":
        raise _never(
            "DoRA on weights packed to 8 bits",
            "on a CPU, PEFT spoils such weights at the first step",
            "Pack the weights to 4 bits, or take LoRA or rsLoRA",
        )
    if settings.optimizer == "adamw":
        return
    if device == "cpu" and settings.optimizer.startswith("paged"):
        raise _never(
            "A paged optimizer",
            "it moves its state from the memory of a GPU to the machine's, and here is no GPU",
            "Take AdamW, or 8-bit AdamW",
        )
    if find_spec("bitsandbytes") is None:
        raise _never(
            "An optimizer of bitsandbytes", "bitsandbytes is not installed here", "Install it, or take plain AdamW"
        )


def _without_faster_b(plan: Plan) -> Iterator[PlanError]:
    """Where LoRA+ has no B that begins at zero beside an A that does not (arXiv:2402.12354)."""
    if not plan.target_modules and not plan.target_parameters:
        yield _never("LoRA+", "nothing learns with LoRA here, so there is no B", "Set its ratio to 1")
    elif plan.method == "adalora":
        why = "AdaLoRA's two matrices begin alike, at random, and none of them should learn faster"
        yield _never("LoRA+ with AdaLoRA", why, "Set its ratio to 1, or take another method")


def _missing(plan: Plan, modules: Mapping[str, Module]) -> Iterator[str]:
    for name in (*plan.target_modules, *plan.full_modules):
        if name not in modules:
            yield name
    for target in plan.target_parameters:
        name, _, parameter = target.rpartition(".")
        if name not in modules or parameter not in {p.name for p in modules[name].parameters}:
            yield target
    targets = {*plan.target_modules, *plan.target_parameters}
    yield from (name for override in plan.overrides for name in override.targets if name not in targets)


def _names(plan: Plan) -> Iterator[PlanError]:
    """A name twice, or twice in another way."""
    overridden = (name for override in plan.overrides for name in override.targets)
    for group in ((*plan.target_modules, *plan.target_parameters), plan.full_modules, overridden):
        for name, number in Counter(group).items():
            if number > 1:
                yield _never(f"“{name}” {number} times", "each part is trained in one way", "Name it once")
    full = tuple(f"{name}." for name in plan.full_modules)
    for name in (*plan.target_modules, *plan.target_parameters):
        if name in plan.full_modules or name.startswith(full):
            yield _never(
                f"“{name}” both in full and with LoRA",
                "what is trained in full has nothing left to adapt",
                "Choose one of the two for it",
            )


def _together(plan: Plan) -> Iterator[PlanError]:
    """Method, start and bias."""
    method = NAMES[plan.method]
    if plan.lora_bias and plan.method in ("dora", "adalora"):
        yield _never(f"{method} with a LoRA bias", f"{method} has none", "Switch the bias off, or take LoRA or rsLoRA")
    if plan.start == "default":
        return
    start = START_NAMES[plan.start]
    if plan.method == "adalora":
        yield _never(f"AdaLoRA with {start}", "AdaLoRA always begins at its own start", "Take the default start")
    if plan.lora_bias:
        yield _never(f"A LoRA bias with {start}", "only the default start has a bias", "Switch one of the two off")
    if plan.method == "dora" and plan.start in CHANGES_WEIGHTS:
        yield _never(
            f"DoRA with {start}",
            f"{start} changes the frozen weights, and DoRA's update cannot be saved without them",
            "Take the default start, or LoRA or rsLoRA",
        )


def _layers(plan: Plan, modules: Mapping[str, Module]) -> Iterator[PlanError]:
    """Kinds of layers that a method or a start does not know; the first layer of each kind is named."""
    seen: set[tuple[str, str]] = set()
    own = overrides_of(plan)
    for name in plan.target_modules:
        module = modules[name]
        dropout = own[name].dropout if name in own else plan.dropout
        for what, reason in _unknown_to(plan, module, dropout):
            if (what, module.kind) not in seen:
                seen.add((what, module.kind))
                yield _never(f"{what} on “{name}” ({module.kind})", reason, "Leave such layers out, or switch it off")


def _unknown_to(plan: Plan, module: Module, dropout: float) -> Iterator[tuple[str, str]]:
    """What the plan asks of one layer that it cannot do, and why."""
    table, attention = is_table(module), module.kind == _PYTORCH_ATTENTION
    special = table or attention or len(module.shape) > 2  # a convolution
    if plan.method == "adalora" and special and module.kind != "Conv2d":
        yield "AdaLoRA", "it knows matrices and 2-D convolutions only"
    if plan.start in (*CHANGES_WEIGHTS, "eva") and special:
        yield START_NAMES[plan.start], "it knows matrices only"
    if plan.start == "olora" and module.kind == "Conv1D":
        yield "OLoRA", "PEFT's version of it reads the weight of such a layer the wrong way round"
    if plan.lora_bias and (table or attention):
        yield "A LoRA bias", "LoRA on layers of this kind has none"
    if plan.method == "dora" and attention:
        yield "DoRA", "PEFT, which puts it on, does not offer it for layers of this kind"
    if dropout > 0 and (table or attention):
        yield "Dropout", "PEFT, which puts LoRA on, ignores dropout in layers of this kind"


def _ranks(plan: Plan, modules: Mapping[str, Module]) -> Iterator[PlanError]:
    """Ranks that a method gives to all alike, or that a matrix does not have."""
    for override in plan.overrides:
        if plan.method == "adalora" and (override.rank, override.alpha) != (plan.rank, plan.alpha):
            yield _never(
                f"AdaLoRA with a rank or an alpha of its own for {override.component}",
                "AdaLoRA itself allots the ranks over all parts",
                "Leave them empty, or take another method",
            )
        if plan.start == "eva" and override.rank != plan.rank:
            yield _never(
                f"EVA with a rank of its own for {override.component}",
                "EVA's search for directions takes one rank for all",
                "Leave it empty, or take another start",
            )
    if plan.start not in (*CHANGES_WEIGHTS, "eva"):
        return
    own = overrides_of(plan)
    for name in plan.target_modules:
        rank = own[name].rank if name in own else plan.rank
        out, inside = modules[name].shape[0], prod(modules[name].shape[1:])
        most = inside if plan.start == "eva" else min(out, inside)
        if rank > most:
            yield _never(
                f"{START_NAMES[plan.start]} at rank {rank:,}",
                f"“{name}” is a matrix of {out:,} x {inside:,}, which has only {most:,} directions",
                f"Take a rank of at most {most:,}, leave it out, or take the default start",
            )
            return


def _fused(module: Module) -> bool:
    return any(parameter.adaptable and len(parameter.shape) == 3 for parameter in module.parameters)


def _not_loaded_again(plan: Plan, model_type: str) -> Iterator[PlanError]:
    """What PEFT would train and then take for something else when it loads the adapter."""
    try:
        if rewrites(model_type):
            listed(plan, model_type)
    except PlanError as problem:
        yield problem


def _by_name(plan: Plan) -> Iterator[PlanError]:
    """What parameters that are reached by their own name do not take: PEFT adds the update to the tensor itself."""
    first = plan.target_parameters[0]
    own = overrides_of(plan)
    asked = []
    if plan.method in ("dora", "adalora"):
        asked.append((NAMES[plan.method], "Take LoRA or rsLoRA"))
    if plan.lora_bias:
        asked.append(("A LoRA bias", "Switch the bias off"))
    if plan.start in (*CHANGES_WEIGHTS, "eva"):
        asked.append((START_NAMES[plan.start], "Take the default start"))
    if any((own[name].dropout if name in own else plan.dropout) > 0 for name in plan.target_parameters):
        asked.append(("Dropout", "Set the dropout of its component to 0"))
    for what, remedy in asked:
        reason = (
            "fused experts and bare matrices are no layers, and on them PEFT offers plain LoRA without dropout only"
        )
        yield _never(f"{what} on “{first}”", reason, f"{remedy}, or leave it out")


def _in_full(plan: Plan, modules: Mapping[str, Module]) -> Iterator[PlanError]:
    """Modules of which PEFT cannot make a copy that is trained and saved alone."""
    full = {name: modules[name] for name in plan.full_modules}
    tied = _tied(modules) if full else set()
    for name, module in full.items():
        reason = _uncopied(module, tied)
        if reason is not None:
            yield _never(f"Training “{name}” in full", *reason)
    copied = tuple(f"{outer}." for outer in set(wraps(full).values()))
    for name in modules:
        if copied and name.startswith(copied) and name not in full:
            outer = next(outer for outer in copied if name.startswith(outer))[:-1]
            yield _never(
                f"Training “{outer}” in full without “{name}”",
                "a module that holds parameters itself is copied with all that lies in it",
                f"Train “{name}” in full as well, or leave “{outer}” out",
            )
    holders = tuple(f"{target.rpartition('.')[0]}." for target in plan.target_parameters)
    for name in full:
        if holders and name.startswith(holders):
            yield _never(
                f"Training “{name}” in full",
                "it lies in a module that gets LoRA itself, and PEFT cannot do both",
                "Train the whole module in full, or adapt it alone",
            )


def _by_their_ends(plan: Plan, modules: Mapping[str, Module]) -> Iterator[PlanError]:
    """Names that end another's name: PEFT looks for parameters and for modules to copy by their ends."""
    parameters = [f"{module.name}.{p.name}" for module in modules.values() for p in module.parameters]
    for wanted, names, joint in (
        (set(wraps(plan.full_modules).values()), list(modules), ""),
        (set(plan.target_parameters), parameters, "."),
    ):
        for name, hit in also_hit(wanted, names, joint):
            yield _never(
                f"Training “{name}”",
                f"PEFT goes by the ends of names and would train “{hit}” along with it",
                "Leave it out, or adapt single layers in it instead",
            )


def _uncopied(module: Module, tied: set[tuple[str, Shape]]) -> tuple[str, str] | None:
    """Why a module cannot be trained in full, and what to do instead."""
    if not module.name:
        return "PEFT cannot copy parameters that the model itself holds", "Leave it out"
    if module.kind in CONTAINERS:
        return f"a {module.kind} has nothing to compute, so PEFT refuses to copy it", "Leave it out"
    if "BatchNorm" in module.kind:
        return "it also keeps averages of what it sees, which would move along uncounted", "Leave it out"
    shapes = [parameter.shape for parameter in module.parameters]
    if module.params < sum(map(prod, shapes)) or any((module.component, shape) in tied for shape in shapes):
        return "it shares a weight with another module, from which its copy would part", "Adapt it with LoRA instead"
    return None


def _tied(modules: Mapping[str, Module]) -> set[tuple[str, Shape]]:
    """Component and shape of each weight that stands a second time in the model.

    An inspection says of the second module that its weight was counted before, not with which one it shares it: the
    one of the same component and shape, such as a head and its embedding. `wrap` compares the tensors themselves.
    """
    twins = [m for m in modules.values() if m.params < sum(prod(p.shape) for p in m.parameters)]
    return {(m.component, p.shape) for m in twins for p in m.parameters if prod(p.shape) > m.params}


def _never(asked: str, reason: str, remedy: str) -> PlanError:
    return PlanError(f"{asked} was asked for", reason, remedy)
