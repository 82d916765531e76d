"""A plan as PEFT's own config, and as the regex alone.

What it does not do: say what PEFT has no word for, such as learning rates; those become notes.
"""

from __future__ import annotations

import json
from typing import Any

from core.export.context import Context, Exported
from core.export.learning_parts import trainers_part
from core.lora.plan import target_regex
from core.lora.portable import portable_config
from core.spec import Inspection, Plan


def export_peft(plan: Plan, inspection: Inspection, context: Context) -> Exported:
    """`adapter_config.json` as `LoraConfig.from_pretrained` and `LoraConfig(**json)` read it (AdaLoRA: its own class).

    Raises:
        PlanError: AdaLoRA without a number of steps.
    """
    values = config_values(plan, inspection.model_type, context.total_steps)
    notes = beside_config(plan)
    if said := trainers_part(context.settings):
        notes += (f"Not in this config, since it belongs to the trainer: {said}.",)
    return Exported(json.dumps(values, indent=2, sort_keys=True) + "\n", "adapter_config.json", notes)


def export_regex(plan: Plan) -> Exported:
    """The regex that matches the target modules whole; on a second line that of target parameters, if there are any."""
    lines = [target_regex(names) for names in (plan.target_modules, plan.target_parameters) if names]
    notes = []
    if not plan.target_modules:
        notes.append("No module is a target; the regex is of parameters (PEFT's target_parameters).")
    elif plan.target_parameters:
        notes.append("The second line is of parameters (PEFT's target_parameters).")
    if plan.full_modules:
        notes.append("What is trained without LoRA is not in it.")
    return Exported("\n".join(lines) + "\n", "targets.txt", tuple(notes))


def config_values(plan: Plan, model_type: str, total_steps: int | None) -> dict[str, Any]:
    """PEFT's config as plain JSON values, without PEFT's version."""
    config = portable_config(plan, model_type, total_steps)
    values = {key: _plain(value) for key, value in config.to_dict().items()}
    return {key: value for key, value in values.items() if key not in ("peft_version", "auto_mapping")}


def beside_config(plan: Plan) -> tuple[str, ...]:
    """What of the plan PEFT's config has no place for."""
    notes = []
    if any(override.dropout != plan.dropout for override in plan.overrides):
        notes.append("PEFT has one dropout for all layers: set that of single components after wrapping.")
    elif plan.target_parameters and plan.target_modules and plan.dropout:
        notes.append("PEFT takes no dropout beside target_parameters: set it on the layers after wrapping.")
    rates = any(override.learning_rate is not None for override in plan.overrides)
    if rates or plan.full_learning_rate is not None:
        notes.append("Learning rates of single parts belong to the optimizer, not to this config.")
    return tuple(notes)


def _plain(value: Any) -> Any:
    """Sets as sorted lists, so that the same plan gives the same bytes; enums by their value."""
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return getattr(value, "value", value)
