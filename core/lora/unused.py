"""Vision layers that no answer depends on: LLaVA and its kin read a picture from an earlier layer than the last.

What it does not do: guess where neither a config nor its defaults say it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core.errors import StudioError
from core.lora.selection import layers_of
from core.models.classes import read_config
from core.models.source import resolve
from core.spec import Inspection, Source

KEYS = ("vision_feature_layer", "vision_feature_layers")
"""What configs call it: an index, or several, into the hidden states, of which the first is the embeddings'."""


@lru_cache(maxsize=64)
def feature_layer(source: Source) -> int | tuple[int, ...] | None:
    """The hidden states that stand for the picture, as the model's config says; None where it says nothing.

    What `config.json` leaves out, transformers fills in: LLaVA's -2 above all.
    """
    try:
        resolved = resolve(source, offline=True)
        value = _said(resolved.config)
        if value is None and _has_default(str(resolved.config.get("model_type"))):
            value = _said(vars(read_config(resolved)))
    except (StudioError, ValueError, TypeError, KeyError):  # it cannot be read: whoever inspects it says so
        return None
    if isinstance(value, int):
        return value
    several = isinstance(value, list | tuple) and value and all(isinstance(each, int) for each in value)
    return tuple(value) if several else None


def _said(config: Mapping[str, Any]) -> Any:
    return next((config[key] for key in KEYS if config.get(key) is not None), None)


def _has_default(model_type: str) -> bool:
    """Whether transformers' config of this type knows the setting, by its source: to import it takes seconds."""
    found = find_spec("transformers")
    if found is None or found.origin is None or not model_type.replace("-", "_").isidentifier():
        return False
    folder = Path(found.origin).parent / "models" / model_type.replace("-", "_")
    return any(KEYS[0] in file.read_text(encoding="utf-8") for file in folder.glob("configuration_*.py"))


def unused_layers(inspection: Inspection, feature: int | tuple[int, ...] | None) -> frozenset[int]:
    """Numbers of the vision layers behind the last hidden state that is read.

    Of n layers come n + 1 hidden states; -1 is the last one, behind all of them, and -2 leaves the last layer out.
    """
    if feature is None:
        return frozenset()
    layers = layers_of(inspection, "vision")
    indices = [feature] if isinstance(feature, int) else list(feature)
    last = max(index if index >= 0 else len(layers) + 1 + index for index in indices)
    return frozenset(layers[max(0, last) :])
