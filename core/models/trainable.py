"""Whether an inspected model can be trained at all, without opening a weight.

What it does not do: look into the files; what is wrong inside of them is found when a job loads them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from core.models.classes import WITHOUT_WORDS, check_teachable, has_step
from core.models.libraries import import_what_is_slow
from core.models.repository import clip
from core.models.source import check_trainable
from core.spec import Inspection


def refuse_untrainable(inspection: Inspection) -> None:
    """Looks at the model's class and, for a folder, whether its files are there.

    Raises:
        SourceNotFound: a folder without weights or processor files.
        SourceRefused: a model that answers in no words, weights only as pickle, a path outside the model root.
    """
    if not writes_words(inspection):
        name = clip(inspection.source.name.rstrip("/").rpartition("/")[2])
        check_teachable(_class(inspection.model_class), f"Training “{name}” was asked for")
    check_trainable(inspection.source)


def writes_words(inspection: Inspection) -> bool:
    """Whether it answers in words and can learn to; of the demo this is known without importing anything."""
    if inspection.source.kind == "demo":
        return True
    found = _class(inspection.model_class)
    return inspection.model_class not in WITHOUT_WORDS and bool(found.can_generate()) and has_step(found)


@cache
def _class(name: str) -> Any:
    import_what_is_slow()
    import transformers

    return getattr(transformers, name)
