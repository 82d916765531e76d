"""Whether a config says how large its model is: what it leaves out, transformers fills in with defaults.

A config of little more than a `model_type` builds a whole model of exact counts, which may be none that anybody has.

What it does not do: refuse such a config, or look at a model.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from core.errors import StudioError
from core.models.labels.words import key_component
from core.models.source import resolve
from core.spec import Component, Inspection

_SIZE = re.compile(
    r"hidden_(size|dim)|d_model|n_embd|embed_dim|width|depths?$|layers?$|blocks$|vocab_size|intermediate"
)
_NO_SIZE = re.compile(r"feature|token|image|patch")
_BY_NAME = ("architecture", "model_name", "backbone")
"""Settings of a part that is built by the name of a published one, which says its sizes."""
_OF_NO_PART = ("quantization_config", "generation_config")
_TOWERS: tuple[Component, ...] = ("vision", "language", "audio")


def defaults_note(inspection: Inspection) -> str | None:
    """A sentence about the parts whose sizes the model's config.json leaves out; None where it leaves out none."""
    try:
        config = resolve(inspection.source, offline=True).config
    except StudioError:  # it is not on this machine any more
        return None
    parts = unsized(config, {module.component for module in inspection.modules})
    if not parts:
        return None
    return (
        f"Its config.json gives no sizes for {' and '.join(parts)}: those shown are what transformers takes for "
        f"“{inspection.model_type}” where none are given, and may be another model's than the one you mean."
    )


def unsized(config: dict[str, Any], present: Collection[Component]) -> tuple[Component, ...]:
    """Components that the model has and of which its config says no size, neither at the top nor in a part.

    >>> unsized({"model_type": "llava", "vision_config": {"hidden_size": 32}}, {"vision", "projector", "language"})
    ('language',)
    """
    if _says_sizes({key: value for key, value in config.items() if not isinstance(value, dict)}):
        return ()
    said = {
        key_component(key.removesuffix("_config"))
        for key, part in config.items()
        if key not in _OF_NO_PART and isinstance(part, dict) and _says_sizes(part)
    }
    if isinstance(config.get("patch_size"), int):  # a model that takes patches in beside the words, such as Fuyu
        said.add("vision")
    if said - set(_TOWERS):  # a part that holds others, such as a thinker
        return ()
    return tuple(component for component in _TOWERS if component in present and component not in said)


def _says_sizes(part: dict[str, Any]) -> bool:
    if any(isinstance(part.get(key), str) for key in _BY_NAME):
        return True
    inner = (value for value in part.values() if isinstance(value, dict))
    return any(_is_size(key, value) for key, value in part.items()) or any(map(_says_sizes, inner))


def _is_size(key: str, value: Any) -> bool:
    numbers = value if isinstance(value, list) else [value]
    is_count = bool(numbers) and all(type(number) is int and number > 0 for number in numbers)
    return is_count and bool(_SIZE.search(key)) and not _NO_SIZE.search(key)
