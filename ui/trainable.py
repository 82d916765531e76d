"""Whether the model in hand can be trained, so that the page says it before Start is pressed."""

from __future__ import annotations

from core.errors import StudioError
from core.models.trainable import refuse_untrainable, writes_words
from core.spec import Inspection


def whether_trainable(inspection: Inspection) -> dict[str, str | bool | None]:
    """`writes`: whether it answers in words; `untrainable`: why it cannot be trained, None where it can."""
    try:
        refuse_untrainable(inspection)
    except StudioError as error:
        return {"writes": writes_words(inspection), "untrainable": str(error)}
    return {"writes": True, "untrainable": None}
