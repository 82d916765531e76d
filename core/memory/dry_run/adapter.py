"""The adapter as a training step has it: put on as the worker does, and restricted to the layers that run.

What it does not do: count parameters (see `core.lora.budget`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from core.lora.wrap import wrap
from core.spec import Plan

ANY_NUMBER = 1000
"""Steps of a training, which AdaLoRA wants to know; the size of its tensors does not depend on it."""


def put_on(model: Any, plan: Plan) -> Any:
    """The model with the plan's adapter; the one place where this package wraps a model.

    Raises:
        PlanError, CountMismatch: see `core.lora.wrap`.
    """
    return wrap(model, plan, total_steps=ANY_NUMBER if plan.method == "adalora" else None)


def restricted(plan: Plan, keeps: Callable[[str], bool]) -> Plan:
    """The plan without the targets whose names are not kept.

    Raises:
        PlanError: nothing is left.
    """
    overrides = tuple(replace(override, targets=tuple(filter(keeps, override.targets))) for override in plan.overrides)
    return replace(
        plan,
        target_modules=tuple(filter(keeps, plan.target_modules)),
        target_parameters=tuple(filter(keeps, plan.target_parameters)),
        full_modules=tuple(filter(keeps, plan.full_modules)),
        overrides=tuple(override for override in overrides if override.targets),
    )
