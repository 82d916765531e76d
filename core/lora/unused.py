"""Vision layers that no answer depends on: LLaVA and its kin read a picture from an earlier layer than the last.

What it does not do: guess where a config does not say it.
"""

from __future__ import annotations

from functools import lru_cache

from core.errors import StudioError
from core.lora.selection import layers_of
from core.models.source import resolve
from core.spec import Inspection, Source

KEYS = ("vision_feature_layer", "vision_feature_layers")
"""What configs call it: an index, or several, into the hidden states, of which the first is the embeddings'."""


@lru_cache(maxsize=64)
def feature_layer(source: Source) -> int | tuple[int, ...] | None:
    """The hidden states that stand for the picture, as the model's `config.json` on this machine says; None if not."""
    try:
        config = resolve(source, offline=True).config
    except StudioError:  # it cannot be read any more: whoever inspects it says so
        return None
    value = next((config[key] for key in KEYS if key in config), None)
    if isinstance(value, int):
        return value
    several = isinstance(value, list) and value and all(isinstance(each, int) for each in value)
    return tuple(value) if several else None  # type: ignore[arg-type]


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
