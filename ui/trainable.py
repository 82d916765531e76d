"""Whether an inspected model can be trained at all, so that the page says it before Start is pressed.

What it does not do: open a weight; what is wrong inside of the files is found when the job loads them.
"""

from __future__ import annotations

from functools import cache

from core.errors import StudioError
from core.models.classes import check_writes
from core.models.libraries import import_what_is_slow
from core.models.repository import clip
from core.models.source import check_trainable
from core.spec import Inspection


def refuse_untrainable(inspection: Inspection) -> None:
    """Raises SourceNotFound for a folder without weights or processor, SourceRefused for what answers in no words."""
    if not _writes(inspection):
        import transformers

        name = clip(inspection.source.name.rstrip("/").rpartition("/")[2])
        check_writes(getattr(transformers, inspection.model_class), f"Training “{name}” was asked for")
    check_trainable(inspection.source)


def whether_trainable(inspection: Inspection) -> dict[str, str | bool | None]:
    """`writes`: whether it answers in words; `untrainable`: why it cannot be trained, None where it can."""
    try:
        refuse_untrainable(inspection)
    except StudioError as error:
        return {"writes": _writes(inspection), "untrainable": str(error)}
    return {"writes": True, "untrainable": None}


def _writes(inspection: Inspection) -> bool:
    """The demo does, which is known without importing anything."""
    return inspection.source.kind == "demo" or _class_writes(inspection.model_class)


@cache
def _class_writes(name: str) -> bool:
    import_what_is_slow()
    import transformers

    return bool(getattr(transformers, name).can_generate())
