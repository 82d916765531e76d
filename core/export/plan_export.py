"""A plan in the form that was asked for.

What it does not do: write a file.
"""

from __future__ import annotations

from core.export.choice_file import export_yaml
from core.export.context import FORMATS, Context, Exported, Format
from core.export.peft_config import export_peft, export_regex
from core.export.script import export_script
from core.export.unsloth import export_unsloth
from core.spec import Inspection, Plan

__all__ = ["FORMATS", "Context", "Exported", "Format", "export"]


def export(plan: Plan, inspection: Inspection, context: Context, form: Format) -> Exported:
    """The plan as `peft` (JSON), `regex`, `script`, `unsloth` or `yaml`; the last holds the choice it was made of.

    Args:
        plan: what is trained.
        inspection: of its model, with the labels as they were made.
        context: the rest of the job.
        form: one of `FORMATS`.

    Raises:
        PlanError: AdaLoRA without a number of steps, or the plan does not fit the model.
    """
    if form == "peft":
        return export_peft(plan, inspection, context)
    if form == "regex":
        return export_regex(plan)
    if form == "script":
        return export_script(plan, inspection, context)
    if form == "unsloth":
        return export_unsloth(plan, inspection, context)
    return export_yaml(context)
