"""Exactly which modules get what, and how PEFT is told.

What it does not do: count (`budget.py`), say what cannot be (`limits.py`), or wrap a model (`wrap.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from core.errors import PlanError
from core.lora.selection import by_parameter, parameter_names, selected, trained_in_full
from core.lora.tensors import initial_rank, wraps
from core.models.relabel import relabelled
from core.spec import Inspection, Knobs, Module, Override, Plan, Recipe, Selection

NO_TARGETS = "dummy-target-modules"
"""PEFT's word for an adapter of fully trained modules alone (`peft.utils.constants.DUMMY_TARGET_MODULES`)."""
STARTS: dict[str, bool | str] = {
    "default": True,
    "gaussian": "gaussian",
    "pissa": "pissa_niter_16",
    "olora": "olora",
    "eva": "eva",
}
"""PEFT's words. PiSSA by the fast decomposition of arXiv:2404.02948, section 3 (16 iterations): as good, in seconds."""


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


def peft_config(plan: Plan, total_steps: int | None = None) -> Any:
    """The `peft.LoraConfig` of a plan, or `AdaLoraConfig`; it names no base model, so that no path leaks out.

    Every name is matched whole: modules by one anchored regex, since PEFT matches a list by suffix, and what PEFT can
    only match by suffix (parameters, modules trained in full) by full names; `wrap` checks that they hit nothing else.
    Dropout that differs between components is `wrap`'s as well.

    Args:
        plan: what is trained.
        total_steps: optimizer steps of the whole training, for AdaLoRA alone.

    Raises:
        PlanError: AdaLoRA without a number of steps.
    """
    from peft import EvaConfig, LoraConfig

    common = {
        "lora_alpha": plan.alpha,
        # PEFT refuses any number at parameters that are reached by name; there `wrap` sets it on the layers alone.
        "lora_dropout": 0.0 if plan.target_parameters else plan.dropout,
        "target_modules": _targets(plan),
        "modules_to_save": list(dict.fromkeys(wraps(plan.full_modules).values())) or None,
        "task_type": "CAUSAL_LM",
    }
    if plan.method == "adalora" and (plan.target_modules or plan.target_parameters):
        return _adalora_config(plan, total_steps, common)
    return LoraConfig(
        **common,
        r=plan.rank,
        target_parameters=list(plan.target_parameters) or None,
        rank_pattern={_exactly(o): o.rank for o in plan.overrides if o.rank != plan.rank},
        alpha_pattern={_exactly(o): o.alpha for o in plan.overrides if o.alpha != plan.alpha},
        use_rslora=plan.method == "rslora",
        use_dora=plan.method == "dora",
        lora_bias=plan.lora_bias,
        init_lora_weights=STARTS[plan.start],
        # With a rho of 1 no layer gets more rank than it was given, so that the count stays what was shown.
        eva_config=EvaConfig(rho=1.0) if plan.start == "eva" else None,
    )


def _adalora_config(plan: Plan, total_steps: int | None, common: dict[str, Any]) -> Any:
    """AdaLoRA's three phases: the ranks stay as they begin, fall to those that were asked for, and stay again.

    The first phase is a tenth of the steps and the last a fifth, as in the example of PEFT's `AdaLoraConfig`; the first
    takes two steps at least where there are three, since the very first step has a learning rate of zero and nothing
    is more important than another then. Between them ranks are allotted at each step, or a thousand times in all where
    there are more steps than that.
    """
    from peft import AdaLoraConfig

    if total_steps is None:
        raise PlanError(
            "AdaLoRA was asked for",
            "it spreads the falling of its ranks over the whole training, whose number of steps is not known",
            "Set the number of steps, or take LoRA",
        )
    last = total_steps // 5
    return AdaLoraConfig(
        **common,
        init_r=initial_rank("adalora", plan.rank),
        target_r=plan.rank,
        tinit=min(max(2, total_steps // 10), total_steps - last - 1),
        tfinal=last,
        deltaT=max(1, total_steps // 1000),
        total_step=total_steps,
    )


def _targets(plan: Plan) -> Any:
    """The modules for PEFT: a regex; an empty list where only parameters are targets; its word for none at all."""
    if plan.target_modules:
        return target_regex(plan.target_modules)
    return [] if plan.target_parameters else NO_TARGETS


def _exactly(override: Override) -> str:
    """A pattern for ranks and alphas; PEFT looks for it behind any prefix, which the regex's `^` forbids."""
    return target_regex(override.targets)


def target_regex(names: Iterable[str]) -> str:
    r"""One regex that matches exactly these names.

    PEFT matches a list of names by suffix, which hits other towers as well, but a string as one regex on the whole
    name. Branches that go on alike are folded, so that 1,000 names make some hundred characters.

    >>> target_regex(["layers.0.q", "layers.1.q", "head"])
    '^(?:layers\\.(?:0|1)\\.q|head)$'
    """
    return f"^{_fold([tuple(name.split('.')) for name in dict.fromkeys(names)])}$"


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
