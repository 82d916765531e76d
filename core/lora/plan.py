"""Exactly which modules get what, and how PEFT is told.

What it does not do: count (`budget.py`), or wrap a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from core.lora.selection import by_parameter, parameter_names, selected, trained_in_full
from core.models.relabel import relabelled
from core.spec import Inspection, Knobs, Module, Override, Plan, Recipe, Selection


def make_plan(inspection: Inspection, selection: Selection, recipe: Recipe) -> Plan:
    """The plan for what was chosen.

    Raises:
        PlanError: the selection matches nothing, or what was chosen cannot be together.
    """
    inspection = relabelled(inspection, selection.relabels)
    full = trained_in_full(inspection, selection)
    modules = [module for module in selected(inspection, selection) if module.name not in full]
    return Plan(
        target_modules=tuple(module.name for module in modules if not by_parameter(module)),
        rank=recipe.rank,
        alpha=recipe.alpha,
        dropout=recipe.dropout,
        method=recipe.method,
        start=recipe.start,
        lora_bias=recipe.lora_bias,
        target_parameters=tuple(name for module in modules for name in parameter_names(module)),
        full_modules=tuple(full),
        full_learning_rate=recipe.full_learning_rate,
        overrides=tuple(_overrides(modules, recipe)),
    )


def _overrides(modules: list[Module], recipe: Recipe) -> Iterator[Override]:
    """The targets of each component that has numbers of its own."""
    for component, knobs in recipe.components.items():
        inside = [module for module in modules if module.component == component]
        targets = tuple(name for module in inside for name in (parameter_names(module) or (module.name,)))
        if not targets or knobs == Knobs():
            continue
        rank = recipe.rank if knobs.rank is None else knobs.rank
        yield Override(
            component=component,
            targets=targets,
            rank=rank,
            alpha=recipe.alpha * rank / recipe.rank if knobs.alpha is None else knobs.alpha,
            dropout=recipe.dropout if knobs.dropout is None else knobs.dropout,
            learning_rate=knobs.learning_rate,
        )


def target_regex(names: Iterable[str]) -> str:
    r"""One regex that matches exactly these names.

    PEFT matches a list of names by suffix, which hits other towers as well, but a string as one regex on the whole
    name. Branches that go on alike are folded, so that 1,000 names make some hundred characters.

    >>> target_regex(["layers.0.q", "layers.1.q", "head"])
    '^(?:layers\\.(?:0|1)\\.q|head)$'
    """
    return f"^{_fold([tuple(name.split('.')) for name in dict.fromkeys(names)])}$"


def peft_config(plan: Plan) -> Any:
    """The `peft.LoraConfig` of a plan; it names no base model, so that no path leaks into an adapter."""
    from peft import LoraConfig

    return LoraConfig(
        r=plan.rank,
        lora_alpha=plan.alpha,
        lora_dropout=plan.dropout,
        target_modules=target_regex(plan.target_modules),
        task_type="CAUSAL_LM",
    )


def _fold(paths: list[tuple[str, ...]]) -> str:
    """A regex for paths: segments with the same continuations share one."""
    rests: dict[str, list[tuple[str, ...]]] = {}
    for path in paths:
        rests.setdefault(path[0], []).append(path[1:])
    heads: dict[str, list[str]] = {}
    for segment, tails in rests.items():
        heads.setdefault(_tail(tails), []).append(re.escape(segment))
    branches = [_any(segments) + tail for tail, segments in heads.items()]
    return _any(branches)


def _tail(tails: list[tuple[str, ...]]) -> str:
    """What follows a segment: nothing, more segments, or either."""
    longer = [tail for tail in tails if tail]
    if not longer:
        return ""
    more = r"\." + _fold(longer)
    return more if len(longer) == len(tails) else f"(?:{more})?"


def _any(branches: list[str]) -> str:
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"
