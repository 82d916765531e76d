"""Whether an inspected model can be trained at all, without opening a weight.

What it does not do: look into the files; what is wrong inside of them is found when a job loads them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from core.errors import SourceRefused
from core.models.classes import WITHOUT_WORDS, check_teachable, has_step
from core.models.libraries import import_what_is_slow
from core.models.repository import clip
from core.models.source import check_trainable
from core.spec import Inspection


def refuse_untrainable(inspection: Inspection) -> None:
    """Looks at the model's class and parts and, for a folder, whether its files are there.

    Raises:
        SourceNotFound: a folder without weights or processor files.
        SourceRefused: see `refuse_unteachable`; or weights only as pickle, a path outside the model root.
    """
    refuse_unteachable(inspection)
    check_trainable(inspection.source)


def refuse_unteachable(inspection: Inspection) -> None:
    """Looks at the model's class and parts alone; of the demo all is known without importing anything.

    Raises:
        SourceRefused: a model that answers in no words, or wants what rows here do not hold.
    """
    if inspection.source.kind == "demo":
        return
    asked = f"Training “{clip(inspection.source.name.rstrip('/').rpartition('/')[2])}” was asked for"
    check_teachable(_class(inspection.model_class), asked)
    if (codes := _codes(inspection)) is not None:
        raise SourceRefused(
            asked,
            f"it writes the {codes[0]:,} codes that pictures are made of, and none of the {codes[1]:,} words it reads",
            "Take a model that answers in words",
        )


def writes_words(inspection: Inspection) -> bool:
    """Whether it answers in words and can learn to; of the demo this is known without importing anything."""
    if inspection.source.kind == "demo":
        return True
    found = _class(inspection.model_class)
    words = inspection.model_class not in WITHOUT_WORDS and _codes(inspection) is None
    return words and bool(found.can_generate()) and has_step(found)


def _codes(inspection: Inspection) -> tuple[int, int] | None:
    """What the head tells apart and what is read, in tokens, where the head cannot write most of what is read.

    GLM-Image's writes 16,512 codes of pictures beside 168,064 tokens of text; heads of words have a row for each.
    """
    heads = [module.shape for module in inspection.modules if module.role == "head" and len(module.shape) == 2]
    if len(heads) != 1:
        return None
    written, width = heads[0]
    read = [each.shape[0] for each in inspection.modules if each.kind == "Embedding" and each.shape[1:] == (width,)]
    return (written, max(read)) if read and 2 * written < max(read) else None


@cache
def _class(name: str) -> Any:
    import_what_is_slow()
    import transformers

    return getattr(transformers, name)
