"""What is no vision-language model is refused: by its config alone where that can be told, else by its parts.

What it does not do: label a part (`components.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from core.errors import InspectionError
from core.models.repository import asked_for, clip
from core.models.source import Resolved
from core.spec import Inspection

_WRITES_ONLY = re.compile(r"(ForCausalLM|LMHeadModel)$")
_OTHER_SENSES = re.compile(
    r"vision|visual|image|img|pixel|patch|video|vit|audio|speech|sound|modal|mm_|_mm|omni|projector|_config$",
    re.IGNORECASE,
)
_NOT_OF_A_PART = frozenset({"quantization_config", "compression_config", "generation_config"})
_REMEDY = "Take a vision-language model, such as the demo or HuggingFaceTB/SmolVLM-256M-Instruct"


def refuse_text_only(resolved: Resolved) -> None:
    """Refuses what its config.json alone shows to be text-only, which takes no import and no building.

    That is a class that writes text, with its size said at the top and not a word of another sense or of a second part
    anywhere. What leaves a doubt is built and looked at.

    Raises:
        InspectionError: nothing in the model sees pictures.
    """
    names = resolved.config.get("architectures")
    name = names[0] if isinstance(names, list) and names else None
    if not isinstance(name, str) or not _WRITES_ONLY.search(name) or "vocab_size" not in resolved.config:
        return
    words = {*_keys(resolved.config), name, str(resolved.config.get("model_type"))} - _NOT_OF_A_PART
    if not any(map(_OTHER_SENSES.search, words)):
        raise _sees_nothing(str(resolved.source), "a text-only", clip(name))


def refuse_one_sense(made: Inspection, config: Any) -> None:
    """Refuses what nothing in it sees, or nothing in it reads text.

    Args:
        made: of the whole model.
        config: the model's own, of transformers.

    Raises:
        InspectionError: in words.
    """
    components = {module.component for module in made.modules}
    asked = asked_for(str(made.source))
    if "vision" not in components:
        empty = next((key for key, value in vars(config).items() if "vision" in key and value is None), None)
        if empty is not None:
            reason = f"its config leaves {empty} empty, so that nothing in it sees pictures"
            raise InspectionError(asked, reason, "Take a version of the model that sees")
        raise _sees_nothing(str(made.source), _kind(made, components), made.model_class)
    if "language" not in components:
        raise InspectionError(asked, f"nothing in it ({made.model_class}) reads or writes text", _REMEDY)


def _sees_nothing(source: str, kind: str, model_class: str) -> InspectionError:
    reason = f"it looks like {kind} model ({model_class}): nothing in it sees pictures"
    return InspectionError(asked_for(source), reason, _REMEDY)


def _kind(made: Inspection, components: Collection[str]) -> str:
    """What a model that does not see is for."""
    if "protein" in made.model_class.lower():
        return "a protein"
    return "an audio" if "audio" in components else "a text-only"


def _keys(value: Any) -> Iterator[str]:
    """Every key in a config, at any depth."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    for part in value if isinstance(value, list) else ():
        yield from _keys(part)
