"""The plan in the words of other tools, to be copied or downloaded.

What it does not do: write a file on this machine.
"""

from __future__ import annotations

from typing import Any

from core.adapters.published import published_source
from core.errors import SpecError
from core.export.context import FORMATS, Context, Format
from core.export.plan_export import export
from core.lora.limits import refuse_impossible
from core.models.libraries import import_what_is_slow
from core.spec import Source
from ui.choice import read_choice
from ui.questions.counsel import rows_of, settings_so_far
from ui.studio import Studio


def exported(studio: Studio, asked: dict[str, Any], owner: str) -> dict[str, Any]:
    """`text`, `file_name` and `notes` of one format.

    Raises:
        SpecError: there is no such format.
        PlanError: the plan cannot be trained, or cannot be said in it.
    """
    form = asked["format"]
    if form not in FORMATS:
        raise SpecError("An export was asked for", "there is no such format", f"Take one of {', '.join(FORMATS)}")
    import_what_is_slow()
    chosen, settings = read_choice(studio, asked), settings_so_far(asked.get("form"))
    refuse_impossible(chosen.plan, chosen.labelled, settings)
    source = chosen.inspection.source
    context = Context(
        model=_model_name(source, form),
        selection=chosen.selection,
        recipe=chosen.recipe,
        settings=settings,
        revision=source.revision,
        data=str(asked["dataset"]) if form == "yaml" and asked.get("dataset") else None,
        rows=rows_of(studio, asked.get("dataset"), owner),
    )
    found = export(chosen.plan, chosen.inspection, context, form)
    return {"text": found.text, "file_name": found.file_name, "notes": list(found.notes)}


def _model_name(source: Source, form: Format) -> str:
    """As whoever reads the export names the model: our own command line knows the demo, other tools need a path."""
    if source.kind == "demo" and form == "yaml":
        return "demo"
    name = published_source(source).name
    return name if source.kind == "hub" else f"path/to/{name}"
